//! Mutations of tokens.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Control, Mutation, expect_answer};
use crate::domain::token::input::TokenInput;
use crate::domain::token::{Token, plan};
use crate::domain::{Answer, Error, Id, Resource, Result, Revision, Role, Roles, TokenId};
use crate::secrets::TokenSecret;

impl Control {
    /// Makes a token; its text exists in the answer to this call only. A repetition is answered without it.
    ///
    /// # Errors
    /// As [`plan::create`], and what the writer meets.
    pub async fn create_token(
        &self,
        mutation: Mutation,
        input: TokenInput,
    ) -> Result<(Arc<Token>, Option<Zeroizing<String>>)> {
        let id = Id::new(self.parts.ids.next());
        let (text, hash) = TokenSecret::generate(id).map_err(Error::from)?;
        let rehearsal = mutation.validate_only;
        let token = expect_answer!(
            self.write(mutation, move |_, context| plan::create(&input, id, hash, context)).await?,
            Token
        )?;
        let is_new = token.id == id && !rehearsal;
        Ok((token, is_new.then_some(text)))
    }

    /// Makes the first admin token, if there never was a token; tells whether it did.
    ///
    /// # Errors
    /// What the writer meets.
    pub async fn bootstrap_token(&self, mutation: Mutation, id: TokenId, hash: [u8; 32]) -> Result<bool> {
        let input =
            TokenInput { name: Some("admin".into()), roles: Roles::from_iter([Role::Admin]), expire_time: None };
        let answer =
            self.write(mutation, move |view, context| plan::bootstrap(&input, id, hash, view, context)).await?;
        Ok(matches!(answer, Answer::Resource(Resource::Token(token)) if token.id == id))
    }

    /// # Errors
    /// As [`plan::revoke`], and what the writer meets.
    pub async fn revoke_token(
        &self,
        mutation: Mutation,
        id: TokenId,
        expected: Option<Revision>,
    ) -> Result<Arc<Token>> {
        expect_answer!(
            self.write(mutation, move |view, context| plan::revoke(id, expected, view, context)).await?,
            Token
        )
    }
}
