//! The import rule and the habits that no compiler checks: read from the source itself.
//!
//! Rules hold for production code; tests below it may reach further. Each rule is proved by a seeded violation.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of this crate a module may name. `domain` is named by all.
const IMPORTS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("proto", &[]),
    ("telemetry", &[]),
    ("failpoint", &[]),
    ("task", &["telemetry"]),
    ("secrets", &["telemetry"]),
    ("adapter", &["telemetry", "task"]),
    ("snapshot", &["telemetry"]),
    ("store", &["telemetry", "task", "failpoint"]),
    ("lease", &["store"]),
    ("wire", &["telemetry", "proto", "secrets", "adapter", "snapshot", "store"]),
    ("routing", &["telemetry", "task", "secrets", "adapter", "snapshot", "store", "wire"]),
    ("changes", &["telemetry", "task", "failpoint", "secrets", "adapter", "snapshot", "store", "wire"]),
    ("control", &["telemetry", "task", "secrets", "adapter", "snapshot", "store", "wire", "routing", "changes"]),
    ("auth", BELOW_AUTH),
    ("health", BELOW_AUTH),
    ("sync", BELOW_AUTH),
    ("service", SERVICE),
    ("sidecar", SIDECAR),
    ("config", &["telemetry", "failpoint"]),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
];
const BELOW_AUTH: &[&str] =
    &["telemetry", "task", "secrets", "adapter", "snapshot", "store", "lease", "wire", "routing", "changes", "control"];
const SERVICE: &[&str] = &[
    "telemetry",
    "task",
    "failpoint",
    "proto",
    "secrets",
    "adapter",
    "snapshot",
    "store",
    "wire",
    "routing",
    "changes",
    "control",
    "auth",
    "health",
];
/// It has no database and asks no vendor.
const SIDECAR: &[&str] = &[
    "telemetry",
    "task",
    "failpoint",
    "proto",
    "secrets",
    "snapshot",
    "wire",
    "routing",
    "changes",
    "control",
    "auth",
    "service",
];
const EVERYTHING: &[&str] = &[
    "telemetry",
    "task",
    "failpoint",
    "proto",
    "secrets",
    "adapter",
    "snapshot",
    "store",
    "wire",
    "routing",
    "changes",
    "control",
    "auth",
    "health",
    "lease",
    "sync",
    "service",
    "sidecar",
    "config",
    "app",
];

/// What only some modules may say, and why.
const RESERVED: &[(&[&str], &[&str], &str)] = &[
    (&["diesel", "diesel_async", "diesel_migrations", "tokio_postgres"], &["store"], "only store knows the database"),
    (&["ring", "jsonwebtoken"], &["secrets"], "only secrets does cryptography"),
    (&["x509_parser"], &["auth", "app"], "only who judges or serves certificates reads them"),
    (
        &["tonic::transport::Endpoint", "tonic::transport::Channel"],
        &["cli", "sidecar"],
        "only cli and sidecar are clients of this server",
    ),
    (&["anyhow"], &["app", "cli"], "what may reach a client is a domain::Error"),
    (&["std::env"], &["config"], "only config reads the environment"),
    (&["nix::sys::signal"], &["failpoint"], "signals are for fail points; `app` listens to them with tokio"),
    (&["nix::sys::resource"], &["app"], "limits of the process are set where it starts"),
    (&["opentelemetry", "opentelemetry_sdk"], &["telemetry"], "what is traced is said in the words of telemetry"),
    (&["clap"], &["cli"], "only cli has a command line"),
];

/// What a connection to somewhere else can be opened with, and the only files that may name it, whatever they call it
/// then: parts of a path.
const OUTWARD: &[(&[&str], &[&str], &str)] = &[
    (
        &["TcpStream::connect", "TcpStream::connect_timeout", "TcpSocket"],
        &["adapter/dial.rs"],
        "only adapter/dial.rs opens connections, behind its address filter",
    ),
    (
        &["TcpStream"],
        &["adapter/dial.rs", "app/grpc.rs"],
        "only adapter/dial.rs opens connections, behind its address filter; app/grpc.rs asks who came",
    ),
    (&["UnixStream"], &["app/socket.rs"], "only app/socket.rs looks whether its own file is used"),
    (&["UdpSocket", "UnixDatagram", "nix::sys::socket", "socket2"], &[], "nothing here sends datagrams"),
    (
        &["lookup_host", "ToSocketAddrs", "getaddrinfo"],
        &["adapter/dial.rs", "sidecar/upstream.rs"],
        "only adapter/dial.rs resolves names, once; sidecar/upstream.rs those of its control plane",
    ),
    (
        &["hyper::client", "hyper_util::client"],
        &["adapter/connection.rs"],
        "only adapter/connection.rs speaks HTTP as a client, over a line that was filtered",
    ),
    (&["std::process::Command", "tokio::process"], &[], "no other program is run: it could connect anywhere"),
    (
        &["opentelemetry_otlp"],
        &["telemetry/traces/exporter.rs"],
        "only telemetry/traces/exporter.rs tells traces: to where the operator's variables say, never where a resource does",
    ),
    (
        &["tokio::net::*", "std::net::*", "std::os::unix::net::*", "hyper::*", "std::process::*"],
        &[],
        "name what you take from there, so that it can be seen",
    ),
];

