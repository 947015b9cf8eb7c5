//! Mutations of endpoints, and the choice of one.

use std::sync::Arc;

use super::{Control, Mutation, expect_answer};
use crate::adapter;
use crate::domain::endpoint::input::EndpointInput;
use crate::domain::endpoint::{Endpoint, plan};
use crate::domain::{EndpointId, Mask, Result, Revision};

impl Control {
    /// # Errors
    /// As [`plan::create`], and what the writer meets.
    pub async fn create_endpoint(
        &self,
        mutation: Mutation,
        input: EndpointInput,
        set_default: bool,
    ) -> Result<Arc<Endpoint>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::create(
                &input,
                set_default,
                adapter::hosts(),
                view,
                context
            ))
            .await?,
            Endpoint
        )
    }

    /// # Errors
    /// As [`plan::update`], and what the writer meets.
    pub async fn update_endpoint(
        &self,
        mutation: Mutation,
        id: EndpointId,
        input: EndpointInput,
        mask: Mask,
        expected: Option<Revision>,
    ) -> Result<Arc<Endpoint>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::update(
                id,
                &input,
                &mask,
                expected,
                adapter::hosts(),
                view,
                context
            ))
            .await?,
            Endpoint
        )
    }

    /// # Errors
    /// As [`plan::delete`], and what the writer meets.
    pub async fn delete_endpoint(&self, mutation: Mutation, id: EndpointId, expected: Option<Revision>) -> Result<()> {
        self.write(mutation, move |view, context| plan::delete(id, expected, view, context)).await.map(drop)
    }

    /// # Errors
    /// As [`plan::set_default`], and what the writer meets.
    pub async fn set_default_endpoint(
        &self,
        mutation: Mutation,
        id: EndpointId,
        expected: Option<Revision>,
    ) -> Result<Arc<Endpoint>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::set_default(id, expected, view, context)).await?,
            Endpoint
        )
    }
}
