//! Which credential goes with a call to a host.

use std::sync::Arc;

use crate::domain::credential::Credential;
use crate::domain::endpoint::Host;
use crate::domain::error::{Error, Result};
use crate::domain::id::{CredentialId, ProviderId};
use crate::domain::time::Timestamp;
use crate::domain::view::View as _;
use crate::snapshot::{Board, Sealed, Snapshot};

/// Why there is no credential for a call although one is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// None is active, unrevoked and unexpired.
    NoneUsable,
    /// The usable ones may not be sent to this host.
    HostNotAllowed { host: Host, credential_id: CredentialId },
    /// The secrets of those that may be sent cannot be opened.
    Unreadable { credential_id: CredentialId, key_id: String },
}

impl Missing {
    /// What clients are told; none where there is no reason for it: the caller knows what it was about.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        match self {
            Self::NoneUsable => None,
            Self::HostNotAllowed { host, credential_id } => {
                Some(Error::HostNotAllowed { host: host.to_string(), credential_id: credential_id.uuid() })
            }
            Self::Unreadable { credential_id, key_id } => {
                Some(Error::SecretUnreadable { credential_id: credential_id.uuid(), key_id: key_id.clone() })
            }
        }
    }
}

/// The credentials of a provider that may be sent to `host` at `now`, least recently used first, those never used
/// before all. `readable` tells whether a sealed secret can be opened. Empty: the kind needs none and none is there.
///
/// # Errors
/// [`Error::NotFound`] outside; inside, why none is left. A self-hosted provider whose credentials are all barred is
/// told so too, instead of being called without a key.
pub fn credentials_for(
    snapshot: &Snapshot,
    board: &Board,
    now: Timestamp,
    provider: ProviderId,
    host: &Host,
    readable: impl Fn(&Sealed) -> bool,
) -> Result<Result<Vec<Arc<Credential>>, Missing>> {
    let needed = snapshot.live_provider(provider)?.kind.requires_credential();
    let mut missing = needed.then_some(Missing::NoneUsable);
    let mut found = Vec::new();
    for credential in snapshot.credentials_of(provider).into_iter().filter(|credential| credential.is_usable(now)) {
        let sealed = snapshot.sealed(credential.id, credential.secret_version);
        if !credential.allowed_hosts.allow(host) {
            if matches!(missing, None | Some(Missing::NoneUsable)) {
                missing = Some(Missing::HostNotAllowed { host: host.clone(), credential_id: credential.id });
            }
        } else if sealed.is_some_and(|sealed| readable(sealed)) {
            found.push(credential);
        } else {
            let key_id = sealed.map(|sealed| sealed.master_key_id.clone()).unwrap_or_default();
            missing = Some(Missing::Unreadable { credential_id: credential.id, key_id });
        }
    }
    found.sort_by_key(|credential| {
        let usage = board.credential_usage(credential.id);
        (usage.and_then(|usage| usage.value().last_use_time), credential.id)
    });
    Ok(match missing {
        Some(missing) if found.is_empty() => Err(missing),
        _ => Ok(found),
    })
}

/// The first of [`credentials_for`]; none where none is needed.
///
/// # Errors
/// As [`credentials_for`].
pub fn credential_for(
    snapshot: &Snapshot,
    board: &Board,
    now: Timestamp,
    provider: ProviderId,
    host: &Host,
    readable: impl Fn(&Sealed) -> bool,
) -> Result<Result<Option<Arc<Credential>>, Missing>> {
    let found = credentials_for(snapshot, board, now, provider, host, readable)?;
    Ok(found.map(|found| found.into_iter().next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credential::AllowedHosts;
    use crate::domain::image::{Image, StatusBatch, StatusRevision, StatusValue};
    use crate::domain::provider::{Provider, ProviderKind};
    use crate::domain::usage::CredentialUsage;
    use crate::snapshot::StatusBoard;
    use crate::snapshot::fixtures::{self, at, id};

    fn image(credentials: impl IntoIterator<Item = Credential>) -> Image {
        let mut image = fixtures::image();
        image.providers.push(Arc::new(fixtures::provider(1)));
        image.credentials = credentials.into_iter().map(Arc::new).collect();
        let sealed = |credential: &Arc<Credential>| fixtures::sealed(credential.id.uuid().as_u128(), 1);
        image.sealed = image.credentials.iter().map(sealed).collect();
        image
    }

    fn found(image: Image, board: &Board) -> Result<Vec<u128>, Missing> {
        let host = Host::parse(fixtures::HOST).unwrap();
        let readable = |sealed: &Sealed| sealed.master_key_id == "k1";
        let found = credentials_for(&Snapshot::from_image(image), board, at(100), id(1), &host, readable).unwrap();
        found.map(|found| found.iter().map(|credential| credential.id.uuid().as_u128()).collect())
    }

    #[test]
    fn the_least_recently_used_comes_first() {
        let board = StatusBoard::default();
        let used = |number, time| {
            let usage = CredentialUsage { last_use_time: Some(at(time)), ..CredentialUsage::default() };
            StatusValue::CredentialUsage(id(number), usage)
        };
        board.apply(&StatusBatch { revision: StatusRevision(1), values: vec![used(1, 30), used(2, 20)] });
        let all = [1, 2, 3].map(|number| fixtures::credential(number, 1));
        assert_eq!(found(image(all), &board.load()).unwrap(), [3, 2, 1]);
    }

    #[test]
    fn only_usable_allowed_and_readable_ones_are_sent() {
        let base = |number| fixtures::credential(number, 1);
        let all = [
            Credential { is_active: false, ..base(1) },
            Credential { revoke_time: Some(at(1)), ..base(2) },
            Credential { expire_time: Some(at(100)), ..base(3) },
            Credential { allowed_hosts: AllowedHosts::default(), ..base(4) },
            Credential { secret_version: 2, ..base(5) },
            base(6),
            base(7),
        ];
        let mut image = image(all);
        image.sealed[5].master_key_id = "lost".into();
        assert_eq!(found(image, &Board::default()).unwrap(), [7]);
    }

    #[test]
    fn what_is_missing_is_told() {
        let board = Board::default();
        let base = fixtures::credential(1, 1);
        assert_eq!(found(image([]), &board).unwrap_err(), Missing::NoneUsable);
        let barred = Credential { allowed_hosts: AllowedHosts::default(), ..base.clone() };
        let missing = found(image([barred.clone()]), &board).unwrap_err();
        assert!(matches!(missing.error(), Some(Error::HostNotAllowed { .. })));
        let lost = Credential { secret_version: 9, ..fixtures::credential(2, 1) };
        let missing = found(image([lost, barred.clone()]), &board).unwrap_err();
        assert!(matches!(missing, Missing::Unreadable { .. }));

        let self_hosted = |credentials: Vec<Credential>| Image {
            providers: vec![Arc::new(Provider { kind: ProviderKind::Ollama, ..fixtures::provider(1) })],
            ..image(credentials)
        };
        assert!(found(self_hosted(Vec::new()), &board).unwrap().is_empty());
        assert!(matches!(found(self_hosted(vec![barred]), &board), Err(Missing::HostNotAllowed { .. })));
        assert_eq!(found(self_hosted(vec![base]), &board).unwrap(), [1]);
    }
}
