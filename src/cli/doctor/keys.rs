//! Whether every replica opens every stored secret.

use std::collections::BTreeSet;

use tonic::Code;

use super::finding::{Finding, Report, within};
use crate::cli::client::Client;
use crate::proto::v1::credential_service_client::CredentialServiceClient;
use crate::proto::v1::{GetKeyringRequest, Keyring, ListCredentialsRequest};

/// Credentials are looked through so far.
const PAGES: usize = 20;

pub async fn examine(client: &mut Client, report: &mut Report) {
    let request = client.request(GetKeyringRequest {});
    report.add(match within(client.admin.get_keyring(request)).await {
        Ok(answer) => ring(&answer.into_inner().keyring.unwrap_or_default()),
        Err(status) if status.code() == Code::PermissionDenied => {
            Finding::skip("keys", "only an admin may ask for the master keys")
        }
        Err(status) => Finding::refused("keys", &status),
    });
    report.add(secrets(client).await);
}

fn ring(keyring: &Keyring) -> Finding {
    let replicas: BTreeSet<_> = keyring.keys.iter().flat_map(|key| &key.readable_by).collect();
    let needed = keyring.keys.iter().filter(|key| key.active || key.secret_count > 0);
    let missing: Vec<_> = needed
        .filter(|key| key.readable_by.len() < replicas.len().max(1))
        .map(|key| format!("{} ({} of {} replicas)", key.id, key.readable_by.len(), replicas.len()))
        .collect();
    if !missing.is_empty() {
        return Finding::fail(
            "keys",
            format!("master keys that are in use and not read everywhere: {}", missing.join(", ")),
            "put these lines into the key file of every replica, then send SIGHUP or restart it",
        );
    }
    match keyring.rewrap {
        Some(rewrap) if rewrap.running => Finding::ok(
            "keys",
            format!("a rotation runs: {} of {} secrets are under the new key", rewrap.done, rewrap.total),
        ),
        _ => Finding::ok("keys", format!("{} replicas read the active key {}", replicas.len(), keyring.active_key_id)),
    }
}

/// Whether the server that answers opens all credentials.
async fn secrets(client: &Client) -> Finding {
    let mut credentials = CredentialServiceClient::new(client.channel.clone());
    let mut request = ListCredentialsRequest { page_size: 1000, ..ListCredentialsRequest::default() };
    let (mut all, mut closed) = (0_usize, Vec::new());
    for _ in 0..PAGES {
        let page = match within(credentials.list_credentials(client.request(request.clone()))).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Finding::refused("secrets", &status),
        };
        all += page.credentials.len();
        closed.extend(page.credentials.into_iter().filter(|one| !one.decryptable).map(|one| one.id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let more = if request.page_token.is_empty() { "" } else { " looked at" };
    let Some(first) = closed.first() else {
        return Finding::ok("secrets", format!("the secrets of {all} credentials{more} can be opened"));
    };
    Finding::fail(
        "secrets",
        format!("the secrets of {} of {all} credentials{more} cannot be opened, the first is {first}", closed.len()),
        "put back the master key that sealed them (`modelward keys status` names it), or rotate these credentials",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;
    use crate::proto::v1::MasterKey;

    fn key(id: &str, active: bool, secret_count: i64, readable_by: &[&str]) -> MasterKey {
        let readable_by = readable_by.iter().map(ToString::to_string).collect();
        MasterKey { id: id.to_owned(), active, secret_count, readable_by, retirable: false }
    }

    fn found(keys: Vec<MasterKey>) -> (State, String) {
        let finding = ring(&Keyring { keys, active_key_id: "k2".to_owned(), ..Keyring::default() });
        (finding.state, finding.detail)
    }

    #[test]
    fn a_key_in_use_has_to_be_read_everywhere() {
        assert_eq!(found(vec![key("k2", true, 3, &["a", "b"])]).0, State::Ok);
        assert_eq!(
            found(vec![key("k2", true, 3, &["a", "b"]), key("k3", false, 0, &["a"])]).0,
            State::Ok,
            "not in use"
        );
        let (state, detail) = found(vec![key("k1", false, 3, &["a"]), key("k2", true, 3, &["a", "b"])]);
        assert_eq!(state, State::Fail);
        assert!(detail.ends_with("k1 (1 of 2 replicas)"), "{detail}");
        assert_eq!(found(vec![key("k2", true, 0, &[])]).0, State::Fail, "nobody reads it");
    }
}
