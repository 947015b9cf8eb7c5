//! Mutations of models that need no vendor.

use std::sync::Arc;

use super::{Control, Mutation, expect_answer};
use crate::domain::model::input::ModelInput;
use crate::domain::model::{Model, plan};
use crate::domain::{Mask, ModelId, Result, Revision};

impl Control {
    /// # Errors
    /// As [`plan::create`], and what the writer meets.
    pub async fn create_model(&self, mutation: Mutation, input: ModelInput, set_default: bool) -> Result<Arc<Model>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::create(&input, set_default, view, context)).await?,
            Model
        )
    }

    /// # Errors
    /// As [`plan::update`], and what the writer meets.
    pub async fn update_model(
        &self,
        mutation: Mutation,
        id: ModelId,
        input: ModelInput,
        mask: Mask,
        unpin: Vec<String>,
        expected: Option<Revision>,
    ) -> Result<Arc<Model>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::update(id, &input, &mask, &unpin, expected, view, context))
                .await?,
            Model
        )
    }

    /// # Errors
    /// As [`plan::set_active`], and what the writer meets.
    pub async fn set_model_active(
        &self,
        mutation: Mutation,
        id: ModelId,
        is_active: bool,
        expected: Option<Revision>,
    ) -> Result<Arc<Model>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::set_active(id, is_active, expected, view, context)).await?,
            Model
        )
    }

    /// # Errors
    /// As [`plan::set_default`], and what the writer meets.
    pub async fn set_default_model(
        &self,
        mutation: Mutation,
        id: ModelId,
        expected: Option<Revision>,
    ) -> Result<Arc<Model>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::set_default(id, expected, view, context)).await?,
            Model
        )
    }

    /// # Errors
    /// As [`plan::delete`], and what the writer meets.
    pub async fn delete_model(&self, mutation: Mutation, id: ModelId, expected: Option<Revision>) -> Result<()> {
        self.write(mutation, move |view, _| plan::delete(id, expected, view)).await.map(drop)
    }
}
