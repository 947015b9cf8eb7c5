//! Every settable scalar, bool and enum is `optional`: 0 and "" are values, defaults apply to absent fields only.

use std::collections::BTreeSet;

use prost_types::FileDescriptorProto;

use super::{comment, files, is_plain, public_messages};

/// Fields of requests that are plain, and why. `*` stands for any request, `List*` for those that list.
const PLAIN: &[(&str, &str, &str)] = &[
    ("*", "id", "an empty id is a bad one"),
    ("*", "provider_id", "an empty id is a bad one, in filters none"),
    ("*", "resource_id", "an empty id is a bad one, in filters none"),
    ("*", "request_id", "empty is none"),
    ("*", "reason", "empty is none"),
    ("*", "validate_only", "a flag that is off"),
    ("List*", "page_size", "0 is the default size"),
    ("List*", "page_token", "empty is the first page"),
    ("List*", "order_by", "empty is the default order"),
    ("List*", "query", "empty is any"),
    ("List*", "name", "empty is any"),
    ("List*", "alias", "empty is any"),
    ("List*", "model_id", "empty is any"),
    ("List*", "credential_id", "empty is any"),
    ("List*", "consumer", "empty is any"),
    ("List*", "purpose", "empty is any"),
    ("List*", "actor", "empty is any"),
    ("List*", "identity", "empty is any"),
    ("List*", "client", "empty is any"),
    ("List*", "replica", "empty is any"),
    ("ListProvidersRequest", "show_deleted", "a flag that is off"),
    ("DeleteProviderRequest", "purge", "a flag that is off"),
    ("CreateEndpointRequest", "set_default", "a flag that is off"),
    ("CreateModelRequest", "set_default", "a flag that is off"),
    ("CreateCredentialRequest", "deny_all_hosts", "a flag that is off"),
    ("RotateCredentialRequest", "validate_first", "a flag that is off"),
    ("AccessCredentialRequest", "secret_version", "0 is the current one"),
    ("SyncModelsRequest", "dry_run", "a flag that is off"),
    ("SyncModelsRequest", "force", "a flag that is off"),
    ("ResolveTargetRequest", "include_secret", "a flag that is off"),
    ("BindingSelector", "consumer", "empty is a bad one"),
    ("Outcome", "endpoint_id", "empty is none"),
    ("Outcome", "credential_id", "empty is none"),
    ("Outcome", "model_id", "empty is none"),
    ("WatchRequest", "resume_token", "empty is from now"),
    ("WatchRequest", "include_state", "a flag that is off"),
    ("WatchRequest", "show_deleted", "a flag that is off"),
    ("WatchRequest", "client_name", "empty is none"),
    ("ReportOutcomeRequest", "report_id", "empty is none"),
    ("AckRequest", "watch_id", "an empty id is a bad one"),
    ("AckRequest", "resume_token", "an empty one is a bad one"),
    ("GetResourceAtRequest", "revision", "0 is a bad one"),
    ("RollbackResourceRequest", "revision", "0 is a bad one"),
    ("RotateMasterKeyRequest", "key_id", "empty is the newest"),
    ("SetLogFilterRequest", "filter", "empty is the one of the settings"),
];

/// The place of the exception for a field, if there is one.
fn exception(message: &str, field: &str) -> Option<usize> {
    PLAIN.iter().position(|(pattern, name, _)| {
        let fits = match *pattern {
            "*" => message.ends_with("Request"),
            "List*" => message.starts_with("List") && message.ends_with("Request"),
            exact => exact == message,
        };
        fits && *name == field
    })
}

/// Settable fields whose absence cannot be told, and which exceptions were needed.
fn without_presence(files: &[FileDescriptorProto]) -> (Vec<String>, BTreeSet<usize>) {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for (file, message) in public_messages(files) {
        let index = file.message_type.iter().position(|found| found == message).unwrap();
        let path = [4, i32::try_from(index).unwrap()];
        if message.name().ends_with("Response") || comment(file, &path).contains("Output only.") {
            continue;
        }
        for (place, field) in (0..).zip(&message.field) {
            let output = comment(file, &[path[0], path[1], 2, place]).starts_with("Output only.");
            if output || !is_plain(field) || field.oneof_index.is_some() {
                continue;
            }
            match exception(message.name(), field.name()) {
                Some(exception) => _ = used.insert(exception),
                None => problems.push(format!("{}.{}: not optional", message.name(), field.name())),
            }
        }
    }
    (problems, used)
}

#[test]
fn every_settable_field_can_be_absent() {
    let (problems, used) = without_presence(&files());
    assert_eq!(problems, Vec::<String>::new());
    let unused: Vec<_> = (0..PLAIN.len()).filter(|index| !used.contains(index)).map(|index| PLAIN[index]).collect();
    assert_eq!(unused, [], "exceptions that nothing needs");
}

#[test]
fn a_settable_field_that_is_not_optional_is_noticed() {
    for (name, field) in [("Endpoint", "weight"), ("Provider", "kind"), ("UpdateModelStatusRequest", "is_active")] {
        let mut files = files();
        let messages = files.iter_mut().flat_map(|file| &mut file.message_type);
        let message = messages.into_iter().find(|message| message.name() == name).unwrap();
        let field = message.field.iter_mut().find(|found| found.name() == field).unwrap();
        field.proto3_optional = None;
        field.oneof_index = None;
        assert_eq!(without_presence(&files).0.len(), 1, "{name}");
    }
}
