//! PostgreSQL servers that Patroni keeps, with one etcd to agree in: the real programs, as Debian packages them.
//!
//! Standbys reach a primary by way of a proxy of its own, so that a test can cut them off; clients reach it directly.
//! Everything ends with the process that started it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::keeper::{self, Keeper, run};
use super::postgres::{binaries, free_port, psql};
use super::primary::Primary;
use super::proxy::{Direction, Fault, Proxy};

/// Starts and kills nodes by their name. A server is not the agent's child, and dies by itself with its last breath
/// only: so it and all that it started are killed, after a look at whose it is.
const KEEPER: &str = r#"
trap '' INT TERM HUP
cd "$DIR" || exit
exec 2>keeper.log
etcd --name etcd --data-dir etcd --listen-client-urls "http://$CLIENTS" --advertise-client-urls "http://$CLIENTS" \
    --listen-peer-urls "http://$PEERS" --initial-advertise-peer-urls "http://$PEERS" \
    --initial-cluster "etcd=http://$PEERS" </dev/null >etcd.log 2>&1 &
etcd=$!
kill_node() {
    agent=$(cat "$1.pid")
    kill -KILL "$agent" 2>/dev/null && wait "$agent"
    server=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
    [ "$(readlink "/proc/$server/cwd")" = "$DIR/$1" ] || return
    kill -STOP "$server"
    kill -KILL $(cat "/proc/$server/task/$server/children") "$server"
    while kill -0 "$server" 2>/dev/null; do sleep 0.01; done
}
while read -r word node; do
    case "$word" in
        start) patroni "$node.yml" </dev/null >>"$node.log" 2>&1 & echo $! >"$node.pid" ;;
        kill) kill_node "$node" ;;
    esac
    echo done
done
for file in *.pid; do kill_node "${file%.pid}"; done
kill -KILL "$etcd"
wait
rm -rf "$DIR"
"#;

/// How long a node may take to start, or to notice that another one is gone. Only a hanging one takes so long.
const PATIENCE: Duration = Duration::from_mins(2);
const NODES: usize = 3;

static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// A running cluster.
pub struct Patroni {
    directory: PathBuf,
    nodes: Vec<Node>,
    keeper: Keeper,
    is_synchronous: bool,
}

struct Node {
    name: String,
    port: u16,
    /// Where its agent answers.
    api: SocketAddr,
    /// The way of the others to it.
    way: Proxy,
}

impl Patroni {
    /// Commits wait for nobody.
    pub fn start() -> Self {
        Self::begin(false)
    }

    /// Commits wait until a standby has them, however few there are.
    pub fn start_synchronous() -> Self {
        Self::begin(true)
    }

    fn begin(is_synchronous: bool) -> Self {
        assert_is_installed();
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("modelward-patroni-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for the cluster");
        keeper::hand_over(&directory);
        let [clients, peers] = [0; 2].map(|_| format!("127.0.0.1:{}", free_port()));
        let nodes: Vec<_> = (0..NODES).map(Node::new).collect();
        for node in &nodes {
            let settings = node.settings(&directory, &clients, is_synchronous).to_string();
            std::fs::write(directory.join(format!("{}.yml", node.name)), settings).expect("a node's settings");
        }
        let variables = [("DIR", directory.as_path()), ("CLIENTS", clients.as_ref()), ("PEERS", peers.as_ref())];
        let keeper = Keeper::start(KEEPER, &variables);
        let patroni = Self { directory, nodes, keeper, is_synchronous };
        patroni.rejoin();
        patroni
    }

    /// The node that has the primary, once one has it.
    fn leader(&self) -> &Node {
        self.eventually("has a primary", || self.nodes.iter().find(|node| node.is_leader()))
    }

    /// Waits until another node takes writes: where commits wait for a standby, it has one again.
    fn wait_until_moved(&self, from: &str) {
        self.eventually("has a new primary", || {
            let leader = self.nodes.iter().find(|node| node.name != from && node.is_leader())?;
            (!self.is_synchronous || leader.standbys(self.is_synchronous) > 0).then_some(())
        });
    }

