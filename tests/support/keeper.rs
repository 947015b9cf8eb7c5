//! Programs that end with the process that started them, however that ends: a shell holds them and waits for the end of
//! a pipe.
//!
//! PostgreSQL refuses to run as root, so root hands it to `postgres` or `nobody`.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// A shell that holds programs.
pub struct Keeper(Mutex<Shell>);

struct Shell {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _process: Child,
}

impl Keeper {
    /// Starts one. Its script answers each line of its input with `done`, and ends with its input.
    pub fn start(script: &str, variables: &[(&str, &Path)]) -> Self {
        let mut shell = as_unprivileged("sh")
            .args(["-c", script])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell that keeps programs");
        let input = shell.stdin.take().expect("a pipe");
        let output = BufReader::new(shell.stdout.take().expect("a pipe"));
        Self(Mutex::new(Shell { input, output, _process: shell }))
    }

    /// Tells it to do something, and waits until that is done.
    pub fn say(&self, line: &str) {
        let mut shell = self.0.lock().expect("the keeper");
        writeln!(shell.input, "{line}").expect("the keeper listens");
        let mut answer = String::new();
        shell.output.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer, "done\n", "the keeper is gone");
    }
}

/// Somebody root hands programs to.
pub struct User {
    name: &'static str,
    group: String,
}

/// Who PostgreSQL runs as. None: we are not root, and it runs as we do.
pub fn unprivileged() -> Option<User> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if id(&["-u"]).as_deref() != Some("0") {
        return None;
    }
    let found = ["postgres", "nobody"].into_iter().find_map(|name| Some(User { name, group: id(&["-g", name])? }));
    Some(found.expect("the server does not run as root, and there is neither a user postgres nor nobody"))
}

/// A program, to run as somebody who is not root.
pub fn as_unprivileged(program: impl AsRef<OsStr>) -> Command {
    as_user(unprivileged().as_ref(), program)
}

pub fn as_user(user: Option<&User>, program: impl AsRef<OsStr>) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user.name, "--regid", &user.group, "--clear-groups"]).arg(program).current_dir("/");
    command
}

/// Makes a directory that of whom [`unprivileged`] names.
pub fn hand_over(directory: &Path) {
    if let Some(user) = unprivileged() {
        run(Command::new("chown").arg(user.name).arg(directory));
    }
}

/// Runs a program to its end and answers what it prints.
///
/// # Panics
/// When it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
