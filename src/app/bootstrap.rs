//! The first admin token: made by the process that initialises the database, and by nobody later.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::parts::Parts;
use crate::config::Settings;
use crate::control::Mutation;
use crate::domain::{Id, TokenId, View as _};
use crate::secrets::TokenSecret;

/// Makes the first token if the configuration never had one.
///
/// # Errors
/// When the token's file cannot be read or written, or the database does not take the token.
pub async fn admin_token(parts: &Parts, settings: &Settings) -> anyhow::Result<()> {
    if parts.snapshot.load().has_tokens() {
        return Ok(());
    }
    match &settings.secrets.bootstrap_token_file {
        Some(path) => given(parts, path).await,
        None => made(parts, &settings.admin_token_file()).await,
    }
}

/// Takes the token from its setting.
async fn given(parts: &Parts, path: &Path) -> anyhow::Result<()> {
    let text = zeroize::Zeroizing::new(
        fs::read_to_string(path).with_context(|| format!("cannot read the bootstrap token file {}", path.display()))?,
    );
    let Some(parsed) = TokenSecret::parse(text.trim()) else {
        bail!("{} does not hold a token; make one with `modelward token generate`", path.display());
    };
    create(parts, parsed.id, parsed.hash).await?;
    tracing::info!(token.id = %parsed.id, "the first admin token was taken from its file");
    Ok(())
}

/// Makes a token. It is in its file before it is in the database: the other way round, a crash in between would leave
/// a database that nobody can get into.
async fn made(parts: &Parts, path: &Path) -> anyhow::Result<()> {
    let id = Id::new(parts.ids.next());
    let (text, hash) = TokenSecret::generate(id).context("cannot make a token")?;
    let draft = path.with_extension(format!("token.{id}"));
    write_private(&draft, text.as_bytes()).with_context(|| format!("cannot write {}", draft.display()))?;
    let created = create(parts, id, hash).await;
    if !matches!(created, Ok(true)) {
        fs::remove_file(&draft).ok();
        return created.map(drop);
    }
    fs::rename(&draft, path).with_context(|| format!("cannot write {}", path.display()))?;
    tracing::info!(file = %path.display(), "the first admin token was made; keep this file safe");
    Ok(())
}

/// Whether this process was the one to create it.
async fn create(parts: &Parts, id: TokenId, hash: [u8; 32]) -> anyhow::Result<bool> {
    let mutation = Mutation::system("bootstrap", "the first token of a new database");
    parts.control.bootstrap_token(mutation, id, hash).await.context("cannot store the first token")
}

/// Writes a new file that only its owner can read.
fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.write_all(b"\n")?;
    file.sync_all()
}
