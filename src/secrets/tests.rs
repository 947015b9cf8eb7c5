//! Promises S3 and S6 at their source: nothing sealed can be altered, moved or downgraded, and wrong keys fail
//! closed with a message that names key ids only.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;
use crate::domain::keyring::WrappedKey;
use crate::domain::secret::{CredentialSecret, SealedSecret, SecretText};
use crate::domain::{ChainHash, CredentialId, Error, Revision, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1);
const CLUSTER: Uuid = Uuid::from_u128(0xc1);

fn line(id: &str) -> String {
    generate_key_line(Some(id)).unwrap().to_string()
}

fn ring(lines: &[&str]) -> KeyRing {
    let source = KeySource::Text(Zeroizing::new(lines.join(",")));
    KeyRing::load(source).unwrap_or_else(|error| panic!("{error}"))
}

fn cluster(ring: &KeyRing, id: Uuid) -> (Secrets, Vec<WrappedKey>) {
    let active = ring.first_id();
    let (keys, stored) = ClusterKeys::create(ring, &active, id).unwrap_or_else(|error| panic!("{error}"));
    (Secrets::new(ring.clone(), keys, id), stored)
}

fn credential(number: u128) -> CredentialId {
    CredentialId::new(Uuid::from_u128(number))
}

fn secret(text: &str) -> CredentialSecret {
    CredentialSecret {
        api_key: Some(SecretText::new(format!("sk-{text}"))),
        session_token: Some(SecretText::new(text.repeat(3))),
        ..CredentialSecret::default()
    }
}

fn sealed(secrets: &Secrets, id: u128, version: i64) -> SealedSecret {
    let plain = secret(&format!("plain-{id}-{version}"));
    secrets.seal(&secrets.ring().first_id(), credential(id), version, NOW, &plain).unwrap()
}

fn is_refused(secrets: &Secrets, sealed: &SealedSecret) -> bool {
    match secrets.open(sealed) {
        Ok(_) => false,
        Err(SecretError::Unreadable { credential_id, key_id, .. }) => {
            credential_id == sealed.credential_id.uuid() && key_id == sealed.master_key_id
        }
        Err(other) => panic!("{other}"),
    }
}

fn bits(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        altered
    })
}

#[test]
fn a_sealed_secret_opens_to_what_was_sealed() {
    let (secrets, stored) = cluster(&ring(&[&line("a")]), CLUSTER);
    let row = sealed(&secrets, 1, 1);
    assert_eq!((row.credential_id, row.version, row.create_time), (credential(1), 1, NOW));
    assert!(secrets.open(&row) == Ok(secret("plain-1-1")));
    let restarted = ClusterKeys::open(secrets.ring(), CLUSTER, &stored).ok().unwrap();
    assert_eq!(restarted.fingerprint(&secret("x")), secrets.fingerprint(&secret("x")));
    let restarted = Secrets::new(secrets.ring().clone(), restarted, CLUSTER);
    assert!(restarted.open(&row) == Ok(secret("plain-1-1")));
}

#[test]
fn two_seals_of_one_secret_share_no_bytes() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let (one, two) = (sealed(&secrets, 1, 1), sealed(&secrets, 1, 1));
    assert!(one.ciphertext[1..17] != two.ciphertext[1..17] && one.wrapped_key[1..17] != two.wrapped_key[1..17]);
    let plain = b"plain-1-1";
    assert!(!one.ciphertext.windows(plain.len()).any(|window| window == plain));
}

#[test]
fn s3_every_flipped_bit_and_every_cut_of_50_rows_is_refused() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    for id in 0..50 {
        let row = sealed(&secrets, id, 1);
        for ciphertext in bits(&row.ciphertext) {
            assert!(is_refused(&secrets, &SealedSecret { ciphertext: ciphertext.into(), ..row.clone() }));
        }
        for wrapped_key in bits(&row.wrapped_key) {
            assert!(is_refused(&secrets, &SealedSecret { wrapped_key: wrapped_key.into(), ..row.clone() }));
        }
        for end in 0..row.ciphertext.len() {
            let ciphertext = Arc::from(&row.ciphertext[..end]);
            assert!(is_refused(&secrets, &SealedSecret { ciphertext, ..row.clone() }));
        }
        for end in 0..row.wrapped_key.len() {
            let wrapped_key = Arc::from(&row.wrapped_key[..end]);
            assert!(is_refused(&secrets, &SealedSecret { wrapped_key, ..row.clone() }));
        }
        assert!(!is_refused(&secrets, &row));
    }
}

