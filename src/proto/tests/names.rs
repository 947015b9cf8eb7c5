//! The naming rules of buf's STANDARD lints, and the shape that requests and responses share.

use std::collections::BTreeMap;

use prost_types::{EnumDescriptorProto, FileDescriptorProto};

use super::{files, message, public_messages};

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_snake(name: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.split('_').all(word)
}

fn upper_snake(pascal: &str) -> String {
    let mut name = String::new();
    for c in pascal.chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

fn check_enum(item: &EnumDescriptorProto, problems: &mut Vec<String>) {
    let prefix = upper_snake(item.name());
    if !is_pascal(item.name()) {
        problems.push(format!("{}: not in PascalCase", item.name()));
    }
    for value in &item.value {
        let zero = value.number() == 0;
        if !value.name().starts_with(&format!("{prefix}_")) || !is_snake(&value.name().to_lowercase()) {
            problems.push(format!("{}: does not begin with {prefix}_", value.name()));
        }
        if zero != (value.name() == format!("{prefix}_UNSPECIFIED")) {
            problems.push(format!("{}: zero is {prefix}_UNSPECIFIED, and nothing else", value.name()));
        }
    }
    if item.value.first().is_none_or(|value| value.number() != 0) {
        problems.push(format!("{}: does not begin with zero", item.name()));
    }
}

fn check_services(file: &FileDescriptorProto, users: &mut BTreeMap<String, usize>, problems: &mut Vec<String>) {
    for service in &file.service {
        if !is_pascal(service.name()) || !service.name().ends_with("Service") {
            problems.push(format!("{}: not a …Service", service.name()));
        }
        for method in &service.method {
            for (name, suffix) in [(method.input_type(), "Request"), (method.output_type(), "Response")] {
                if name != format!(".{}.{}{suffix}", file.package(), method.name()) {
                    problems.push(format!("{}: {name} is not its own {suffix}", method.name()));
                }
                *users.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
}

fn badly_named(files: &[FileDescriptorProto]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut users = BTreeMap::new();
    for file in files {
        let (dir, base) = file.name().rsplit_once('/').unwrap_or_default();
        if dir != file.package().replace('.', "/") || file.package().rsplit('.').next() != Some("v1") {
            problems.push(format!("{}: not where its package says", file.name()));
        }
        if !base.strip_suffix(".proto").is_some_and(is_snake) || file.syntax() != "proto3" {
            problems.push(format!("{}: not a lower_snake_case proto3 file", file.name()));
        }
        for message in &file.message_type {
            if !is_pascal(message.name()) {
                problems.push(format!("{}: not in PascalCase", message.name()));
            }
            let synthetic =
                |name: &str| message.field.iter().any(|f| f.proto3_optional() && format!("_{}", f.name()) == name);
            let oneofs = message.oneof_decl.iter().map(prost_types::OneofDescriptorProto::name);
            let fields = message.field.iter().map(prost_types::FieldDescriptorProto::name);
            for name in fields.chain(oneofs.filter(|name| !synthetic(name))).filter(|name| !is_snake(name)) {
                problems.push(format!("{}.{name}: not in lower_snake_case", message.name()));
            }
            for item in &message.enum_type {
                check_enum(item, &mut problems);
            }
        }
        for item in &file.enum_type {
            check_enum(item, &mut problems);
        }
        check_services(file, &mut users, &mut problems);
    }
    problems.extend(users.iter().filter(|(_, uses)| **uses > 1).map(|(name, _)| format!("{name}: shared")));
    problems
}

#[test]
fn names_follow_the_rules() {
    assert_eq!(badly_named(&files()), Vec::<String>::new());
}

#[test]
fn a_bad_name_is_noticed() {
    type Break = fn(&mut FileDescriptorProto);
    let breaks: [(&str, Break); 8] = [
        ("package", |file| file.package = Some("modelward.v2".into())),
        ("message", |file| file.message_type[0].name = Some("create_provider".into())),
        ("field", |file| file.message_type[0].field[0].name = Some("baseUrl".into())),
        ("request", |file| file.service[0].method[0].input_type = Some(".modelward.v1.Provider".into())),
        ("response", |file| file.service[0].method[1].output_type = file.service[0].method[0].output_type.clone()),
        ("service", |file| file.service[0].name = Some("Providers".into())),
        ("prefix", |file| file.enum_type[0].value[1].name = Some("OPENAI".into())),
        ("zero", |file| file.enum_type[0].value[0].name = Some("PROVIDER_KIND_NONE".into())),
    ];
    let provider = files().into_iter().find(|file| file.name().ends_with("v1/provider.proto")).unwrap();
    for (what, break_it) in breaks {
        let mut broken = provider.clone();
        break_it(&mut broken);
        assert_ne!(badly_named(&[broken]), Vec::<String>::new(), "{what}");
    }
}

/// Methods that change no configuration, besides Get and List.
const READS: [&str; 13] = [
    "CheckEndpointHealth",
    "PickEndpoint",
    "ValidateCredential",
    "AccessCredential",
    "TestModel",
    "ResolveTarget",
    "FetchSecrets",
    "ReportOutcome",
    "Watch",
    "Ack",
    "GetResourceAt",
    "ListProviderKinds",
    "SetLogFilter",
];

#[test]
fn requests_and_responses_have_the_shape_of_their_verb() {
    let files = files();
    let methods = files.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    for name in methods.map(prost_types::MethodDescriptorProto::name) {
        let has = |suffix: &str, field: &str| {
            message(&files, &format!("{name}{suffix}")).field.iter().any(|found| found.name() == field)
        };
        let lists = name.starts_with("List") && name != "ListProviderKinds";
        for field in ["page_size", "page_token", "order_by"] {
            assert_eq!(has("Request", field), lists, "{name}: {field}");
        }
        for field in ["next_page_token", "total_size"] {
            assert_eq!(has("Response", field), lists, "{name}: {field}");
        }
        let mutates = !READS.contains(&name) && !name.starts_with("Get") && !name.starts_with("List");
        for field in ["request_id", "validate_only"] {
            assert_eq!(
                has("Request", field),
                mutates || (name, field) == ("ListChanges", "request_id"),
                "{name}: {field}"
            );
        }
        assert_eq!(has("Request", "reason"), mutates || name == "AccessCredential", "{name}: reason");
        assert_eq!(
            has("Request", "expected_revision"),
            mutates && !name.starts_with("Create"),
            "{name}: expected_revision"
        );
        let updates = name.starts_with("Update") && !name.ends_with("Status");
        assert_eq!(has("Request", "update_mask"), updates, "{name}: update_mask");
    }
}

#[test]
fn each_resource_has_the_common_fields_under_common_numbers() {
    let files = files();
    let common = ["id", "revision", "create_time", "update_time", "created_by", "updated_by", "labels"];
    for name in ["Provider", "Endpoint", "Credential", "Model", "Binding"] {
        let resource = message(&files, name);
        for (number, field) in (1..).zip(common) {
            let found = resource.field.iter().find(|found| found.name() == field).unwrap();
            assert_eq!(found.number(), number, "{name}.{field}");
        }
    }
    assert!(public_messages(&files).count() > 150);
}
