"""Starts that must fail: each with one clear line that says what to do, and an exit code other than 0."""

import contextlib
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile

from world import MODELWARD, Terminal, environment, require


def free_ports(count):
    """Ports that nothing listens on, told apart by being held together for a moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]


class Server:
    """How a server in a data directory is started."""

    def __init__(self, data, **variables):
        self.variables = {"MODELWARD_DATA_DIR": data} | variables
        self.command = [MODELWARD, "serve"]

    def env(self):
        api, ops = free_ports(2)
        own = {"MODELWARD_LISTEN": f"127.0.0.1:{api}", "MODELWARD_OPS_LISTEN": f"127.0.0.1:{ops}"}
        return environment(**(own | self.variables))

    @contextlib.contextmanager
    def running(self):
        data = pathlib.Path(self.variables["MODELWARD_DATA_DIR"])
        with tempfile.TemporaryDirectory() as logs:
            terminal = Terminal("server", self.command, pathlib.Path(logs), self.env())
            try:
                terminal.wait_for("is ready", 30)
                yield data
            finally:
                code = terminal.stop(signal.SIGTERM)
        require(code == 0, f"a server that is told to stop exits with 0, not {code}")

    def fails(self, what, *patterns, arguments=()):
        """Requires that it does not start and says why in one line."""
        done = subprocess.run([*self.command, *arguments], env=self.env(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        told = [line for line in done.stderr.splitlines() if line.startswith("modelward: ")]
        text = f"{what}: exit code {done.returncode}, it said:\n{done.stderr}"
        require(done.returncode == 1 and not done.stdout, text)
        require(len(told) == 1 and told[0] == done.stderr.splitlines()[-1], text)
        # What comes before are lines of the log that tell what was done, not what is wrong.
        require(not re.search(r"\b(ERROR|WARN|panicked)\b", done.stderr), text)
        for pattern in patterns:
            require(re.search(pattern, told[0]), f"{pattern!r} is not in what was said; {text}")
        print(f"  bad start: {what}: {told[0]}")


def new_key(*arguments):
    done = subprocess.run([MODELWARD, "keys", "generate", *arguments], env=environment(), capture_output=True, text=True)
    require(done.returncode == 0 and done.stdout.count("\n") == 1, f"keys generate: {done.stderr}")
    return done.stdout


def run(directory, postgres):
    embedded(directory / "embedded")
    shared(directory, postgres)


def embedded(data):
    server = Server(data)
    with server.running():
        Server(data).fails("a data directory that is in use", "another process", re.escape(str(data)))
    key = (data / "master.key").read_text()
    (data / "master.key").write_text(new_key())
    server.fails("a wrong master key", "master key", key.partition(":")[0], "; give this server the right key")
    (data / "master.key").write_text(key.partition(":")[0] + ":" + new_key("--id", "x").partition(":")[2])
    server.fails("another key under the same id", "master key")
    (data / "master.key").write_text("no key at all\n")
    server.fails("a key file that holds no key", "master key")
    (data / "master.key").write_text(key)
    (data / "master.key").chmod(0o644)
    server.fails("a key file that everybody reads", "chmod 600")
    (data / "master.key").chmod(0o600)
    with server.running():
        pass
    with contextlib.closing(sqlite3.connect(data / "modelward.db")) as database, database:
        database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')")
    server.fails("a newer schema", "newer", "99990101000000")

    places(data)
    settings(data.with_name("unused"))


def places(data):
    file = data.with_name("file")
    file.write_text("")
    Server(file / "data").fails("a data directory that cannot be made", re.escape(str(file / "data")))
    Server("/proc/modelward").fails("an unwritable data directory", "/proc/modelward")
    for setting in ("MODELWARD_LISTEN", "MODELWARD_OPS_LISTEN"):
        with socket.create_server(("127.0.0.1", 0)) as holder:
            address = f"127.0.0.1:{holder.getsockname()[1]}"
            Server(data.with_name("unused"), **{setting: address}).fails(f"a taken port ({setting})", address, "port")


def settings(data):
    Server(data, MODELWARD_DATADIR="x").fails("an unknown variable", "did you mean MODELWARD_DATA_DIR")
    Server(data).fails("an unknown setting", "no_such", arguments=("--set", "no_such.thing=1"))
    file = data.with_name("modelward.toml")
    file.write_text("[limits]\nmax_mesage = '1MiB'\n")
    Server(data).fails("an unknown name in the file", "did you mean", arguments=("--config", str(file)))
    require(not data.exists(), "a start that fails because of its settings leaves nothing behind")


def shared(directory, postgres):
    key = directory / "shared.key"
    key.touch(0o600)
    key.write_text(new_key())
    [port] = free_ports(1)
    keyed = {"MODELWARD_MASTER_KEY_FILE": key}
    gone = f"postgres://modelward:secret-word@127.0.0.1:{port}/modelward"
    Server(directory / "unreachable", MODELWARD_DATABASE_URL=gone, **keyed).fails(
        "an unreachable database", "database does not answer", "; start it", rf"127\.0\.0\.1:{port}", r"^((?!secret-word).)*$")
    url = postgres.database("bad_starts")
    Server(directory / "keyless", MODELWARD_DATABASE_URL=url).fails("PostgreSQL without a master key", "keys generate")
    server = Server(directory / "shared", MODELWARD_DATABASE_URL=url, **keyed)
    with server.running():
        pass
    wrong = directory / "wrong.key"
    wrong.touch(0o600)
    wrong.write_text(new_key())
    Server(directory / "shared", MODELWARD_DATABASE_URL=url, MODELWARD_MASTER_KEY_FILE=wrong).fails(
        "a wrong master key with PostgreSQL", "master key", key.read_text().partition(":")[0])
    postgres.sql("bad_starts", "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')")
    server.fails("a newer schema in PostgreSQL", "newer", "99990101000000")
