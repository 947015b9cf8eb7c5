//! What the system was asked for: the write-ahead log is on disk before the answer goes out.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use modelward::proto::v1::{self, ProviderKind};
use tempfile::TempDir;

use crate::support::process::{Process, traced};

const COMMITS: usize = 200;
/// Begins a word that stands in a commit and in its answer, and nowhere else before.
const WORD: &str = "commit-";

fn word(number: usize) -> String {
    format!("{WORD}{number:04}")
}

/// Which line of a trace a thread's call began in, and where it ended.
#[derive(Debug, Clone, Copy)]
struct Synced {
    began: usize,
    ended: usize,
}

/// A trace as strace writes it, read line by line.
#[derive(Default)]
struct Trace<'t> {
    /// The last write of each word to the log before its answer.
    written: BTreeMap<&'t str, usize>,
    answered: BTreeMap<&'t str, usize>,
    synced: Vec<Synced>,
    /// Threads that wait for the disk.
    syncing: BTreeMap<&'t str, usize>,
}

impl<'t> Trace<'t> {
    fn read(text: &'t str) -> Self {
        let mut trace = Self::default();
        for (number, line) in text.lines().enumerate() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            trace.take(number, thread, call.trim_start());
        }
        trace
    }

    fn take(&mut self, number: usize, thread: &'t str, call: &'t str) {
        if call.starts_with("<... f") {
            let began = self.syncing.remove(thread).filter(|_| call.trim_end().ends_with("= 0"));
            self.synced.extend(began.map(|began| Synced { began, ended: number }));
            return;
        }
        let Some((name, rest)) = call.split_once('(') else { return };
        let file = rest.split([',', ')']).next().unwrap_or_default();
        let of_log = file.contains("-wal>");
        match name {
            "fsync" | "fdatasync" if of_log && call.contains("<unfinished") => {
                self.syncing.insert(thread, number);
            }
            "fsync" | "fdatasync" if of_log && call.trim_end().ends_with("= 0") => {
                self.synced.push(Synced { began: number, ended: number });
            }
            "fsync" | "fdatasync" => {}
            _ if of_log => {
                for word in words(call).filter(|word| !self.answered.contains_key(word)) {
                    self.written.insert(word, number);
                }
            }
            _ if file.contains("<TCP") => {
                for word in words(call) {
                    self.answered.entry(word).or_insert(number);
                }
            }
            _ => {}
        }
    }

    /// Commits that were not on disk when their answers went out.
    fn complaints(&self, commits: usize) -> Vec<String> {
        let wrong = |number| {
            let word = word(number);
            let Some(answered) = self.answered.get(word.as_str()) else { return Some(format!("{word}: no answer")) };
            let Some(written) = self.written.get(word.as_str()) else {
                return Some(format!("{word}: answered and not written"));
            };
            let on_disk = self.synced.iter().any(|synced| synced.began > *written && synced.ended < *answered);
            (!on_disk).then(|| format!("{word}: answered and not on disk"))
        };
        (0..commits).filter_map(wrong).collect()
    }
}

fn words(call: &str) -> impl Iterator<Item = &str> {
    call.match_indices(WORD).filter_map(|(at, _)| call.get(at..at + WORD.len() + 4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_each_commit_is_on_disk_before_its_answer() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("trace");
    let mut process = Process::start_traced(directory.path(), &file, &[]);
    let admin = process.admin();
    let id = admin.add_provider("p", ProviderKind::Ollama).await.id;
    for number in 0..COMMITS {
        let change = v1::Provider { id: id.clone(), description: Some(word(number)), ..Default::default() };
        let request = v1::UpdateProviderRequest { provider: Some(change), ..Default::default() };
        admin.providers().update_provider(request).await.unwrap();
    }
    assert!(process.terminate().success(), "{}", process.log());
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(Trace::read(&text).complaints(COMMITS), Vec::<String>::new());
}

/// How a small program keeps its promise.
const SYNCED: &str = "FULL";
const NEVER_SYNCED: &str = "OFF";
const SYNCED_NOW_AND_THEN: &str = "NORMAL";
const ANSWERED_BEFORE: &str = "before";
/// Says which program this test is to be, and where its caller listens.
const PROGRAM: &str = "D1_PROGRAM";
const CALLER: &str = "D1_CALLER";

/// The small program: commits and answers.
fn commit_and_answer(how: &str, caller: &str) {
    let mut stream = TcpStream::connect(caller).unwrap();
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("small.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let synchronous = if how == ANSWERED_BEFORE { SYNCED } else { how };
    let settings = format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; CREATE TABLE t (word TEXT)");
    connection.batch_execute(&settings).unwrap();
    for number in 0..COMMITS {
        let commit = format!("INSERT INTO t VALUES ('{}')", word(number));
        if how == ANSWERED_BEFORE {
            stream.write_all(word(number).as_bytes()).unwrap();
        }
        connection.batch_execute(&commit).unwrap();
        if how != ANSWERED_BEFORE {
            stream.write_all(word(number).as_bytes()).unwrap();
        }
    }
}

/// Runs the small program under strace; what is wrong with its trace.
fn complaints_about(how: &str) -> Vec<String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("trace");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut program = traced(&file, Path::new(&std::env::current_exe().unwrap()))
        .args(["--exact", "promises::d1::trace::d1_answers_before_the_disk_are_found"])
        .envs([(PROGRAM, how), (CALLER, &listener.local_addr().unwrap().to_string())])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Nobody reads the answers: the system keeps them.
    assert!(program.wait().unwrap().success(), "{how}");
    Trace::read(&std::fs::read_to_string(&file).unwrap()).complaints(COMMITS)
}

#[test]
fn d1_answers_before_the_disk_are_found() {
    if let (Ok(how), Ok(caller)) = (std::env::var(PROGRAM), std::env::var(CALLER)) {
        return commit_and_answer(&how, &caller);
    }
    assert_eq!(complaints_about(SYNCED), Vec::<String>::new());
    assert_eq!(complaints_about(NEVER_SYNCED).len(), COMMITS);
    assert_eq!(complaints_about(ANSWERED_BEFORE).len(), COMMITS);
    // A checkpoint syncs, too.
    assert!(complaints_about(SYNCED_NOW_AND_THEN).len() > COMMITS * 9 / 10);
}
