//! Temporary PostgreSQL clusters: the real server, on the machine's own binaries.
//!
//! A cluster lives in a directory of its own, listens on 127.0.0.1 only, syncs to disk like a real one, and ends with
//! the process that started it.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::keeper::{self, Keeper, run};
use super::process::stat;

/// Answers each word on its input when it is done; at the end of input it stops the server and removes everything.
const KEEPER: &str = r#"
trap '' INT TERM HUP
start() { "$BIN/postgres" -D "$DIR/data" </dev/null >>"$DIR/log" 2>&1 & pid=$!; }
start
while read -r word; do
    case "$word" in
        start) start ;;
        stop) kill -INT "$pid" 2>/dev/null; wait "$pid" ;;
        kill) kill -QUIT "$pid"; wait "$pid" ;;
    esac
    echo done
done
# One that is frozen would not hear it; its children it kills itself.
kill -CONT "$pid" 2>/dev/null
kill -QUIT "$pid" 2>/dev/null
wait "$pid"
rm -rf "$DIR"
"#;

const SETTINGS: &str = "listen_addresses = '127.0.0.1'\nmax_connections = 200\nlc_messages = 'C'\n";

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A running cluster.
pub struct Cluster {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    keeper: Keeper,
}

impl Cluster {
    /// The cluster that all tests of this process share. For tests that stop it, there is [`start`](Self::start).
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(""))
    }

    /// Starts a cluster with more settings, written as in `postgresql.conf`.
    pub fn start(settings: &str) -> Self {
        let bin = binaries();
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("modelward-pg-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for the cluster");
        keeper::hand_over(&dir);
        run(keeper::as_unprivileged(bin.join("initdb"))
            .args(["--username=modelward", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("-D")
            .arg(dir.join("data")));
        let port = free_port();
        configure(&dir, port, settings);
        let keeper = Keeper::start(KEEPER, &[("BIN", &bin), ("DIR", &dir)]);
        let cluster = Self { bin, dir, port, keeper };
        cluster.wait_until_ready();
        cluster
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://modelward@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes a database, empty or as a copy of another one to which nobody is connected; answers its name.
    pub fn create_database(&self, template: Option<&str>) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut create = Command::new(self.bin.join("createdb"));
        create.args(["-h", "127.0.0.1", "-U", "modelward", "-p", &self.port.to_string()]);
        if let Some(template) = template {
            create.args(["-T", template]);
        }
        run(create.arg(&name));
        name
    }

    /// Runs SQL as the superuser and answers what it prints.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        run(&mut psql(self.port, database, sql))
    }

    /// All that a database holds, as text: equal for equal databases.
    pub fn dump(&self, database: &str) -> String {
        self.dumped(database, &[])
    }

    /// The same without what its tables hold.
    pub fn schema(&self, database: &str) -> String {
        self.dumped(database, &["--schema-only"])
    }

    fn dumped(&self, database: &str, options: &[&str]) -> String {
        let mut dump = Command::new(self.bin.join("pg_dump"));
        dump.args(options);
        dump.args(["-h", "127.0.0.1", "-U", "modelward", "-p", &self.port.to_string(), "-d", database]);
        // A pair of lines with a random word, which newer versions put around it.
        run(&mut dump).lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
    }

    /// The server's own log so far.
    pub fn log(&self) -> Vec<u8> {
        std::fs::read(self.dir.join("log")).expect("the server's log")
    }

    /// Becomes a standby of another cluster, whatever it was before.
    pub fn follow(&self, primary: &Self) {
        self.stop();
        let data = self.dir.join("data");
        std::fs::remove_dir_all(&data).expect("the cluster's data");
        let mut copy = keeper::as_unprivileged(self.bin.join("pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-U", "modelward", "-p", &primary.port.to_string()]);
        run(copy.args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"]).arg(&data));
        configure(&self.dir, self.port, "");
        self.restart();
    }

    /// Changes a setting of the running server.
    pub fn set(&self, setting: &str, value: &str) {
        self.sql("postgres", &format!("ALTER SYSTEM SET {setting} = {value}"));
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Restarts the server so that it speaks TLS, and nothing else on TCP.
    pub fn enable_tls(&self, cert: &str, key: &str) {
        let data = self.dir.join("data");
        let owner = std::fs::metadata(&data).expect("the cluster's data");
        for (name, text) in [("server.crt", cert), ("server.key", key)] {
            let path = data.join(name);
            std::fs::write(&path, text).expect("a file of the cluster");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
            std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).expect("its owner");
        }
        let access = "local all all trust\nhostssl all all 127.0.0.1/32 trust\nhostssl all all ::1/128 trust\n";
        std::fs::write(data.join("pg_hba.conf"), access).expect("a file of the cluster");
        self.sql("postgres", "ALTER SYSTEM SET ssl = on");
        self.stop();
        self.restart();
    }

    /// Stops the server, ending all sessions.
    pub fn stop(&self) {
        self.keeper.say("stop");
    }

    /// Kills the server: nothing is written on the way out.
    pub fn kill(&self) {
        self.keeper.say("kill");
    }

    /// Starts the server again.
    pub fn restart(&self) {
        self.keeper.say("start");
        self.wait_until_ready();
    }

    /// Freezes all processes of the server until the guard is dropped: the system goes on to take connections and bytes
    /// for it.
    pub fn freeze(&self) -> Frozen {
        let file = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).expect("the server runs");
        let first: u32 = file.lines().next().and_then(|line| line.parse().ok()).expect("its process");
        let mut frozen = Frozen(vec![first]);
        frozen.signal(Signal::SIGSTOP);
        while !stat(first).expect("the server runs").is_stopped {
            std::thread::yield_now();
        }
        // From here on there are no new ones.
        let all = std::fs::read_dir("/proc").expect("/proc").flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        frozen.0.extend(ids.filter(|id| stat(*id).is_some_and(|stat| stat.parent == first)));
        frozen.signal(Signal::SIGSTOP);
        frozen
    }

    fn wait_until_ready(&self) {
        let begin = Instant::now();
        let is_ready = || psql(self.port, "postgres", "").output().is_ok_and(|output| output.status.success());
        while !is_ready() {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(begin.elapsed() < Duration::from_mins(1), "PostgreSQL does not start:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The processes of a server that is frozen; they go on when this is dropped.
pub struct Frozen(Vec<u32>);

impl Frozen {
    fn signal(&self, signal: Signal) {
        for id in self.0.iter().filter_map(|id| i32::try_from(*id).ok()) {
            // One that has ended needs no signal.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.signal(Signal::SIGCONT);
    }
}

/// The newest installed server. A missing one fails the tests: what was not run has not passed.
pub fn binaries() -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("postgres").exists() && bin.join("initdb").exists())
        .collect();
    found.sort();
    let by_config = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        let bin = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        bin.join("initdb").exists().then_some(bin)
    };
    found.pop().or_else(by_config).expect(
        "the tests need PostgreSQL's server programs (initdb, postgres): install the package postgresql \
         (Debian: apt-get install postgresql)",
    )
}

/// Settings that come later in the file count.
fn configure(dir: &Path, port: u16, settings: &str) {
    let own = format!("{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n{settings}", dir.display());
    let conf = dir.join("data/postgresql.conf");
    let mut file = std::fs::OpenOptions::new().append(true).open(&conf).expect("the cluster's settings");
    file.write_all(own.as_bytes()).expect("the cluster's settings");
}

/// The program that runs SQL as the superuser of a server and prints what that answers.
pub fn psql(port: u16, database: &str, sql: &str) -> Command {
    let mut psql = Command::new(binaries().join("psql"));
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "modelward"]);
    psql.args(["-p", &port.to_string(), "-d", database, "-c", sql]);
    psql
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