/// Crates that connect to somewhere by themselves. The database's driver, and tonic's client for the command line, are
/// reserved to their modules.
const CLIENTS: &[&str] = &[
    "attohttpc",
    "awc",
    "curl",
    "hickory-resolver",
    "isahc",
    "minreq",
    "reqwest",
    "surf",
    "trust-dns-resolver",
    "ureq",
    "aws-config",
    "aws-smithy-http-client",
    "hyper-proxy",
    "hyper-tls",
    "native-tls",
    "openssl",
];

/// What `domain` must not know.
const NOT_IN_DOMAIN: &[&str] = &["tonic", "diesel", "tokio", "hyper", "prost", "tower", "http", "rustls", "tracing"];

/// Lines of a file before its tests.
const LONGEST: usize = 400;

struct Source {
    /// The path below `src/`, with `/`.
    path: String,
    text: String,
    /// Whether only tests compile it.
    test: bool,
}

impl Source {
    /// The module at the top of the crate to which the file belongs.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// How many modules lie between the crate's root and the items of the file: 1 for `store.rs`.
    fn depth(&self) -> usize {
        self.path.split('/').count()
    }

    /// The lines of production code without comments, with their numbers.
    fn code(&self) -> Vec<(usize, &str)> {
        let lines: Vec<_> = self.text.lines().collect();
        let is_tests = |index: &usize| {
            lines[*index] == "#[cfg(test)]" && lines.get(index + 1).is_some_and(|next| next.starts_with("mod tests"))
        };
        let end = (0..lines.len()).find(is_tests).unwrap_or(lines.len());
        let numbered = lines[..end].iter().enumerate().map(|(index, line)| (index + 1, *line));
        numbered.map(|(number, line)| (number, line.split("//").next().unwrap_or_default())).collect()
    }
}

fn sources() -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
    let texts: Vec<_> = paths.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect();
    let tests: Vec<_> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_test = |path: &str| {
        tests.iter().any(|module| path.starts_with(&format!("{module}.")) || path.starts_with(&format!("{module}/")))
    };
    texts.into_iter().map(|(path, text)| Source { test: is_test(&path), path, text }).collect()
}

/// The modules that a file declares for tests alone, as paths below `src/` without their ending.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let dir = match path {
        "lib.rs" => String::new(),
        _ => format!("{}/", path.trim_end_matches(".rs")),
    };
    let lines: Vec<_> = text.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
    let names = pairs.filter_map(|pair| pair[1].split_once("mod ")?.1.strip_suffix(';'));
    names.map(|name| format!("{dir}{name}")).collect()
}

/// The paths that a file names, `use` trees unfolded: `use a::{b, c::d};` gives `a::b` and `a::c::d`.
fn paths(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut statement: Option<(usize, String)> = None;
    for (number, line) in source.code() {
        let line = line.trim();
        let starts = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "];
        if let Some((_, text)) = &mut statement {
            text.push_str(line);
        } else if let Some(rest) = starts.iter().find_map(|start| line.strip_prefix(start)) {
            statement = Some((number, rest.to_owned()));
        } else {
            found.extend(written_paths(line).map(|path| (number, path)));
        }
        if let Some((number, text)) = statement.take_if(|(_, text)| text.ends_with(';')) {
            found.extend(unfold(text.trim_end_matches(';')).into_iter().map(|path| (number, path)));
        }
    }
    found
}

/// The paths in a line of code, as in `let x = a::b::c(d::e);`.
fn written_paths(line: &str) -> impl Iterator<Item = String> {
    let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.contains("::")).map(|word| word.trim_matches(':').to_owned())
}

fn unfold(tree: &str) -> Vec<String> {
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let inner = rest.trim_end().trim_end_matches('}');
    // The closing brace of this tree is the one that was trimmed last; give the inner ones theirs back.
    let missing = inner.matches('{').count().saturating_sub(inner.matches('}').count());
    let inner = format!("{inner}{}", "}".repeat(missing));
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let branches = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    branches.flat_map(unfold).map(|path| format!("{prefix}{path}")).collect()
}

