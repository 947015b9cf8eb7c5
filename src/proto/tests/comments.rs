//! Every service, method, message, field, oneof, enum and value has a comment.

use std::collections::BTreeMap;

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use super::{comment, files};

// The field numbers of descriptor.proto, of which the paths of comments are made.
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;
const SERVICE: i32 = 6;
const MEMBER: i32 = 2;
const NESTED_MESSAGE: i32 = 3;
const NESTED_ENUM: i32 = 4;
const ONEOF: i32 = 8;

/// The paths of all components of a file, each with its name.
fn components(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut found = Vec::new();
    for (index, message) in (0..).zip(&file.message_type) {
        add_message(&[MESSAGE, index], message, message.name(), &mut found);
    }
    for (index, item) in (0..).zip(&file.enum_type) {
        add_enum(&[ENUM, index], item, item.name(), &mut found);
    }
    for (index, service) in (0..).zip(&file.service) {
        found.push((vec![SERVICE, index], service.name().to_owned()));
        for (member, method) in (0..).zip(&service.method) {
            found.push((vec![SERVICE, index, MEMBER, member], format!("{}.{}", service.name(), method.name())));
        }
    }
    found
}

fn add_message(path: &[i32], message: &DescriptorProto, name: &str, found: &mut Vec<(Vec<i32>, String)>) {
    // Map fields have a message of their own that nobody wrote.
    if message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
        return;
    }
    found.push((path.to_vec(), name.to_owned()));
    for (index, field) in (0..).zip(&message.field) {
        found.push((join(path, MEMBER, index), format!("{name}.{}", field.name())));
    }
    for (index, oneof) in (0..).zip(&message.oneof_decl) {
        let of_optional =
            |field: &prost_types::FieldDescriptorProto| field.proto3_optional() && field.oneof_index == Some(index);
        if !message.field.iter().any(of_optional) {
            found.push((join(path, ONEOF, index), format!("{name}.{}", oneof.name())));
        }
    }
    for (index, nested) in (0..).zip(&message.nested_type) {
        add_message(&join(path, NESTED_MESSAGE, index), nested, &format!("{name}.{}", nested.name()), found);
    }
    for (index, nested) in (0..).zip(&message.enum_type) {
        add_enum(&join(path, NESTED_ENUM, index), nested, &format!("{name}.{}", nested.name()), found);
    }
}

fn add_enum(path: &[i32], item: &EnumDescriptorProto, name: &str, found: &mut Vec<(Vec<i32>, String)>) {
    found.push((path.to_vec(), name.to_owned()));
    for (index, value) in (0..).zip(&item.value) {
        found.push((join(path, MEMBER, index), format!("{name}.{}", value.name())));
    }
}

fn join(path: &[i32], kind: i32, index: i32) -> Vec<i32> {
    [path, &[kind, index]].concat()
}

/// The comments of the public API by name, as in `Provider.name`, each in one line.
pub(crate) fn by_name() -> BTreeMap<String, String> {
    let files = files();
    let public = files.iter().filter(|file| file.package() == "modelward.v1");
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    public
        .flat_map(|file| components(file).into_iter().map(|(path, name)| (name, one_line(comment(file, &path)))))
        .collect()
}

/// Components without a comment, and comments that are no sentence.
fn uncommented(files: &[FileDescriptorProto]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files {
        for (path, name) in components(file) {
            let text = comment(file, &path);
            if !text.starts_with(char::is_uppercase) && !text.starts_with("vLLM") {
                problems.push(format!("{}: {name}: no comment", file.name()));
            } else if !text.ends_with('.') {
                problems.push(format!("{}: {name}: the comment is not a sentence", file.name()));
            }
        }
    }
    problems
}

#[test]
fn every_component_is_commented() {
    let files = files();
    assert!(files.iter().map(|file| components(file).len()).sum::<usize>() > 700, "the walk misses components");
    assert_eq!(uncommented(&files), Vec::<String>::new());
}

#[test]
fn a_comment_that_is_taken_away_anywhere_is_noticed() {
    let files = files();
    for (index, file) in files.iter().enumerate() {
        for (path, name) in components(file) {
            let mut broken = files[index].clone();
            let info = broken.source_code_info.as_mut().unwrap();
            for location in info.location.iter_mut().filter(|location| location.path == path) {
                location.leading_comments = None;
            }
            assert_eq!(uncommented(&[broken]).len(), 1, "{name}");
        }
    }
}
