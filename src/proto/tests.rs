//! What the proto files promise, checked on their descriptors: comments, names, presence, the contract's list of
//! methods and reasons. Each check is a function that lists problems, so that a test can prove that it bites.

pub(crate) mod comments;
mod contract;
mod limits;
mod names;
mod presence;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::{DESCRIPTOR, REFLECTION_DESCRIPTOR, v1};

/// Our own files; imports such as `google/protobuf/timestamp.proto` left out.
fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(DESCRIPTOR).unwrap();
    set.file.into_iter().filter(|file| file.package().starts_with("modelward.")).collect()
}

fn public_messages(files: &[FileDescriptorProto]) -> impl Iterator<Item = (&FileDescriptorProto, &DescriptorProto)> {
    let public = files.iter().filter(|file| file.package() == "modelward.v1");
    public.flat_map(|file| file.message_type.iter().map(move |message| (file, message)))
}

fn message<'a>(files: &'a [FileDescriptorProto], name: &str) -> &'a DescriptorProto {
    let found = public_messages(files).find(|(_, message)| message.name() == name);
    found.unwrap_or_else(|| panic!("no message {name}")).1
}

/// A field that holds one value which is not a message.
fn is_plain(field: &FieldDescriptorProto) -> bool {
    field.label() != Label::Repeated && field.r#type() != Type::Message
}

fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let info = file.source_code_info.as_ref().unwrap();
    let place = info.location.iter().find(|location| location.path == path);
    place.map(|location| location.leading_comments().trim().to_owned()).unwrap_or_default()
}

#[test]
fn debug_shows_which_secrets_are_set_but_not_what_they_are() {
    let secret = v1::CredentialSecret {
        api_key: Some("canary-1".into()),
        secret_key: Some("canary-2".into()),
        access_token: Some("canary-3".into()),
        session_token: None,
    };
    let create = v1::CreateCredentialRequest {
        credential: Some(v1::Credential { secret: Some(secret.clone()), ..Default::default() }),
        ..Default::default()
    };
    let target = v1::Target { secret: Some(secret), ..Default::default() };
    let token = v1::CreateTokenResponse { token: None, secret: "canary-4".into() };
    let shown = format!("{create:?} {target:#?} {token:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("api_key: <redacted>") && shown.contains("session_token: <none>"), "{shown}");
}

/// Every message with a text field that holds a secret must have its `Debug` written by hand.
#[test]
fn no_other_message_has_a_secret_of_its_own() {
    let files = files();
    let mut found = Vec::new();
    for (_, message) in public_messages(&files) {
        let is_secret = |name: &str| {
            matches!(name, "secret" | "api_key" | "secret_key" | "access_token" | "session_token" | "password")
        };
        if message.field.iter().any(|field| is_plain(field) && is_secret(field.name())) {
            found.push(message.name());
        }
    }
    found.sort_unstable();
    assert_eq!(found, ["CreateTokenResponse", "CredentialSecret"]);
}

#[test]
fn reflection_serves_the_public_package_with_its_imports_and_no_other() {
    let set = FileDescriptorSet::decode(REFLECTION_DESCRIPTOR).unwrap();
    let mut packages: Vec<_> = set.file.iter().map(FileDescriptorProto::package).collect();
    packages.sort_unstable();
    packages.dedup();
    assert_eq!(packages, ["google.protobuf", "modelward.v1"]);
    let names: Vec<_> = set.file.iter().map(FileDescriptorProto::name).collect();
    for file in &set.file {
        assert!(file.dependency.iter().all(|import| names.contains(&import.as_str())), "{}", file.name());
    }
}

#[test]
fn equal_messages_with_maps_encode_equally() {
    let labels = |keys: [&str; 3]| keys.map(|key| (key.to_owned(), key.to_owned())).into_iter().collect();
    let one = v1::Provider { labels: labels(["a", "b", "c"]), ..Default::default() };
    let other = v1::Provider { labels: labels(["c", "a", "b"]), ..Default::default() };
    assert_eq!(one.encode_to_vec(), other.encode_to_vec());
}
