//! A wrong or missing master key fails closed.
//!
//! Bad starts of the real program against a database of the current schema, of an older one, and an empty one: each
//! ends at once with an error that names key ids only, and leaves the database as it was, byte for byte (SQLite) or
//! line for line of a dump (PostgreSQL).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use modelward::proto::v1::{self, ProviderKind};
use modelward::secrets::generate_key_line;
use tempfile::TempDir;

use crate::support::Engine;
use crate::support::database::run_on_file;
use crate::support::postgres::Cluster;
use crate::support::process::{Process, program, run_to_end};
use crate::support::resources::credential;

/// What the promise allows. The fastest of some attempts counts: the machine may be busy with something else.
const LIMIT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 5;
const SECRET: &str = "sk-fail-closed-0123456789";

/// How a start is given its master keys.
enum Given {
    Nothing,
    /// In `MODELWARD_MASTER_KEYS`.
    Text(String),
    /// In a file with this mode.
    File(String, u32),
    /// A path where there is no key file.
    Path(&'static str),
}

/// A start that has to fail.
struct Bad {
    name: &'static str,
    given: Given,
    /// What the message has to say.
    says: &'static str,
    /// Also where there is no database to compare the key with.
    always: bool,
}

const fn unusable(name: &'static str, given: Given, says: &'static str) -> Bad {
    Bad { name, given, says, always: true }
}

const fn wrong(name: &'static str, given: Given, says: &'static str) -> Bad {
    Bad { name, given, says, always: false }
}

fn line(id: &str) -> String {
    generate_key_line(Some(id)).unwrap().to_string()
}

fn weak(bytes: &[u8]) -> Given {
    Given::Text(format!("k1:{}", STANDARD.encode(bytes)))
}

/// `good` is the line of the key that the databases are made with, `k1`; `k2` is known to them and not active.
fn bad_starts(good: &str, engine: Engine) -> Vec<Bad> {
    let bare = good.split_once(':').unwrap().1.to_owned();
    // SHA-256 of "password".
    let known = hex::decode("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8").unwrap();
    let nothing = match engine {
        Engine::Postgres => unusable("no key", Given::Nothing, "no master key"),
        Engine::Sqlite => wrong("the key file is gone", Given::Nothing, "put back the file that holds the key k1"),
    };
    vec![
        nothing,
        wrong("another key of this id", Given::Text(line("k1")), "the master key k1 is not the one"),
        wrong("the same in a file", Given::File(line("k1"), 0o600), "the master key k1 is not the one"),
        wrong(
            "the right key by another id",
            Given::Text(format!("k3:{bare}")),
            "needs the master key k1; the ring holds k3",
        ),
        wrong(
            "other keys only",
            Given::Text([line("k2"), line("k3")].join(",")),
            "needs the master key k1; the ring holds k2, k3",
        ),
        unusable("zeros", weak(&[0; 32]), "k1 is too easy to guess"),
        unusable("text", weak(b"a passphrase of thirty-two chars"), "k1 is too easy to guess"),
        unusable("well known", weak(&known), "k1 is too easy to guess"),
        unusable("short", weak(&known[..16]), "master keys, entry 1: the key must have 32 bytes"),
        unusable("malformed", Given::File(format!("# keys\n{good}!"), 0o600), "master keys, line 2:"),
        unusable("one id twice", Given::Text(format!("{good},{}", line("k1"))), "two master keys have the id k1"),
        unusable("open to everybody", Given::File(good.to_owned(), 0o644), "mode 0644"),
        unusable("a directory", Given::Path("."), "not a regular file"),
        unusable("no such file", Given::Path("nowhere/master.key"), "nowhere/master.key does not exist"),
        unusable("an empty file", Given::File(String::new(), 0o600), "no master key was given"),
    ]
}

/// A database with a server's settings.
struct Stand {
    directory: TempDir,
    /// On PostgreSQL.
    name: Option<String>,
}

impl Stand {
    /// Without any table; on SQLite without any file.
    fn empty(engine: Engine) -> Self {
        let name = (engine == Engine::Postgres).then(|| Cluster::shared().create_database(None));
        Self { directory: TempDir::new().unwrap(), name }
    }

    fn variables(&self) -> Vec<(&str, String)> {
        let url = |name: &String| ("MODELWARD_DATABASE_URL", Cluster::shared().url(name));
        self.name.iter().map(url).collect()
    }

    fn start(&self, keys: &str) -> Process {
        let mut variables = self.variables();
        variables.push(("MODELWARD_MASTER_KEYS", keys.to_owned()));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::start(self.directory.path(), &variables)
    }

    /// Goes back to the schema before the newest one.
    fn downgrade(&self) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        let mut versions: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        versions.sort();
        let (before, _) = versions[versions.len() - 2].split_once('_').unwrap();
        let mut command = program(self.directory.path());
        let ended = run_to_end(command.args(["migrate", "--data-dir", "data", "--to", before]).envs(self.variables()));
        assert!(ended.status.success() && ended.output.contains("migrated down"), "{}", ended.output);
    }

