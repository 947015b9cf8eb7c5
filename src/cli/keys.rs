//! `modelward keys`: the master keys that seal the stored secrets. No verb shows a key that is in use.

use std::time::Duration;

use clap::Subcommand;

use super::client::{Client, refusal};
use super::token::Call;
use super::{output, table};
use crate::proto::v1::{GetKeyringRequest, Keyring, RotateMasterKeyRequest};
use crate::secrets::generate_key_line;

/// Makes a master key, shows which are in use, or rotates them
#[derive(Subcommand)]
#[command(after_help = "\
Rotating without an interruption:
  modelward keys generate --id k2 >> master.key    a further line in the key file of every replica
  modelward keys rotate --to k2 --wait             seals everything under it while the servers run
  modelward keys status                            shows which keys can be taken out of the files")]
pub enum Keys {
    /// Prints one new key as a line of a key file
    #[command(after_help = "Example:\n  (umask 077; modelward keys generate > master.key)")]
    Generate {
        /// The key's id; without it, one that follows from the key
        #[arg(long)]
        id: Option<String>,
    },
    /// Shows the keys by their ids: which is active, how many secrets each seals, who reads it, what may be removed
    Status {
        #[command(flatten)]
        call: Call,
    },
    /// Makes a key the active one and seals every stored secret under it, while the server runs
    Rotate {
        /// The key's id; without it, the newest one that is not active
        #[arg(long, value_name = "ID", default_value = "")]
        to: String,
        /// Returns only when every secret is under the new key
        #[arg(long)]
        wait: bool,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        call: Call,
    },
}

/// How often `--wait` looks.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Keys {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Generate { id } => {
                let line = generate_key_line(id.as_deref())?;
                Ok(output::data(&format!("{}\n", line.as_str()))?)
            }
            Self::Status { call } => {
                let keyring = keyring(&mut call.connect().await?).await?;
                Ok(output::data(&shown(&keyring))?)
            }
            Self::Rotate { to, wait, reason, call } => {
                let mut client = call.connect().await?;
                let message = RotateMasterKeyRequest { key_id: to, reason, ..RotateMasterKeyRequest::default() };
                let request = client.request(message);
                let answer = client.admin.rotate_master_key(request).await.map_err(|status| refusal(&status))?;
                let mut now = answer.into_inner().keyring.unwrap_or_default();
                output::note(&format!("modelward: the active key is {}", now.active_key_id));
                while wait && now.rewrap.is_some_and(|rewrap| rewrap.running) {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    now = keyring(&mut client).await?;
                }
                Ok(output::data(&shown(&now))?)
            }
        }
    }
}

async fn keyring(client: &mut Client) -> anyhow::Result<Keyring> {
    let request = client.request(GetKeyringRequest {});
    let answer = client.admin.get_keyring(request).await.map_err(|status| refusal(&status))?;
    Ok(answer.into_inner().keyring.unwrap_or_default())
}

fn shown(keyring: &Keyring) -> String {
    let rows: Vec<_> = keyring
        .keys
        .iter()
        .map(|key| {
            let state = match (key.active, key.retirable) {
                (true, _) => "active",
                (false, true) => "removable",
                (false, false) => "in use",
            };
            [key.id.clone(), state.to_owned(), key.secret_count.to_string(), key.readable_by.len().to_string()]
        })
        .collect();
    let keys = table::table(["KEY", "STATE", "SECRETS", "REPLICAS"], &rows);
    match &keyring.rewrap {
        Some(rewrap) if rewrap.running => format!("{keys}{} of {} secrets are under it\n", rewrap.done, rewrap.total),
        _ => keys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{MasterKey, RewrapProgress};

    #[test]
    fn the_ring_is_shown_by_ids_and_counts() {
        let key = |id: &str, active, retirable, secret_count| MasterKey {
            id: id.to_owned(),
            active,
            secret_count,
            retirable,
            readable_by: vec!["r1".to_owned(), "r2".to_owned()],
        };
        let keyring = Keyring {
            keys: vec![key("k1", false, false, 3), key("k2", true, false, 7), key("k0", false, true, 0)],
            rewrap: Some(RewrapProgress { running: true, total: 10, done: 7 }),
            ..Keyring::default()
        };
        let expected = "\
KEY  STATE      SECRETS  REPLICAS
k1   in use     3        2
k2   active     7        2
k0   removable  0        2
7 of 10 secrets are under it
";
        assert_eq!(shown(&keyring), expected);
    }
}
