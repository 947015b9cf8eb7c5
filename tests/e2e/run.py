#!/usr/bin/env python3
"""The end-to-end check: what a user does, with the release build, grpcurl and the example clients, on both databases.

It runs the README's command blocks word for word, the four stories, the starts that must fail and a few outages. It wants `grpcurl`
in the PATH, `target/release/modelward`, PostgreSQL's programs, and the ports that the README names.
"""

import pathlib
import signal
import sys
import tempfile
import time

import bad_starts
import outages
import readme
import stories
from calls import Client
from postgres import Postgres
from world import MODELWARD, Failed, World, require

READY = "is ready"


def five_minutes(world, serve):
    """The README from the start of the server to the clients."""
    world.terminal(serve, READY)
    world.terminal("vendor", "mock vendor:")
    world.run("shell")
    world.run("provider", '"name": "demo"', '"isActive": true')
    world.run("endpoint", '"baseUrl": "http://127.0.0.1:18080/v1"', '"isDefault": true')
    world.run("credential", r'"hint": "\*{4}abcd"', r"^((?!sk-mock)[\s\S])*$")
    world.run("validate", "VALIDATION_STATUS_VALID")
    world.run("sync", '"added": 4')
    world.run("capability", r'("modelId"[\s\S]*){3}', '"totalSize": 3')
    world.run("pick", '"name": "local"')
    world.stop("vendor")
    # The README says "a few seconds"; a busy machine gets more.
    world.run("unhealthy", "HEALTH_STATUS_UNHEALTHY", "HEALTH_CAUSE_CONNECT", retry_for=30)
    world.run("pick-none", "Unavailable", "NO_HEALTHY_ENDPOINT", fails=True)
    world.terminal("vendor", "mock vendor:")
    world.run("pick", '"name": "local"', retry_for=30)
    world.run("explore", "modelward.v1.ProviderService", "grpc.health.v1.Health", "rpc PickEndpoint",
              "Azure OpenAI", '"status":"healthy"')
    world.run("rust-client", "done", seconds=600)
    world.run("python-client", "done", seconds=300)
    world.run("go-client", "call .* at http://127.0.0.1:18080/v1", "made the provider", "done", seconds=300)
    world.run("node-client", "call .* at http://127.0.0.1:18080/v1", "made the provider", "done", seconds=300)
    world.run("tokens", "admin", r"\bci\b.*editor")
    world.terminal("watch", "state      provider", seconds=60)
    # A program without a handler of its own ignores Ctrl-C where whoever started these tests does.
    world.stop("watch", signal.SIGTERM)
    world.run("config", "modelward-data")
    world.run("doctor", "ok    connection", "ok    store", "ok    watch", r"^((?!FAIL)[\s\S])*$")


def client_of(world):
    return Client((world.dir / "modelward-data" / "admin.token").read_text().strip())


def access(world):
    """Nobody gets in without a token, and nobody does what his role does not allow."""
    Client(None).refused("UNAUTHENTICATED", "ProviderService/ListProviders")
    Client("mw_0_0").refused("UNAUTHENTICATED", "ProviderService/ListProviders")
    editor = Client((world.dir / "ci.token").read_text().strip())
    [provider] = editor.call("ProviderService/ListProviders", name="demo")["providers"]
    [credential] = editor.call("CredentialService/ListCredentials", provider_id=provider["id"])["credentials"]
    editor.refused("FORBIDDEN", "CredentialService/AccessCredential", id=credential["id"])
    changes = editor.call("AuditService/ListChanges", resource_id=provider["id"])["changes"]
    require(changes and changes[0]["actor"] == "admin", f"the audit log tells who made the provider: {len(changes)}")


def on_sqlite():
    with World("sqlite") as world:
        five_minutes(world, "serve")
        access(world)
        stories.run(client_of(world))
        world.stop("serve")
        world.terminal("serve-tls", READY)
        world.run("call-tls", '"databaseKind": "DATABASE_KIND_SQLITE"')
        return world.ran


def on_postgres(postgres):
    url = postgres.database("readme")
    with World("postgres", {"MODELWARD_DATABASE_URL": url}) as world:
        five_minutes(world, "serve-postgres")
        world.terminal("serve-replica", READY)
        world.run("read-your-writes", '"name": "demo"')
        access(world)
        stories.run(client_of(world))
        replicas(world)
        return world.ran


def replicas(world):
    """What one replica wrote, the other shows within a second."""
    here, there = client_of(world), client_of(world)
    there.address = "127.0.0.1:50052"
    made = stories.make_provider(here, "Shown by both")
    began = time.monotonic()
    while not there.call("ProviderService/ListProviders", name="Shown by both")["providers"]:
        require(time.monotonic() - began < 2, "after 2 s the second replica still does not show what the first wrote")
    stories.purge(there, made["id"])


def main():
    if not MODELWARD.exists():
        sys.exit("there is no release build; make it with: cargo build --release")
    began = time.monotonic()
    try:
        with Postgres() as postgres:
            print("bad starts")
            with tempfile.TemporaryDirectory(prefix="modelward-e2e-") as directory:
                bad_starts.run(pathlib.Path(directory), postgres)
            print("outages")
            with tempfile.TemporaryDirectory(prefix="modelward-e2e-") as directory:
                outages.run(pathlib.Path(directory), postgres)
            print("README and stories on SQLite")
            ran = on_sqlite()
            print("README and stories on PostgreSQL")
            ran |= on_postgres(postgres)
        # The tests are a command of the README too; `.ci/run` runs it.
        left = set(readme.blocks()) - ran - {"tests"}
        require(not left, f"blocks of the README that nothing runs: {sorted(left)}")
    except Failed as failed:
        sys.exit(f"FAILED: {failed}")
    print(f"end-to-end: everything is as described ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