    /// Everything that is stored.
    fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        if let Some(name) = &self.name {
            return vec![(name.into(), Cluster::shared().dump(name).into_bytes())];
        }
        let Ok(entries) = fs::read_dir(self.directory.path().join("data")) else { return Vec::new() };
        // What SQLite makes for the time that a file is open is no data: a log that is left over would be read again,
        // so it has to be empty.
        let paths = entries.map(|entry| entry.unwrap().path());
        let files = paths.filter(|path| !["-shm", ".lock"].iter().any(|end| path.to_string_lossy().ends_with(end)));
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.retain(|(path, content)| !(path.to_string_lossy().ends_with("-wal") && content.is_empty()));
        files.sort();
        files
    }

    /// A start that fails as it should.
    fn refuses(&self, bad: &Bad, good: &str) {
        let mut fastest = Duration::MAX;
        for _ in 0..ATTEMPTS {
            let mut command = program(self.directory.path());
            command.args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data-dir", "data"]);
            command.env("MODELWARD_LOG", "trace").envs(self.variables());
            let file = self.directory.path().join("keys");
            let mut material: Vec<_> = good.split(',').map(str::to_owned).collect();
            match &bad.given {
                Given::Nothing => {}
                Given::Path(path) => drop(command.args(["--master-key-file", path])),
                Given::Text(keys) => {
                    command.env("MODELWARD_MASTER_KEYS", keys);
                    material.extend(keys.split(',').map(str::to_owned));
                }
                Given::File(keys, mode) => {
                    fs::write(&file, keys).unwrap();
                    fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
                    command.args(["--master-key-file", "keys"]);
                    material.extend(keys.lines().map(str::to_owned));
                }
            }
            let ended = run_to_end(&mut command);
            assert!(!ended.status.success(), "{}: it started\n{}", bad.name, ended.output);
            assert!(ended.output.contains(bad.says), "{}: {}", bad.name, ended.output);
            for line in material {
                tells_nothing_of(&line, &ended.output);
            }
            fastest = fastest.min(ended.took);
            if fastest <= LIMIT {
                return;
            }
        }
        panic!("{}: it took {fastest:?}", bad.name);
    }
}

/// Of a line of a key file, only the id is told.
fn tells_nothing_of(line: &str, output: &str) {
    let Some((_, key)) = line.split_once(':') else { return };
    let key = key.trim_end_matches(['=', '!']);
    let hex = hex::encode(STANDARD_NO_PAD.decode(key).unwrap());
    for trace in [&key[..8], &key[key.len() - 8..], &hex[..8], &hex[hex.len() - 8..]] {
        assert!(!output.contains(trace), "key material is told: {output}");
    }
}

fn refuses_all(engine: Engine) {
    let good = line("k1");
    let starts = bad_starts(&good, engine);

    let empty = Stand::empty(engine);
    let before = empty.content();
    for bad in starts.iter().filter(|bad| bad.always) {
        empty.refuses(bad, &good);
        assert!(empty.content() == before, "{} on an empty database: it wrote", bad.name);
    }
    assert!(engine == Engine::Postgres || !empty.directory.path().join("data").exists());

    let stand = Stand::empty(engine);
    let id = with_a_secret(&stand, &good);
    for older in [false, true] {
        if older {
            stand.downgrade();
        }
        let before = stand.content();
        assert!(before.iter().any(|(_, content)| content.len() > 10_000), "there is a database");
        for bad in &starts {
            stand.refuses(bad, &good);
            assert!(stand.content() == before, "{}, older schema: {older}: it wrote", bad.name);
        }
    }
    opens_again(&stand, &good, &id);
}

/// Fills the database by a proper server, and answers a credential's id.
fn with_a_secret(stand: &Stand, keys: &str) -> String {
    let mut process = stand.start(keys);
    let admin = process.admin();
    let id = block_on(async {
        let provider = admin.add_provider("p", ProviderKind::Openai).await;
        admin.add_credential(credential(&provider.id, "c", SECRET)).await.id
    });
    drop(admin);
    assert!(process.terminate().success());
    id
}

/// With the right key all is there.
fn opens_again(stand: &Stand, keys: &str, id: &str) {
    let mut process = stand.start(keys);
    let admin = process.admin();
    let answer = block_on(async {
        let access = v1::AccessCredentialRequest { id: id.to_owned(), ..Default::default() };
        admin.credentials().access_credential(access).await.unwrap().into_inner()
    });
    assert_eq!(answer.secret.unwrap().api_key(), SECRET);
    drop(admin);
    assert!(process.terminate().success());
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_bad_start_on_sqlite_writes_nothing_and_names_key_ids_only() {
    refuses_all(Engine::Sqlite);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_bad_start_on_postgres_writes_nothing_and_names_key_ids_only() {
    refuses_all(Engine::Postgres);
}

/// Between the change of the active key and the end of the re-wrap, both keys are needed.
fn needs_both(engine: Engine) {
    let (first, second) = (line("k1"), line("k2"));
    let both = format!("{first},{second}");
    let stand = Stand::empty(engine);
    let id = with_a_secret(&stand, &both);
    // As a rotation leaves it that was cut off before anything was wrapped anew.
    stand.sql("UPDATE cluster SET active_key_id = 'k2'");
    let before = stand.content();
    let only = |keys: &String, says| wrong("one of two", Given::Text(keys.clone()), says);
    stand.refuses(&only(&first, "needs the master key k2; the ring holds k1"), &both);
    stand.refuses(&only(&second, "needs the master key k1; the ring holds k2"), &both);
    assert!(stand.content() == before, "it wrote");
    opens_again(&stand, &both, &id);
}

impl Stand {
    /// Runs SQL while no server runs.
    fn sql(&self, sql: &str) {
        if let Some(name) = &self.name {
            Cluster::shared().sql(name, sql);
            return;
        }
        run_on_file(&self.directory.path().join("data/modelward.db"), sql);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_within_a_rotation_both_keys_are_needed_on_sqlite() {
    needs_both(Engine::Sqlite);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_within_a_rotation_both_keys_are_needed_on_postgres() {
    needs_both(Engine::Postgres);
}
