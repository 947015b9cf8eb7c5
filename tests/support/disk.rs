//! A small disk that can run full: a file system in memory, in a mount namespace that ends with the test.
//!
//! A shell holds the namespace and waits for the end of a pipe. Root needs nothing else for it; others need user
//! namespaces, which most systems allow.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::keeper::{User, as_user, unprivileged};

/// Says when the disk is there, and after each word on its input that it has done so.
const HOLDER: &str = r#"
mount -t tmpfs -o "size=$SIZE,mode=700" small "$POINT" || exit
echo done
while read -r word; do
    case "$word" in
        fill) cat /dev/zero >"$POINT/ballast" 2>/dev/null ;;
        free) rm "$POINT/ballast" ;;
    esac
    echo done
done
"#;

pub struct Disk {
    holder: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    point: PathBuf,
    in_user_namespace: bool,
}

impl Disk {
    /// Makes a disk of a size, as `8m`, at a directory that only programs see which are started by
    /// [`command`](Self::command). It is this user's, or that one's.
    pub fn start(point: &Path, size: &str, user: Option<&User>) -> Self {
        fs::create_dir_all(point).unwrap();
        let may_mount = user.is_none() && unprivileged().is_some();
        // A container's root may not, but may be root in a namespace of its own.
        let ways = if may_mount { &[false, true][..] } else { &[true] };
        let made = ways.iter().find_map(|in_user_namespace| Self::mount(point, size, user, *in_user_namespace));
        made.expect("a file system cannot be mounted in a namespace of its own: be root, or allow user namespaces")
    }

    fn mount(point: &Path, size: &str, user: Option<&User>, in_user_namespace: bool) -> Option<Self> {
        let mut holder = as_user(user, "unshare");
        if in_user_namespace {
            holder.args(["--user", "--map-root-user"]);
        }
        holder.args(["--mount", "sh", "-c", HOLDER]).env("SIZE", size).env("POINT", point);
        let started = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut holder = started.expect("the tests need unshare: install the package util-linux");
        let (input, output) = (holder.stdin.take().unwrap(), BufReader::new(holder.stdout.take().unwrap()));
        let mut disk = Self { holder, input, output, point: point.to_owned(), in_user_namespace };
        disk.is_done().then_some(disk)
    }

    /// A program that sees the disk, in a directory.
    pub fn command(&self, directory: &Path, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder.id().to_string()).arg("--mount");
        if self.in_user_namespace {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["sh", "-c", r#"cd "$0" && exec "$@""#]).arg(directory).arg(program);
        command
    }

    /// Where this process sees the disk.
    pub fn path(&self) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(self.point.strip_prefix("/").unwrap())
    }

    /// Takes all the space that is left.
    pub fn fill(&mut self) {
        self.say("fill");
    }

    /// Gives it back.
    pub fn free(&mut self) {
        self.say("free");
    }

    fn say(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
        assert!(self.is_done(), "the disk is gone");
    }

    fn is_done(&mut self) -> bool {
        let mut line = String::new();
        self.output.read_line(&mut line).is_ok_and(|_| line == "done\n")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
