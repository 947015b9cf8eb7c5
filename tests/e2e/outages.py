"""What must survive: a server that is killed, and a database that is stopped and comes back."""

import signal
import time

import stories
from bad_starts import Server, free_ports, new_key
from calls import Client, Refused
from world import Terminal, require, wait_until

WRITES = 20


class Killable:
    """A server that is started on the same ports again and again."""

    def __init__(self, directory, **variables):
        api, ops = free_ports(2)
        data = directory / "data"
        own = {"MODELWARD_LISTEN": f"127.0.0.1:{api}", "MODELWARD_OPS_LISTEN": f"127.0.0.1:{ops}"}
        self.server = Server(data, **own, **variables)
        self.directory, self.token_file, self.address = directory, data / "admin.token", f"127.0.0.1:{api}"

    def start(self):
        began = time.monotonic()
        self.terminal = Terminal("server", self.server.command, self.directory, self.server.env())
        self.terminal.wait_for("is ready", 30)
        return time.monotonic() - began

    def client(self):
        return Client(self.token_file.read_text().strip(), self.address)

    def names(self):
        listed = self.client().call("ProviderService/ListProviders", page_size=1000)
        return {row["name"] for row in listed["providers"]}


def run(directory, postgres):
    (directory / "sqlite").mkdir()
    killed(Killable(directory / "sqlite"), "SQLite")
    (directory / "postgres").mkdir()
    key = directory / "master.key"
    key.touch(0o600)
    key.write_text(new_key())
    url = postgres.database("outages")
    server = Killable(directory / "postgres", MODELWARD_DATABASE_URL=url, MODELWARD_MASTER_KEY_FILE=key)
    killed(server, "PostgreSQL")
    stopped(server, postgres)


def killed(server, database):
    """Whatever was acknowledged is there after kill -9."""
    first = server.start()
    for number in range(WRITES):
        stories.make_provider(server.client(), f"kept {number}")
    server.terminal.stop(signal.SIGKILL)
    again = server.start()
    require(server.names() == {f"kept {number}" for number in range(WRITES)}, "an acknowledged write was lost")
    server.terminal.stop(signal.SIGTERM)
    print(f"  {database}: {WRITES} of {WRITES} writes survive kill -9;"
          f" ready after {first:.2f} s on an empty database, {again:.2f} s on this one")


def stopped(server, postgres):
    """Reads go on without the database, writes say that it is away, and work again without a restart."""
    server.start()
    before = server.names()
    postgres.stop()
    try:
        began = time.monotonic()
        server.client().refused("STORE_UNAVAILABLE", "ProviderService/CreateProvider",
                                provider={"name": "not now", "kind": "PROVIDER_KIND_OPENAI"})
        took = time.monotonic() - began
        require(took < 3, f"a write without a database took {took:.1f} s to fail")
        require(server.names() == before, "reads go on")
    finally:
        postgres.start()
    began = time.monotonic()
    wait_until(lambda: _writes(server), "writes work again", 10)
    require(server.names() == before | {"again"}, "what was refused is not there, what was acknowledged is")
    print(f"  PostgreSQL stopped: reads go on, a write fails after {took:.2f} s, works {time.monotonic() - began:.2f} s after")
    server.terminal.stop(signal.SIGTERM)


def _writes(server):
    try:
        return stories.make_provider(server.client(), "again")
    except Refused as refusal:
        require(refusal.reason == "STORE_UNAVAILABLE", f"a write fails with {refusal}")
        return None