    fn eventually<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "no cluster that {what}:\n{}", self.logs());
            sleep(Duration::from_millis(50));
        }
    }

    /// The last lines of what everybody says.
    fn logs(&self) -> String {
        let names = self.nodes.iter().map(|node| node.name.as_str()).chain(["etcd"]);
        let last = |name: &str| {
            let log = std::fs::read_to_string(self.directory.join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(20).collect();
            format!("{name}:\n{}\n", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        names.map(last).collect()
    }
}

impl Node {
    fn new(number: usize) -> Self {
        let [port, api] = [0; 2].map(|_| free_port());
        Self {
            name: format!("n{number}"),
            port,
            api: ([127, 0, 0, 1], api).into(),
            way: Proxy::start(([127, 0, 0, 1], port).into()),
        }
    }

    /// Times are the shortest that a busy machine keeps.
    fn settings(&self, directory: &Path, etcd: &str, is_synchronous: bool) -> Value {
        let user = json!({ "username": "modelward" });
        json!({
            "scope": "modelward",
            "name": self.name,
            "restapi": { "listen": self.api, "connect_address": self.api },
            "etcd3": { "host": etcd },
            "bootstrap": {
                "dcs": {
                    "ttl": 10, "loop_wait": 1, "retry_timeout": 4,
                    "synchronous_mode": is_synchronous, "synchronous_mode_strict": is_synchronous,
                    "postgresql": { "use_pg_rewind": true, "parameters": { "max_connections": 200 } },
                },
                "initdb": ["no-sync", { "auth": "trust" }, { "encoding": "UTF8" }, { "locale": "C" }],
            },
            "postgresql": {
                "listen": format!("127.0.0.1:{}", self.port),
                "connect_address": self.way.address(),
                "data_dir": directory.join(&self.name),
                "bin_dir": binaries(),
                "pgpass": directory.join(format!("{}.pgpass", self.name)),
                "authentication": { "superuser": user, "replication": user },
                "parameters": { "unix_socket_directories": directory, "lc_messages": "C" },
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "remove_data_directory_on_rewind_failure": true,
            },
        })
    }

    fn is_leader(&self) -> bool {
        self.ask("GET", "/primary", "").is_some_and(|answer| answer.contains(" 200 "))
    }

    /// Whether it may take the place of a primary whose commits wait: that this one's commits wait for it is not enough.
    fn is_synchronous(&self) -> bool {
        self.ask("GET", "/synchronous", "").is_some_and(|answer| answer.contains(" 200 "))
    }

    /// How many follow it, or are waited for by commits.
    fn standbys(&self, synchronous: bool) -> usize {
        let which = if synchronous { "sync_state = 'sync'" } else { "state = 'streaming'" };
        let count = format!("SELECT count(*) FROM pg_stat_replication WHERE {which}");
        let answer = psql(self.port, "postgres", &count).output().expect("psql");
        String::from_utf8_lossy(&answer.stdout).trim().parse().unwrap_or(0)
    }

    /// The first line of its agent's answer. None: it has none.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.api).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: agent\r\ncontent-length: {length}\r\n\r\n{body}").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().next().map(ToOwned::to_owned)
    }
}

impl Primary for Patroni {
    fn url(&self, database: &str) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("postgres://modelward@{}/{database}", hosts.join(","))
    }

    fn create_database(&self) -> String {
        self.sql("postgres", "CREATE DATABASE modelward");
        "modelward".to_owned()
    }

    fn sql(&self, database: &str, sql: &str) -> String {
        run(&mut psql(self.leader().port, database, sql))
    }

    fn switch_over(&mut self) {
        let leader = self.leader();
        let request = json!({ "leader": leader.name }).to_string();
        // It refuses while no standby is good enough.
        self.eventually("changes its primary", || {
            leader.ask("POST", "/switchover", &request).filter(|answer| answer.contains(" 200 "))
        });
        self.wait_until_moved(&leader.name);
    }

    fn fail_over(&mut self) {
        let leader = self.leader();
        self.keeper.say(&format!("kill {}", leader.name));
        self.wait_until_moved(&leader.name);
    }

    fn rejoin(&self) {
        for node in &self.nodes {
            node.way.set(Fault::Pass);
            if TcpStream::connect(node.api).is_err() {
                self.keeper.say(&format!("start {}", node.name));
            }
        }
        self.eventually("is complete", || {
            let leader = self.nodes.iter().find(|node| node.is_leader())?;
            let is_complete = leader.standbys(false) == NODES - 1;
            (is_complete && (!self.is_synchronous || self.nodes.iter().any(Node::is_synchronous))).then_some(())
        });
    }

    fn cut(&self) {
        let leader = self.leader();
        let have = "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn = pg_current_wal_flush_lsn()";
        self.eventually("has everything everywhere", || {
            let count = run(&mut psql(leader.port, "postgres", have));
            (count.trim() == (NODES - 1).to_string()).then_some(())
        });
        leader.way.set(Fault::Drop(Direction::ToClient));
    }
}

/// Without them the tests fail: what was not run has not passed.
fn assert_is_installed() {
    for program in ["/usr/bin/patroni", "/usr/bin/etcd"] {
        assert!(
            Path::new(program).exists(),
            "{program} is missing: install the packages patroni and etcd-server (Debian: apt-get install patroni \
             etcd-server), or let `just chaos` do it"
        );
    }
}