/// The module of this crate that a path names, if it leaves the file's own.
fn named_module(source: &Source, path: &str) -> Option<String> {
    let mut rest = path;
    let mut up = 0;
    while let Some(shorter) = rest.strip_prefix("super::") {
        rest = shorter;
        up += 1;
    }
    let rest = if up >= source.depth() && up > 0 { rest } else { path.strip_prefix("crate::")? };
    let module = rest.split("::").next()?.trim();
    (module != source.module()).then(|| module.to_owned())
}

/// Everything that is wrong with a file.
fn violations(source: &Source) -> Vec<String> {
    let mut found = form(source);
    if source.test {
        return found;
    }
    let module = source.module();
    for (number, path) in paths(source) {
        let mut say = |what: &str| found.push(format!("src/{}:{number}: {path}: {what}", source.path));
        if let Some(named) = named_module(source, &path) {
            let allowed = IMPORTS.iter().find(|(name, _)| *name == module).map_or(EVERYTHING, |(_, allowed)| allowed);
            let known = IMPORTS.iter().any(|(name, _)| *name == named);
            if known && named != "domain" && !allowed.contains(&named.as_str()) {
                say(&format!("{module} must not know {named}"));
            }
        }
        for (words, modules, why) in RESERVED {
            if words.iter().any(|word| names(&path, word)) && !modules.contains(&module) {
                say(why);
            }
        }
        for (words, files, why) in OUTWARD {
            if words.iter().any(|word| leads_out(&path, word)) && !files.contains(&source.path.as_str()) {
                say(why);
            }
        }
        if module == "domain" && NOT_IN_DOMAIN.iter().any(|word| names(&path, word)) {
            say("domain is pure");
        }
    }
    found
}

/// Whether a path is what a rule names: from its start, or the whole of its end for a name that is imported.
fn names(path: &str, word: &str) -> bool {
    let begins = path == word || path.strip_prefix(word).is_some_and(|rest| rest.starts_with("::"));
    let ends = word.starts_with(char::is_uppercase) && path.ends_with(&format!("::{word}"));
    begins || ends
}

/// Whether a path has the parts, one after the other, that a rule of [`OUTWARD`] names.
fn leads_out(path: &str, word: &str) -> bool {
    format!("::{path}::").contains(&format!("::{word}::"))
}

/// What does not depend on imports.
fn form(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("src/{}: {what}", source.path));
    if source.path.ends_with("mod.rs") {
        say("a module is foo.rs beside foo/, not mod.rs".to_owned());
    }
    if !source.text.starts_with("//!") && !source.test {
        say("begins without //!: what does it own, which invariant does it keep?".to_owned());
    }
    let lines = source.code().len();
    if lines > LONGEST && !source.test {
        say(format!("{lines} lines before the tests; at most {LONGEST}"));
    }
    for word in ["TODO", "FIXME"] {
        if source.text.contains(word) {
            say(format!("{word}: do it, or write an issue"));
        }
    }
    if source.path != "proto.rs" && source.text.contains("#[allow(") {
        say("#[allow]: use #[expect(…, reason = \"…\")], which ends when its reason ends".to_owned());
    }
    found
}

#[test]
fn imports_go_one_way_and_files_keep_their_form() {
    let found: Vec<_> = sources().iter().flat_map(violations).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A crate that opens connections of its own would need none of the names above.
#[test]
fn no_dependency_is_a_client_of_its_own() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    assert_eq!(clients(&lock), Vec::<&str>::new());
    assert_eq!(clients(&format!("{lock}\n[[package]]\nname = \"reqwest\"\n")), ["reqwest"]);
}

fn clients(lock: &str) -> Vec<&str> {
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    names.filter(|name| CLIENTS.contains(name)).collect()
}

#[test]
fn every_module_of_the_crate_has_its_place_in_the_rule() {
    let unplaced: Vec<_> = sources()
        .iter()
        .map(|source| source.module().to_owned())
        .filter(|module| !["lib", "main"].contains(&module.as_str()))
        .filter(|module| !IMPORTS.iter().any(|(name, _)| name == module))
        .collect();
    assert!(unplaced.is_empty(), "{unplaced:?}");
}

