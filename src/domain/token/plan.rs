//! What writes to tokens would do. The secret half is made before, so that only its hash comes here.

use std::sync::Arc;

use super::Token;
use super::input::TokenInput;
use crate::domain::change::{Resource, ResourceKind};
use crate::domain::error::{Error, Result};
use crate::domain::id::TokenId;
use crate::domain::plan::{Answer, Edit, Plan, PlanContext, check_revision};
use crate::domain::revision::Revision;
use crate::domain::view::View;

/// Creates a token. The input was checked; id and hash belong to the text that its owner is shown.
///
/// # Errors
/// [`Error::InvalidField`] without a name.
pub fn create(input: &TokenInput, id: TokenId, secret_hash: [u8; 32], context: &PlanContext<'_>) -> Result<Plan> {
    let token = Token {
        id,
        revision: context.revision,
        name: input.name.clone().ok_or_else(|| Error::field("name", "required"))?,
        roles: input.roles.clone(),
        create_time: context.now,
        created_by: context.actor().to_owned(),
        expire_time: input.expire_time,
        revoke_time: None,
        secret_hash,
    };
    let resource = Resource::Token(Arc::new(token));
    let edits = vec![Edit::create(resource.clone())];
    Ok(Plan::of(edits, Answer::Resource(resource)))
}

/// Creates the token that opens a new database, if this is its very first write; otherwise changes nothing and
/// answers [`Answer::Empty`].
///
/// # Errors
/// As [`create`].
pub fn bootstrap(
    input: &TokenInput,
    id: TokenId,
    secret_hash: [u8; 32],
    view: &dyn View,
    context: &PlanContext<'_>,
) -> Result<Plan> {
    if view.has_tokens() || context.revision != Revision::default().next() {
        return Ok(Plan::unchanged(Answer::Empty));
    }
    create(input, id, secret_hash, context)
}

/// Revokes a token for good.
///
/// # Errors
/// [`Error::NotFound`], [`Error::RevisionMismatch`].
pub fn revoke(id: TokenId, expected: Option<Revision>, view: &dyn View, context: &PlanContext<'_>) -> Result<Plan> {
    let current = view.token(id).ok_or_else(|| Error::not_found(ResourceKind::Token, id))?;
    check_revision(ResourceKind::Token, id.uuid(), expected, current.revision)?;
    if current.revoke_time.is_some() {
        return Ok(Plan::unchanged(Answer::Resource(Resource::Token(current))));
    }
    let next = Token { revision: context.revision, revoke_time: Some(context.now), ..Token::clone(&current) };
    let next = Resource::Token(Arc::new(next));
    let edit = Edit::update(Resource::Token(current), next.clone(), vec!["revoke_time".into()]);
    Ok(Plan::of(vec![edit], Answer::Resource(next)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::caller::{Role, Roles};
    use crate::domain::error::Violations;
    use crate::domain::id::Id;
    use crate::domain::view::memory::{World, answered, story};

    const HASH: [u8; 32] = [7; 32];

    fn input(name: &str) -> TokenInput {
        TokenInput { name: Some(name.into()), roles: Roles::from_iter([Role::Viewer]), expire_time: None }
    }

    fn id(number: u128) -> TokenId {
        Id::new(uuid::Uuid::from_u128(number))
    }

    fn token(plan: &Plan) -> Arc<Token> {
        match answered(plan) {
            Resource::Token(token) => token,
            other => panic!("not a token: {other:?}"),
        }
    }

    #[test]
    fn a_token_needs_a_name_a_role_and_a_future() {
        let world = World::default();
        let wrong = TokenInput { expire_time: Some(world.now), ..TokenInput::default() };
        let mut violations = Violations::default();
        wrong.check(world.now, &mut violations);
        let Err(Error::InvalidField { violations }) = violations.into_result() else { panic!("nothing was wrong") };
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["name", "roles", "expire_time"]);
        let mut violations = Violations::default();
        let future = Some(world.now.after(Duration::from_micros(1)));
        TokenInput { expire_time: future, ..input("x") }.check(world.now, &mut violations);
        assert!(violations.is_empty());
    }

    #[test]
    fn a_new_token_is_stored_with_the_hash_of_its_secret() {
        let mut world = World::default();
        let plan = world.write(|_, context| create(&input("ci"), id(9), HASH, context)).unwrap();
        let token = token(&plan);
        assert_eq!((token.name.as_str(), token.revision, token.created_by.as_str()), ("ci", Revision(1), "system"));
        assert_eq!(token.secret_hash, HASH);
        assert!(token.is_valid(world.now));
    }

    #[test]
    fn the_first_token_is_made_only_in_an_empty_database() {
        let mut world = World::default();
        let first = world.write(|view, context| bootstrap(&input("admin"), id(1), HASH, view, context)).unwrap();
        assert_eq!(story(&first), ["create token"]);
        let second = world.write(|view, context| bootstrap(&input("admin"), id(2), HASH, view, context)).unwrap();
        assert_eq!((second.edits.len(), second.answer), (0, Answer::Empty));
        let mut used = World::default();
        used.revision = Revision(1);
        let late = used.write(|view, context| bootstrap(&input("admin"), id(1), HASH, view, context)).unwrap();
        assert!(late.edits.is_empty());
    }

    #[test]
    fn a_revoked_token_opens_nothing_and_revoking_it_again_changes_nothing() {
        let mut world = World::default();
        world.write(|_, context| create(&input("ci"), id(9), HASH, context)).unwrap();
        let plan = world.write(|view, context| revoke(id(9), Some(Revision(1)), view, context)).unwrap();
        assert_eq!(story(&plan), ["update token revoke_time"]);
        assert!(!token(&plan).is_valid(world.now));
        assert_eq!(token(&plan).revision, Revision(2));
        let again = world.write(|view, context| revoke(id(9), None, view, context)).unwrap();
        assert!(again.edits.is_empty());
        let stale = world.write(|view, context| revoke(id(9), Some(Revision(1)), view, context));
        assert!(matches!(stale, Err(Error::RevisionMismatch { .. })));
        let unknown = world.write(|view, context| revoke(id(8), None, view, context));
        assert!(matches!(unknown, Err(Error::NotFound { kind: ResourceKind::Token, .. })));
    }
}
