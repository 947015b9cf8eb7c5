//! `modelward token`: who may call.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use super::client::{Client, ServerArgs, TokenArgs, refusal};
use super::settings::SettingsArgs;
use super::{output, table};
use crate::config;
use crate::domain::{Clock as _, Id, IdSource as _, RandomIds, SystemClock};
use crate::proto::v1::{CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Role, Token as Record};
use crate::secrets::TokenSecret;

/// Creates, lists or revokes tokens: who may call, and what
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  modelward token create --name ci --role editor --expires-in 90d > ci.token
  modelward token list
  modelward token revoke 0199d3c4-5b2e-7c31-9f3e-0f6c2d1b8a44
A token is sent as the metadata `authorization: Bearer mw_…`. These verbs call a running server with an admin's token,
by default the first one, admin.token in the data directory.")]
pub enum Token {
    /// Creates a token and prints its text, once: only a hash is kept
    Create(Create),
    /// Lists the tokens, revoked and expired ones too; never their text
    List {
        #[command(flatten)]
        call: Call,
    },
    /// Revokes a token for good, on every replica
    Revoke {
        /// The token's id, as `modelward token list` shows it
        id: String,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        call: Call,
    },
    /// Prints the text of a token that nobody knows yet, for --bootstrap-token-file of a new server
    #[command(after_help = "Example:\n  modelward token generate > first.token")]
    Generate,
}

/// Which server, as whom.
#[derive(Args)]
pub struct Call {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl Call {
    pub async fn connect(self) -> anyhow::Result<Client> {
        Client::connect(&self.server, &self.token, self.settings).await
    }
}

#[derive(Args)]
pub struct Create {
    /// The name: the actor in the audit log
    #[arg(long)]
    name: String,
    /// What it allows; give it again for a further role
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<RoleArg>,
    /// When it ends, from now, as in 90d; without it, never
    #[arg(long, value_name = "TIME", value_parser = config::duration)]
    expires_in: Option<Duration>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Reads the configuration, never secrets
    Viewer,
    /// viewer, and resolves targets with their secrets
    Consumer,
    /// viewer, and changes the configuration
    Editor,
    /// Everything
    Admin,
}

impl RoleArg {
    fn wire(self) -> i32 {
        let role = match self {
            Self::Viewer => Role::Viewer,
            Self::Consumer => Role::Consumer,
            Self::Editor => Role::Editor,
            Self::Admin => Role::Admin,
        };
        role.into()
    }
}

impl Token {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { call } => list(call.connect().await?).await,
            Self::Revoke { id, reason, call } => {
                let mut client = call.connect().await?;
                let request = client.request(RevokeTokenRequest { id, reason, ..RevokeTokenRequest::default() });
                let answer = client.admin.revoke_token(request).await.map_err(|status| refusal(&status))?;
                let name = answer.into_inner().token.unwrap_or_default().name;
                output::note(&format!("modelward: the token {name} is revoked"));
                Ok(())
            }
            Self::Generate => {
                let (text, _) = TokenSecret::generate(Id::new(RandomIds.next()))?;
                Ok(output::data(&format!("{}\n", text.as_str()))?)
            }
        }
    }
}

impl Create {
    async fn run(self) -> anyhow::Result<()> {
        let expire_time = self.expires_in.map(|span| {
            let micros = SystemClock.now().after(span).micros();
            prost_types::Timestamp { seconds: micros / 1_000_000, nanos: 0 }
        });
        let message = CreateTokenRequest {
            name: Some(self.name),
            roles: self.roles.into_iter().map(RoleArg::wire).collect(),
            expire_time,
            reason: self.reason,
            ..CreateTokenRequest::default()
        };
        let mut client = self.call.connect().await?;
        let request = client.request(message);
        let answer = client.admin.create_token(request).await.map_err(|status| refusal(&status))?.into_inner();
        let token = answer.token.unwrap_or_default();
        output::note(&format!(
            "modelward: the token {} has the id {}; its text is shown only now",
            token.name, token.id
        ));
        Ok(output::data(&format!("{}\n", answer.secret))?)
    }
}

async fn list(mut client: Client) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = client.request(ListTokensRequest { page_token, page_size: 1000, ..ListTokensRequest::default() });
        let page = client.admin.list_tokens(request).await.map_err(|status| refusal(&status))?.into_inner();
        for token in page.tokens {
            rows.push(row(token).context("the server sent a time that cannot be read")?);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let headings = ["ID", "NAME", "ROLES", "CREATED", "EXPIRES", "LAST USED", "REVOKED"];
    Ok(output::data(&table::table(headings, &rows))?)
}

fn row(token: Record) -> Result<[String; 7], jiff::Error> {
    let roles: Vec<_> =
        token.roles().map(|role| role.as_str_name().trim_start_matches("ROLE_").to_lowercase()).collect();
    Ok([
        token.id.clone(),
        token.name.clone(),
        roles.join(","),
        time(token.create_time)?,
        time(token.expire_time)?,
        time(token.last_use_time)?,
        time(token.revoke_time)?,
    ])
}

fn time(time: Option<prost_types::Timestamp>) -> Result<String, jiff::Error> {
    time.map_or(Ok("-".to_owned()), |time| Ok(Timestamp::from_second(time.seconds)?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_listed_without_what_it_does_not_have() {
        let token = Record {
            id: "i".to_owned(),
            name: "ci".to_owned(),
            roles: vec![Role::Viewer.into(), Role::Editor.into()],
            create_time: Some(prost_types::Timestamp { seconds: 1_789_000_000, nanos: 5 }),
            ..Record::default()
        };
        assert_eq!(row(token).unwrap(), ["i", "ci", "viewer,editor", "2026-09-10T00:26:40Z", "-", "-", "-"]);
    }
}