#[test]
fn s3_every_swap_between_rows_versions_and_clusters_is_refused() {
    let ring = ring(&[&line("a"), &line("b")]);
    let (secrets, _) = cluster(&ring, CLUSTER);
    let (elsewhere, _) = cluster(&ring, Uuid::from_u128(0xc2));
    // 20 rows in each of two clusters with the same master keys: 5 credentials × 4 versions.
    let places: Vec<(u128, i64)> = (0..5).flat_map(|id| (1..5).map(move |version| (id, version))).collect();
    let rows = |secrets: &Secrets| places.iter().map(|&(id, v)| sealed(secrets, id, v)).collect::<Vec<_>>();
    let (here, there) = (rows(&secrets), rows(&elsewhere));
    let mut swaps = 0;
    for (at, row) in here.iter().enumerate() {
        for (from, other) in here.iter().chain(&there).enumerate() {
            if from == at {
                continue;
            }
            swaps += 1;
            let ciphertext = || Arc::clone(&other.ciphertext);
            let wrapped_key = || Arc::clone(&other.wrapped_key);
            assert!(is_refused(&secrets, &SealedSecret { ciphertext: ciphertext(), ..row.clone() }));
            assert!(is_refused(&secrets, &SealedSecret { wrapped_key: wrapped_key(), ..row.clone() }));
            let both = SealedSecret { ciphertext: ciphertext(), wrapped_key: wrapped_key(), ..row.clone() };
            assert!(is_refused(&secrets, &both), "{other:?} as {row:?}");
        }
    }
    assert_eq!(swaps, 20 * 39);
    assert!(here.iter().all(|row| !is_refused(&secrets, row)));
}

#[test]
fn s3_a_row_sealed_twice_cannot_mix_its_halves() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let (one, two) = (sealed(&secrets, 1, 1), sealed(&secrets, 1, 1));
    assert!(is_refused(&secrets, &SealedSecret { ciphertext: two.ciphertext, ..one }));
}

#[test]
fn s3_a_box_of_one_kind_does_not_pass_for_another() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let row = sealed(&secrets, 1, 1);
    let ciphertext = Arc::clone(&row.wrapped_key);
    assert!(is_refused(&secrets, &SealedSecret { ciphertext, ..row.clone() }));
    let wrapped_key = Arc::clone(&row.ciphertext);
    assert!(is_refused(&secrets, &SealedSecret { wrapped_key, ..row }));
}

#[test]
fn s3_the_name_of_the_master_key_is_part_of_what_is_sealed() {
    let (a, b) = (line("a"), line("b"));
    let (secrets, _) = cluster(&ring(&[&a, &b]), CLUSTER);
    let row = sealed(&secrets, 1, 1);
    assert!(is_refused(&secrets, &SealedSecret { master_key_id: "b".into(), ..row.clone() }));
    // The same key under another name opens nothing either.
    let renamed = ring(&[&a, &a.replacen('a', "c", 1)]);
    let (renamed, _) = cluster(&renamed, CLUSTER);
    assert!(is_refused(&renamed, &SealedSecret { master_key_id: "c".into(), ..row.clone() }));
    assert!(!is_refused(&renamed, &row));
}

