//! `modelward token`: who may call.

mod access;

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use self::access::{Access, NewToken};
use super::client::{Client, ServerArgs, TokenArgs};
use super::serve::start_log;
use super::settings::SettingsArgs;
use super::{output, table};
use crate::app::Offline;
use crate::config;
use crate::domain::{Clock as _, Id, IdSource as _, RandomIds, Role, SystemClock};
use crate::proto::v1::Token as Record;
use crate::secrets::TokenSecret;
use crate::telemetry::Metrics;

/// Creates, lists or revokes tokens: who may call, and what
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  modelward token create --name ci --role editor --expires-in 90d > ci.token
  modelward token list
  modelward token revoke 0199d3c4-5b2e-7c31-9f3e-0f6c2d1b8a44
A token is sent as the metadata `authorization: Bearer mw_…`. These verbs call a running server with an admin's token,
by default the first one, admin.token in the data directory; or, with --offline, work on the database
of a server that does not run.")]
pub enum Token {
    /// Creates a token and prints its text, once: only a hash is kept
    Create(Create),
    /// Lists the tokens, revoked and expired ones too; never their text
    List {
        #[command(flatten)]
        to: Target,
    },
    /// Revokes a token for good, on every replica
    Revoke {
        /// The token's id, as `modelward token list` shows it
        id: String,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        to: Target,
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

/// A running server, or its database.
#[derive(Args)]
pub struct Target {
    /// Works on the database while no server runs: when the admin's token is lost, say
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    call: Call,
}

impl Target {
    async fn open(self) -> anyhow::Result<Access> {
        if !self.offline {
            return Ok(Access::Online(Box::new(self.call.connect().await?)));
        }
        let settings = self.call.settings.load()?.settings;
        // A short run: no line waits for others.
        drop(start_log(&settings.log, &Metrics::new())?);
        Ok(Access::Offline(Box::new(Offline::open(settings).await?)))
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
    to: Target,
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

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Consumer => Self::Consumer,
            RoleArg::Editor => Self::Editor,
            RoleArg::Admin => Self::Admin,
        }
    }
}

impl Token {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { to } => {
                let mut access = to.open().await?;
                let tokens = access.list().await;
                access.close().await;
                Ok(output::data(&shown(tokens?)?)?)
            }
            Self::Revoke { id, reason, to } => {
                let mut access = to.open().await?;
                let token = access.revoke(id, reason).await;
                access.close().await;
                output::note(&format!("modelward: the token {} is revoked", token?.name));
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
        let new = NewToken {
            name: self.name,
            roles: self.roles.into_iter().map(Role::from).collect(),
            expire_time: self.expires_in.map(|span| SystemClock.now().after(span)),
            reason: self.reason,
        };
        let mut access = self.to.open().await?;
        let created = access.create(new).await;
        access.close().await;
        let (token, text) = created?;
        output::note(&format!(
            "modelward: the token {} has the id {}; its text is shown only now",
            token.name, token.id
        ));
        Ok(output::data(&format!("{}\n", text.as_str()))?)
    }
}

fn shown(tokens: Vec<Record>) -> anyhow::Result<String> {
    let rows: Result<Vec<_>, _> = tokens.into_iter().map(row).collect();
    let headings = ["ID", "NAME", "ROLES", "CREATED", "EXPIRES", "LAST USED", "REVOKED"];
    Ok(table::table(headings, &rows.context("a time cannot be read")?))
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
    use crate::proto::v1;

    #[test]
    fn a_token_is_listed_without_what_it_does_not_have() {
        let token = Record {
            id: "i".to_owned(),
            name: "ci".to_owned(),
            roles: vec![v1::Role::Viewer.into(), v1::Role::Editor.into()],
            create_time: Some(prost_types::Timestamp { seconds: 1_789_000_000, nanos: 5 }),
            ..Record::default()
        };
        assert_eq!(row(token).unwrap(), ["i", "ci", "viewer,editor", "2026-09-10T00:26:40Z", "-", "-", "-"]);
    }
}
