//! The tokens behind a running server, or, while none runs, in its database: through the same writer either way, so
//! that both leave the same audit records.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use zeroize::Zeroizing;

use super::super::client::{Client, refusal};
use crate::app::Offline;
use crate::control::Mutation;
use crate::domain::token::input::TokenInput;
use crate::domain::{CallContext, Caller, Clock as _, Role, Roles, SystemClock, Timestamp, TokenId, Violations};
use crate::proto::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Token};
use crate::wire;
use crate::wire::enums::WireEnum as _;

/// What a token is to be.
pub struct NewToken {
    pub name: String,
    pub roles: Vec<Role>,
    pub expire_time: Option<Timestamp>,
    pub reason: String,
}

/// Where the tokens are reached.
pub enum Access {
    Online(Box<Client>),
    Offline(Box<Offline>),
}

impl Access {
    /// Creates a token; its text is answered only here.
    pub async fn create(&mut self, new: NewToken) -> anyhow::Result<(Token, Zeroizing<String>)> {
        match self {
            Self::Online(client) => {
                let request = client.request(CreateTokenRequest {
                    name: Some(new.name),
                    roles: new.roles.into_iter().map(Role::number).collect(),
                    expire_time: new.expire_time.map(wire::time::write),
                    reason: new.reason,
                    ..CreateTokenRequest::default()
                });
                let answer = client.admin.create_token(request).await.map_err(|status| refusal(&status))?.into_inner();
                Ok((answer.token.unwrap_or_default(), Zeroizing::new(answer.secret)))
            }
            Self::Offline(offline) => {
                let input = TokenInput {
                    name: Some(new.name),
                    roles: Roles::from_iter(new.roles),
                    expire_time: new.expire_time,
                };
                let mut violations = Violations::default();
                input.check(SystemClock.now(), &mut violations);
                violations.into_result()?;
                let control = &offline.parts().control;
                let (token, text) = control.create_token(mutation(new.reason), input).await?;
                Ok((wire::token::config(&token), text.context("the token has no text")?))
            }
        }
    }

    /// All tokens, by their ids.
    pub async fn list(&mut self) -> anyhow::Result<Vec<Token>> {
        match self {
            Self::Online(client) => online_list(client).await,
            Self::Offline(offline) => {
                let snapshot = offline.parts().control.snapshot().load();
                Ok(snapshot.token_entries().map(|entry| wire::token::config(entry)).collect())
            }
        }
    }

    /// Revokes a token for good.
    pub async fn revoke(&mut self, id: String, reason: String) -> anyhow::Result<Token> {
        match self {
            Self::Online(client) => {
                let request = client.request(RevokeTokenRequest { id, reason, ..RevokeTokenRequest::default() });
                let answer = client.admin.revoke_token(request).await.map_err(|status| refusal(&status))?;
                Ok(answer.into_inner().token.unwrap_or_default())
            }
            Self::Offline(offline) => {
                let id = TokenId::parse(&id)
                    .ok_or_else(|| anyhow!("{id} is no id of a token; `modelward token list` shows them"))?;
                let token = offline.parts().control.revoke_token(mutation(reason), id, None).await?;
                Ok(wire::token::config(&token))
            }
        }
    }

    /// Lets go of the database.
    pub async fn close(self) {
        if let Self::Offline(offline) = self {
            offline.close().await;
        }
    }
}

async fn online_list(client: &mut Client) -> anyhow::Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = client.request(ListTokensRequest { page_token, page_size: 1000, ..ListTokensRequest::default() });
        let page = client.admin.list_tokens(request).await.map_err(|status| refusal(&status))?.into_inner();
        tokens.extend(page.tokens);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(tokens);
        }
    }
}

/// Whoever may open the database and its keys may do everything; the audit log says that it was done this way.
fn mutation(reason: String) -> Mutation {
    let caller = Caller {
        identity: "offline".to_owned(),
        name: "offline command line".to_owned(),
        roles: Roles::from_iter([Role::Admin]),
        token: None,
        pass: None,
    };
    let call = CallContext { caller: Arc::new(caller), ..CallContext::system("modelward token --offline") };
    Mutation { call, request: None, validate_only: false, reason, claim: None }
}