#[test]
fn a_rewrap_keeps_the_ciphertext_and_needs_only_the_new_key() {
    let (a, b) = (line("a"), line("b"));
    let (secrets, stored) = cluster(&ring(&[&a, &b]), CLUSTER);
    let row = SealedSecret { expire_time: Some(NOW), ..sealed(&secrets, 1, 7) };
    let moved = secrets.rewrap(&row, "b").unwrap();
    assert!(Arc::ptr_eq(&moved.ciphertext, &row.ciphertext) && moved.wrapped_key != row.wrapped_key);
    assert_eq!((moved.version, moved.expire_time, moved.create_time), (7, Some(NOW), NOW));
    let stored = secrets.rewrap_keys(&stored, "b").unwrap();
    assert!(stored.iter().all(|key| key.master_key_id == "b"));

    let only_b = ring(&[&b]);
    let keys = ClusterKeys::open(&only_b, CLUSTER, &stored).ok().unwrap();
    assert_eq!(keys.fingerprint(&secret("x")), secrets.fingerprint(&secret("x")));
    let later = Secrets::new(only_b, keys, CLUSTER);
    assert!(later.open(&moved) == Ok(secret("plain-1-7")));
    assert!(is_refused(&later, &row));
    assert!(is_refused(&later, &SealedSecret { wrapped_key: Arc::clone(&row.wrapped_key), ..moved.clone() }));
    assert!(later.rewrap(&row, "b").is_err());
    let unknown = later.rewrap(&moved, "z").unwrap_err();
    assert_eq!(unknown.to_string(), "this database needs the master key z; the ring holds b");
}

#[test]
fn s3_cluster_keys_cannot_be_altered_or_swapped() {
    let ring = ring(&[&line("a"), &line("b")]);
    let (_, stored) = cluster(&ring, CLUSTER);
    let (_, others) = cluster(&ring, Uuid::from_u128(0xc2));
    assert_eq!(stored.len(), 4);
    let refused =
        |stored: &[WrappedKey]| matches!(ClusterKeys::open(&ring, CLUSTER, stored), Err(SecretError::WrongKey { .. }));
    for at in 0..stored.len() {
        let with = |wrapped: Vec<u8>| {
            let mut altered = stored.clone();
            altered[at].wrapped = wrapped;
            altered
        };
        assert!(bits(&stored[at].wrapped).all(|wrapped| refused(&with(wrapped))));
        let swaps = stored.iter().chain(&others).enumerate().filter(|(from, _)| *from != at);
        assert!(swaps.map(|(_, other)| with(other.wrapped.clone())).all(|altered| refused(&altered)));
        let mut renamed = stored.clone();
        renamed[at].master_key_id = "b".into();
        assert!(refused(&renamed));
    }
    assert!(refused(&others));
    assert!(!refused(&stored));
}

#[test]
fn a_cluster_key_that_is_missing_or_there_twice_is_told_by_its_purpose() {
    let ring = ring(&[&line("a")]);
    let (_, stored) = cluster(&ring, CLUSTER);
    for at in 0..stored.len() {
        let mut without = stored.clone();
        let gone = without.remove(at);
        let error = ClusterKeys::open(&ring, CLUSTER, &without).err().unwrap();
        assert!(matches!(error, SecretError::Incomplete { purpose, found: 0 } if purpose == gone.purpose));
        let twice = [&stored[..], &[gone]].concat();
        assert!(matches!(ClusterKeys::open(&ring, CLUSTER, &twice), Err(SecretError::Incomplete { found: 2, .. })));
    }
}

#[test]
fn s6_wrong_and_missing_master_keys_are_refused_naming_ids_only() {
    let a = line("prod-1");
    let (secrets, stored) = cluster(&ring(&[&a]), CLUSTER);
    let refusal = |lines: &[&str]| ClusterKeys::open(&ring(lines), CLUSTER, &stored).err().unwrap().to_string();
    assert_eq!(refusal(&[&line("x"), &line("y")]), "this database needs the master key prod-1; the ring holds x, y");
    let other = line("prod-1");
    assert_eq!(
        refusal(&[&other]),
        "the master key prod-1 is not the one this database was sealed with, or its canary key is damaged; \
         the ring holds prod-1"
    );

    let row = sealed(&secrets, 1, 1);
    let (wrong, _) = cluster(&ring(&[&other]), CLUSTER);
    let (missing, _) = cluster(&ring(&[&line("x")]), CLUSTER);
    assert!(is_refused(&wrong, &row) && is_refused(&missing, &row));
    let error = missing.open(&row).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "a stored secret of the credential {} does not open with the master key prod-1: the ring does not hold it",
            row.credential_id
        )
    );
    let told = Error::from(error);
    assert_eq!(told, Error::SecretUnreadable { credential_id: row.credential_id.uuid(), key_id: "prod-1".into() });
}

