//! The documentation names only what is there: files, links and reasons of errors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use modelward::proto::v1::ErrorReason;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and everything in `docs/`, with the text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md")];
    for directory in ["docs", "docs/adr"] {
        let files = fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// What stands between `open` and `close`, wherever both are in one line.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().flat_map(move |line| line.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0)))
}

/// Links to files that are not there.
fn broken_links(document: &Path, text: &str) -> Vec<String> {
    let links = between(text, "](", ")").filter(|link| !link.contains("://") && !link.starts_with('#'));
    let target = |link: &str| document.parent().unwrap().join(link.split('#').next().unwrap_or(link));
    links.filter(|link| !target(link).exists()).map(str::to_owned).collect()
}

/// Files in backticks that are not there; in the walks of ARCHITECTURE they are named from `src/`.
fn missing_files(text: &str) -> Vec<String> {
    let is_file = |word: &&str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./_-".contains(&byte));
        plain
            && word.contains('/')
            && (word.rsplit_once('.').is_some_and(|(_, end)| end == "rs") || word.starts_with("src/"))
            && !word.starts_with('.')
    };
    let there = |word: &&str| root().join(word).exists() || root().join("src").join(word).exists();
    text.split('`').skip(1).step_by(2).filter(is_file).filter(|word| !there(word)).map(str::to_owned).collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    for (path, text) in documents() {
        assert_eq!(broken_links(&path, &text), [""; 0], "{}", path.display());
    }
}

#[test]
fn every_file_that_the_documentation_names_is_there() {
    for (path, text) in documents() {
        assert_eq!(missing_files(&text), [""; 0], "{}", path.display());
    }
}

#[test]
fn a_link_or_a_file_that_is_not_there_is_found() {
    let text = "[a](README.md) [b](docs/NOWHERE.md#x) [c](https://example.com/x)\n`src/lib.rs` `domain/nothing.rs`";
    assert_eq!(broken_links(&root().join("README.md"), text), ["docs/NOWHERE.md#x"]);
    assert_eq!(missing_files(text), ["domain/nothing.rs"]);
}

#[test]
fn the_page_of_errors_has_every_reason_with_its_code() {
    let proto = fs::read_to_string(root().join("proto/modelward/v1/error_reason.proto")).unwrap();
    let page = fs::read_to_string(root().join("docs/ERRORS.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (code, reasons) = (cells.next().unwrap(), cells.next().unwrap());
        listed.extend(reasons.split(", ").map(|reason| (reason.to_owned(), code.to_owned())));
    }
    let mut declared = BTreeSet::new();
    let mut code = "";
    for line in proto.lines().map(str::trim) {
        code = line.strip_prefix("// Code: ").map_or(code, |code| code.trim_end_matches('.'));
        let Some((name, _)) = line.strip_prefix("ERROR_REASON_").and_then(|line| line.split_once(" = ")) else {
            continue;
        };
        assert!(ErrorReason::from_str_name(&format!("ERROR_REASON_{name}")).is_some(), "{name}");
        declared.insert((name.to_owned(), code.to_owned()));
    }
    declared.remove(&("UNSPECIFIED".to_owned(), "OK".to_owned()));
    listed.remove(&("reasons".to_owned(), "code".to_owned()));
    listed.retain(|(reason, _)| !reason.starts_with("---"));
    assert_eq!(listed, declared);
}
