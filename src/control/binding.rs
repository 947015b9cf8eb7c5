//! Mutations of bindings.

use std::sync::Arc;

use super::{Control, Mutation, expect_answer};
use crate::domain::binding::input::BindingInput;
use crate::domain::binding::{Binding, plan};
use crate::domain::{BindingId, Mask, Result, Revision};

impl Control {
    /// # Errors
    /// As [`plan::create`], and what the writer meets.
    pub async fn create_binding(&self, mutation: Mutation, input: BindingInput) -> Result<Arc<Binding>> {
        expect_answer!(self.write(mutation, move |view, context| plan::create(&input, view, context)).await?, Binding)
    }

    /// # Errors
    /// As [`plan::update`], and what the writer meets.
    pub async fn update_binding(
        &self,
        mutation: Mutation,
        id: BindingId,
        input: BindingInput,
        mask: Mask,
        expected: Option<Revision>,
    ) -> Result<Arc<Binding>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::update(id, &input, &mask, expected, view, context)).await?,
            Binding
        )
    }

    /// # Errors
    /// As [`plan::delete`], and what the writer meets.
    pub async fn delete_binding(&self, mutation: Mutation, id: BindingId, expected: Option<Revision>) -> Result<()> {
        self.write(mutation, move |view, _| plan::delete(id, expected, view)).await.map(drop)
    }
}