#[test]
fn fingerprints_tell_equal_secrets_within_one_cluster_only() {
    let ring = ring(&[&line("a")]);
    let ((one, _), (two, _)) = (cluster(&ring, CLUSTER), cluster(&ring, CLUSTER));
    assert_eq!(one.fingerprint(&secret("x")), one.fingerprint(&secret("x")));
    assert_eq!(one.fingerprint(&secret("x")).len(), 32);
    assert_ne!(one.fingerprint(&secret("x")), one.fingerprint(&secret("y")));
    assert_ne!(one.fingerprint(&secret("x")), two.fingerprint(&secret("x")));
    let text = || Some(SecretText::new("same-text".into()));
    let api = CredentialSecret { api_key: text(), ..CredentialSecret::default() };
    let token = CredentialSecret { access_token: text(), ..CredentialSecret::default() };
    assert_ne!(one.fingerprint(&api), one.fingerprint(&token));
}

#[test]
fn the_chain_depends_on_each_of_its_inputs() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let (other, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let hash = |revision, ordinal, previous: u8, payload: &[u8]| {
        secrets.chain(Revision(revision), ordinal, &ChainHash([previous; 32]), payload)
    };
    let first = hash(1, 0, 0, b"payload");
    assert_eq!(first, hash(1, 0, 0, b"payload"));
    let different = [
        hash(2, 0, 0, b"payload"),
        hash(1, 1, 0, b"payload"),
        hash(1, 0, 1, b"payload"),
        hash(1, 0, 0, b"payloae"),
        hash(1, 0, 0, b""),
        other.chain(Revision(1), 0, &ChainHash([0; 32]), b"payload"),
    ];
    assert!(different.iter().all(|hash| *hash != first));
}

#[test]
fn request_hashes_tell_rpc_and_bytes_apart() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let first = secrets.request_hash("CreateModel", b"bytes");
    assert_eq!(first, secrets.request_hash("CreateModel", b"bytes"));
    assert_ne!(first, secrets.request_hash("CreateModelb", b"ytes"));
    assert_ne!(first, secrets.request_hash("CreateMode", b"lbytes"));
    assert_ne!(first, secrets.request_hash("CreateModel", b"byteS"));
}

#[test]
fn an_unknown_active_key_seals_nothing() {
    let (secrets, _) = cluster(&ring(&[&line("a")]), CLUSTER);
    let error = secrets.seal("b", credential(1), 1, NOW, &secret("x")).err().unwrap();
    assert_eq!(error.to_string(), "this database needs the master key b; the ring holds a");
    assert!(ClusterKeys::create(secrets.ring(), "b", CLUSTER).is_err());
    assert!(matches!(Error::from(error), Error::Internal { .. }));
}

/// Does not compile if one of the types can be printed: the two implementations would then be ambiguous.
macro_rules! cannot_be_printed {
    ($trait:path: $($type:ty),+ $(,)?) => {$(
        const _: () = {
            trait Ambiguous<A> {
                const HERE: () = ();
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::HERE
        };
    )+};
}

cannot_be_printed!(fmt::Debug: cipher::Key, MasterKeys, KeySource, KeyRing, ClusterKeys, Secrets, ParsedToken);
cannot_be_printed!(fmt::Debug: CredentialSecret, SecretText);
cannot_be_printed!(fmt::Display: cipher::Key, MasterKeys, KeySource, KeyRing, ClusterKeys, Secrets, SecretText);
