"""A temporary PostgreSQL cluster from Debian's programs, reached over a port of the loopback."""

import glob
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """Use it with `with`; the server refuses to run as root, so that root runs it as the user postgres."""

    def __init__(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        if not programs:
            raise SystemExit("PostgreSQL's programs are missing; scripts/test installs them")
        self.bin = pathlib.Path(programs[-1]).parent
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="modelward-e2e-pg-"))
        self.port = free_port()

    def _run(self, *command):
        if os.geteuid() == 0:
            command = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command)
        done = subprocess.run(command, cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def __enter__(self):
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        data = self.dir / "data"
        self._run(self.bin / "initdb", "-D", data, "-U", "modelward", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.dir}"
        # The server keeps the standard output open that it inherits, so it gets a file.
        self._run(self.bin / "pg_ctl", "-D", self.dir / "data", "-o", options, "-l", self.dir / "log", "-w", "start")

    def stop(self):
        self._run(self.bin / "pg_ctl", "-D", self.dir / "data", "-m", "immediate", "stop")

    def sql(self, database, text):
        return self._run("psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "modelward", "-d", database,
                         "-v", "ON_ERROR_STOP=1", "-At", "-c", text)

    def database(self, name):
        """Makes an empty database and answers its URL."""
        self.sql("postgres", f"CREATE DATABASE {name}")
        return f"postgres://modelward@127.0.0.1:{self.port}/{name}"