#[test]
fn a_seeded_violation_is_found() {
    let seeds = [
        ("domain/provider.rs", "use tokio::sync::Mutex;", "domain is pure"),
        ("domain/provider.rs", "use crate::store::Store;", "domain must not know store"),
        ("domain.rs", "use super::store::Store;", "domain must not know store"),
        ("snapshot/index.rs", "use super::super::changes::tail;", "snapshot must not know changes"),
        ("control/model.rs", "use diesel::prelude::*;", "only store knows the database"),
        (
            "control/model.rs",
            "use crate::{\n    domain::Error,\n    service::{\n        gate,\n    },\n};",
            "not know service",
        ),
        ("control/model.rs", "fn f() -> crate::proto::v1::Model {}", "control must not know proto"),
        ("auth/token.rs", "let digest = ring::digest::digest(x);", "only secrets does cryptography"),
        ("health/probe.rs", "let stream = TcpStream::connect(address).await;", "only adapter/dial.rs opens"),
        (
            "health/probe.rs",
            "let stream = tokio::net::TcpStream::connect(address).await;",
            "only adapter/dial.rs opens",
        ),
        ("health/probe.rs", "use tokio::net::TcpStream as Line;", "only adapter/dial.rs opens"),
        ("health/probe.rs", "use std::{io, net::{IpAddr, TcpStream}};", "only adapter/dial.rs opens"),
        ("health/probe.rs", "use tokio::net;\nlet x = net::TcpSocket::new_v4();", "only adapter/dial.rs opens"),
        ("health/probe.rs", "use tokio::net::*;", "name what you take"),
        ("health/probe.rs", "let x = addresses.map(net::TcpStream::connect);", "only adapter/dial.rs opens"),
        ("app/grpc.rs", "let x = TcpStream::connect(address).await;", "only adapter/dial.rs opens"),
        ("adapter/client.rs", "use tokio::net::TcpStream;", "only adapter/dial.rs opens"),
        ("adapter/openai.rs", "use hyper_util::client::legacy::Client;", "only adapter/connection.rs speaks"),
        ("control/vendor.rs", "let found = tokio::net::lookup_host(name).await;", "only adapter/dial.rs resolves"),
        ("control/vendor.rs", "use std::net::ToSocketAddrs as _;", "only adapter/dial.rs resolves"),
        ("control/vendor.rs", "let socket = std::net::UdpSocket::bind(any)?;", "sends datagrams"),
        ("control/vendor.rs", "std::process::Command::new(\"curl\")", "no other program"),
        ("cli/doctor.rs", "let mut line = std::os::unix::net::UnixStream::connect(path)?;", "its own file"),
        ("telemetry/log.rs", "use hyper_util::client::legacy::Client;", "only adapter/connection.rs speaks"),
        (
            "control/vendor.rs",
            "use opentelemetry_otlp::SpanExporter;",
            "only telemetry/traces/exporter.rs tells traces",
        ),
        ("service/gate.rs", "use opentelemetry::trace::Span;", "in the words of telemetry"),
        ("routing/pick.rs", "use anyhow::Context as _;", "domain::Error"),
        ("store/pool.rs", "let url = std::env::var(name);", "only config reads the environment"),
        ("service/status.rs", "// FIXME later", "FIXME"),
        ("service/status.rs", "#[allow(dead_code)]", "#[allow]"),
        ("service/mod.rs", "", "not mod.rs"),
    ];
    for (path, line, expected) in seeds {
        let source = Source { test: false, path: path.to_owned(), text: format!("//! Seeded.\n{line}\n") };
        let found = violations(&source).join("\n");
        assert!(found.contains(expected), "{path}: {line}\ngave: {found}");
    }
    let bare = Source { test: false, path: "service/status.rs".to_owned(), text: "fn f() {}\n".repeat(401) };
    assert_eq!(violations(&bare).len(), 2);
}

#[test]
fn what_is_allowed_is_not_found() {
    let sound = [
        ("store/pool.rs", "use diesel_async::AsyncPgConnection;"),
        ("adapter/client.rs", "use rustls::crypto::ring::default_provider;"),
        ("adapter/connection.rs", "use hyper::client::conn::{http1, http2};"),
        ("adapter/dial.rs", "use tokio::net::TcpStream;\nattempts.extend(waiting.next().map(TcpStream::connect));"),
        ("app/grpc.rs", "use tokio::net::{TcpListener, TcpStream};"),
        ("changes/writer.rs", "use crate::wire::log;\nuse crate::{domain::Plan, snapshot::State};"),
        ("control/model.rs", "// diesel::prelude is not for us\nuse super::provider::Control;"),
        ("control/model.rs", "#[cfg(test)]\nmod tests {\n    use crate::service::Gate;\n}"),
        ("cli/serve.rs", "use crate::{app, config::Settings};"),
    ];
    for (path, line) in sound {
        let source = Source { test: false, path: path.to_owned(), text: format!("//! Sound.\n{line}\n") };
        assert_eq!(violations(&source), Vec::<String>::new(), "{path}: {line}");
    }
}

#[test]
fn a_module_for_tests_alone_is_recognised() {
    let found =
        test_modules("wire/model.rs", "mod a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod arbitrary;\n");
    assert_eq!(found, ["wire/model/tests", "wire/model/arbitrary"]);
    assert_eq!(test_modules("lib.rs", "#[cfg(test)]\nmod support;"), ["support"]);
}
