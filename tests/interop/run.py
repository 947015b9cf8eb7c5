#!/usr/bin/env python3
"""Clients that were written elsewhere, against the real server: grpcurl, grpc-go, Python's grpcio and Node's grpc-js.

Each is a program that is told in variables where the servers are, and that prints `ok NAME` for each of the checks below:
changes, errors with their details, Watch and going on with its token, deadlines, TLS with an authority of one's own, the
Unix socket, health on both listeners. A check that one of them does not print has failed.

It wants go, node, npm, grpcurl and openssl in the PATH, Python's venv, and `target/release/modelward`; what the clients need
comes from the package registries in the versions of their lock files. Names of clients as arguments: only these.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from bad_starts import free_ports  # noqa: E402
from world import MODELWARD, Failed, Terminal, environment, require  # noqa: E402

CHECKS = ["changes", "errors", "watch", "deadline", "tls", "socket", "health"]
HERE = ROOT / "tests" / "interop"
GO, NODE = ROOT / "examples" / "go", ROOT / "examples" / "node"
# What is installed and generated for Python.
PLACE = ROOT / "target" / "interop"
PYTHON = PLACE / "venv" / "bin" / "python"


def do(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    require(done.returncode == 0, f"{' '.join(map(str, command))} failed:\n{done.stdout}")


def prepare_grpcurl():
    return [sys.executable, HERE / "grpcurl" / "interop.py"]


def prepare_go():
    do("go", "generate", ".", cwd=GO)
    do("go", "build", "-o", PLACE / "go-client", ".", cwd=HERE / "go")
    return [PLACE / "go-client"]


def prepare_python():
    if not PYTHON.exists():
        do(sys.executable, "-m", "venv", PLACE / "venv")
    do(PYTHON, "-m", "pip", "install", "--quiet", "-r", HERE / "python" / "requirements.txt")
    stubs = PLACE / "stubs"
    stubs.mkdir(exist_ok=True)
    protos = sorted((ROOT / "proto" / "modelward" / "v1").glob("*.proto"))
    do(PYTHON, "-m", "grpc_tools.protoc", "-I", ROOT / "proto", f"--python_out={stubs}", f"--grpc_python_out={stubs}", *protos)
    return ["env", f"PYTHONPATH={stubs}", PYTHON, HERE / "python" / "interop.py"]


def prepare_node():
    do("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=NODE)
    return ["node", HERE / "node" / "interop.js"]


CLIENTS = {"grpcurl": prepare_grpcurl, "go": prepare_go, "python": prepare_python, "node": prepare_node}


def certificate(directory):
    """One that signs itself, for localhost."""
    do("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
       "-addext", "subjectAltName=DNS:localhost", "-keyout", directory / "server.key", "-out", directory / "server.pem")
    return directory / "server.pem", directory / "server.key"


@contextlib.contextmanager
def serving(name, directory, **settings):
    variables = {f"MODELWARD_{setting}": value for setting, value in settings.items()}
    variables["MODELWARD_DATA_DIR"] = directory / name
    server = Terminal(name, [MODELWARD, "serve"], directory, environment(**variables))
    try:
        server.wait_for("is ready", 30)
        yield
    finally:
        code = server.stop(signal.SIGTERM)
    require(code == 0, f"the server {name} ended with {code}:\n{server.text()}")


@contextlib.contextmanager
def servers(directory):
    """One in plain text with a Unix socket, one with TLS, and a vendor that never answers; where they are."""
    token = directory / "token"
    token.touch(0o600)
    token.write_text(subprocess.run([MODELWARD, "token", "generate"], check=True, capture_output=True, text=True).stdout)
    certificate_file, key_file = certificate(directory)
    plain, plain_ops, tls, tls_ops = (f"127.0.0.1:{port}" for port in free_ports(4))
    common = {"BOOTSTRAP_TOKEN_FILE": token, "EGRESS__ALLOW_PRIVATE": "true"}
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serving("plain", directory, LISTEN=plain, OPS_LISTEN=plain_ops, UNIX_SOCKET=directory / "socket", **common),
        serving("tls", directory, LISTEN=tls, OPS_LISTEN=tls_ops, TLS__CERT_FILE=certificate_file, TLS__KEY_FILE=key_file,
                **common),
    ):
        yield {
            "PLAIN": plain, "SOCKET": directory / "socket", "OPS": plain_ops, "TOKEN": token,
            "TLS": f"localhost:{tls.rpartition(':')[2]}", "CA": certificate_file,
            "SILENT": f"http://127.0.0.1:{silent.getsockname()[1]}/v1",
            "BAD_FIELDS": "provider.kind provider.name provider.sync_policy.interval",
        }


def run(name, command, places):
    began = time.monotonic()
    env = environment(**{f"INTEROP_{place}": value for place, value in places.items()})
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    passed = [line.removeprefix("ok ") for line in done.stdout.splitlines() if line.startswith("ok ")]
    require(done.returncode == 0 and passed == CHECKS,
            f"{name} passed {passed} of {CHECKS}, exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    print(f"  {name}: {', '.join(passed)} ({time.monotonic() - began:.1f} s)")


def seeded(name, command, places):
    """A client that is told to expect other errors has to notice that they are not there."""
    try:
        run(name, command, places | {"BAD_FIELDS": "provider.nothing"})
    except Failed as failed:
        require(f"{name} passed ['changes'] of" in str(failed) and "provider.nothing" in str(failed), f"it failed elsewhere: {failed}")
    else:
        raise Failed(f"{name} does not look at the details of errors")


def main(names):
    if not MODELWARD.exists():
        sys.exit("there is no release build; make it with: cargo build --release")
    unknown = set(names) - set(CLIENTS)
    if unknown:
        sys.exit(f"there is no client {sorted(unknown)}; there are: {', '.join(CLIENTS)}")
    missing = [program for program in ("go", "node", "npm", "grpcurl", "openssl") if not shutil.which(program)]
    if missing:
        sys.exit(f"{', '.join(missing)} not found; `.ci/run interop` installs what is missing")
    PLACE.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool, tempfile.TemporaryDirectory(prefix="modelward-interop-") as directory:
            prepared = {name: pool.submit(CLIENTS[name]) for name in names or CLIENTS}
            with servers(pathlib.Path(directory)) as places:
                for name, preparing in prepared.items():
                    command = [str(word) for word in preparing.result()]
                    run(name, command, places)
                    seeded(name, command, places)
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
    print(f"interop: {len(prepared)} clients passed {len(CHECKS)} checks each ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main(sys.argv[1:])
