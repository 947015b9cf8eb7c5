"""What the checks share: a directory to work in, terminals, a shell, and failing with the logs."""

import atexit
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import readme

ROOT = readme.ROOT
MODELWARD = ROOT / "target" / "release" / "modelward"
API = "127.0.0.1:50051"
# Of the server, of the second replica, of both their listeners for operators, of the vendor.
PORTS = (50051, 50052, 9090, 9091, 18080)


class Failed(Exception):
    """A check that did not hold; the text says which."""


def require(condition, text):
    if not condition:
        raise Failed(text)


def wait_until(condition, text, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        require(time.monotonic() < end, f"after {seconds} s still not: {text}")
        time.sleep(0.05)


def is_taken(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Terminal:
    """A program in a terminal of its own; `stop` is Ctrl-C there."""

    def __init__(self, name, command, cwd, env):
        self.name = name
        self.log = cwd / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        # A check that fails leaves nothing running.
        atexit.register(self.kill)

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, line, seconds):
        def ready():
            require(self.process.poll() is None, f"{self.name} ended by itself")
            return line in self.text()

        wait_until(ready, f"{self.name} says {line!r}", seconds)

    def stop(self, sign=signal.SIGINT, seconds=40):
        if self.process.poll() is None:
            os.killpg(self.process.pid, sign)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not stop within {seconds} s") from None


class Shell:
    """One interactive shell: what a block sets, the next ones see."""

    MARK = "-- end of block: "

    def __init__(self, prelude, cwd, env):
        self.process = subprocess.Popen(
            ["bash"], cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.cwd = cwd
        self._run(prelude, 10)

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def _run(self, text, seconds):
        (self.cwd / "block.sh").write_text(text)
        self.process.stdin.write(f"source ./block.sh </dev/null; E2E_CODE=$?; echo; echo '{self.MARK}'$E2E_CODE\n")
        self.process.stdin.flush()
        output, end = [], time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"a block took more than {seconds} s; so far it said:\n{''.join(output)}") from None
            if line.startswith(self.MARK):
                return "".join(output), int(line.removeprefix(self.MARK))
            output.append(line)

    def run(self, text, seconds=60):
        return self._run(text, seconds)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def keep_free(ports):
    """Keeps the system from giving these ports to outgoing connections, where it may be told: README's ports are among
    those that it gives away."""
    reserved = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
    try:
        known = reserved.read_text().strip()
        reserved.write_text(",".join(filter(None, [known, *map(str, ports)])))
    except OSError:
        pass


class World:
    """A directory that looks like a fresh checkout, whose files the blocks may litter, and what runs in it.

    `cargo` is told where the real checkout is, so that its build serves; the blocks stay as they are.
    """

    def __init__(self, name, variables=None):
        keep_free(PORTS)
        for port in PORTS:
            require(not is_taken(port), f"the port {port} is taken by another program; stop it and repeat")
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="modelward-e2e-"))
        for entry in ROOT.iterdir():
            if entry.name not in {"target", "modelward-data", ".git", ".venv", "stubs"}:
                (self.dir / entry.name).symlink_to(entry)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("MODELWARD_")}
        self.env |= {"CARGO_TERM_COLOR": "never"} | (variables or {})
        self.blocks = readme.blocks()
        self.ran = set()
        self.terminals = {}
        self.shell = Shell(self._prelude(), self.dir, self.env)

    def _prelude(self):
        return (
            'cargo() { local verb=$1; shift; command cargo "$verb" --quiet --locked'
            f" --manifest-path '{ROOT}/Cargo.toml'" ' "$@"; }\n'
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.shell.close()
        for terminal in list(self.terminals.values()):
            terminal.kill()
        if error is not None:
            for log in sorted(self.dir.glob("*.log")):
                print(f"---- the end of {log.name}")
                print(*log.read_text(errors="replace").splitlines()[-60:], sep="\n")
        shutil.rmtree(self.dir, ignore_errors=True)

    def terminal(self, block, ready, seconds=600):
        """Runs a block of the README in a terminal of its own, until it says that it is ready."""
        self.ran.add(block)
        script = self.dir / f"{block}.sh"
        script.write_text(self._prelude() + self.blocks[block])
        self.terminals[block] = terminal = Terminal(block, ["bash", str(script)], self.dir, self.env)
        terminal.wait_for(ready, seconds)
        print(f"  {block}: {ready}")
        return terminal

    def stop(self, block, sign=signal.SIGINT):
        self.terminals.pop(block).stop(sign)

    def run(self, block, *shows, fails=False, retry_for=0, seconds=60):
        """Runs a block of the README in the shell; `shows` are patterns that its output must have."""
        self.ran.add(block)
        end = time.monotonic() + retry_for
        while True:
            output, code = self.shell.run(self.blocks[block], seconds)
            missing = [pattern for pattern in shows if not re.search(pattern, output)]
            good = not missing and (code != 0) == fails
            if good or time.monotonic() >= end:
                break
            time.sleep(0.5)
        require(good, f"block {block}: exit code {code}, not shown: {missing}; it said:\n{output}")
        print(f"  {block}: as described")
        return output


def environment(**variables):
    """This process's environment without settings of Modelward, and with these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MODELWARD_")}
    return plain | {name: str(value) for name, value in variables.items()}
