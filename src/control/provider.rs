//! Mutations of providers.

use std::sync::Arc;

use super::{Control, Mutation, expect_answer};
use crate::domain::provider::input::ProviderInput;
use crate::domain::provider::{Provider, plan};
use crate::domain::{Mask, ProviderId, Result, Revision};

impl Control {
    /// # Errors
    /// As [`plan::create`], and what the writer meets.
    pub async fn create_provider(&self, mutation: Mutation, input: ProviderInput) -> Result<Arc<Provider>> {
        expect_answer!(self.write(mutation, move |view, context| plan::create(&input, view, context)).await?, Provider)
    }

    /// # Errors
    /// As [`plan::update`], and what the writer meets.
    pub async fn update_provider(
        &self,
        mutation: Mutation,
        id: ProviderId,
        input: ProviderInput,
        mask: Mask,
        expected: Option<Revision>,
    ) -> Result<Arc<Provider>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::update(id, &input, &mask, expected, view, context)).await?,
            Provider
        )
    }

    /// # Errors
    /// As [`plan::set_active`], and what the writer meets.
    pub async fn set_provider_active(
        &self,
        mutation: Mutation,
        id: ProviderId,
        is_active: bool,
        expected: Option<Revision>,
    ) -> Result<Arc<Provider>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::set_active(id, is_active, expected, view, context)).await?,
            Provider
        )
    }

    /// Hides a provider, or destroys it for good with `purge`; only an admin may, which the caller has made sure of.
    ///
    /// # Errors
    /// As [`plan::delete`] and [`plan::purge`]; what the writer meets.
    pub async fn delete_provider(
        &self,
        mutation: Mutation,
        id: ProviderId,
        purge: bool,
        expected: Option<Revision>,
    ) -> Result<()> {
        self.write(mutation, move |view, context| {
            if purge { plan::purge(id, expected, view) } else { plan::delete(id, expected, view, context) }
        })
        .await
        .map(drop)
    }

    /// # Errors
    /// As [`plan::undelete`], and what the writer meets.
    pub async fn undelete_provider(
        &self,
        mutation: Mutation,
        id: ProviderId,
        expected: Option<Revision>,
    ) -> Result<Arc<Provider>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::undelete(id, expected, view, context)).await?,
            Provider
        )
    }
}
