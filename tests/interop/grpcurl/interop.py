"""The checks that every client has to pass, by grpcurl. `tests/interop/run.py` starts it and says where the servers are.

It needs no proto file: it asks the server for them by reflection.
"""

import json
import os
import subprocess
import sys
import time
import uuid

PLAIN, SOCKET, TLS, CA, OPS, TOKEN = (
    os.environ[f"INTEROP_{name}"] for name in ("PLAIN", "SOCKET", "TLS", "CA", "OPS", "TOKEN"))
with open(TOKEN) as text:
    # Handed over in a variable, not on the command line, which every user of a machine sees.
    os.environ["AUTHORIZATION"] = f"Bearer {text.read().strip()}"
AUTHORIZED = ["-expand-headers", "-H", "authorization: ${AUTHORIZATION}"]
UNAUTHENTICATED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 16, 3, 4, 5


class Refused(Exception):
    """The status of a failed call, as JSON."""


class Client:
    def __init__(self, *options, address=PLAIN, token=True):
        self.command = ["grpcurl", *options, "-format-error", "-emit-defaults", *(AUTHORIZED if token else [])]
        self.address = address

    def arguments(self, method, *options):
        return [*self.command, *options, "-d", "@", self.address, method]

    def call(self, method, *options, **request):
        method = f"modelward.v1.{method}"
        done = subprocess.run(self.arguments(method, *options), input=json.dumps(request), capture_output=True, text=True,
                              timeout=60)
        if done.returncode:
            raise Refused(json.loads(done.stderr) if done.stderr.startswith("{") else {"message": done.stderr})
        return json.loads(done.stdout or "{}")

    def create(self, name, request_id=""):
        wanted = {"name": name, "kind": "PROVIDER_KIND_VLLM"}
        return self.call("ProviderService/CreateProvider", provider=wanted, request_id=request_id)["provider"]

    def purge(self, provider_id):
        self.call("ProviderService/DeleteProvider", id=provider_id, purge=True)


def refused(call, code, reason):
    """The fields that an error of this code and reason names as bad."""
    try:
        answer = call()
    except Refused as refusal:
        [status] = refusal.args
    else:
        raise AssertionError(f"{reason} was expected: {answer}")
    details = {detail["@type"].rpartition(".")[2]: detail for detail in status["details"]}
    assert status["code"] == code, status
    assert (details["ErrorInfo"]["reason"], details["ErrorInfo"]["domain"]) == (reason, "modelward"), status
    return sorted(violation["field"] for violation in details.get("BadRequest", {}).get("fieldViolations", []))


def changes(client):
    request_id = str(uuid.uuid4())
    made = client.create("grpcurl changes", request_id)
    assert client.create("grpcurl changes", request_id) == made
    # grpcurl writes a mask as the message that it is, not as JSON's string.
    wanted = {"id": made["id"], "description": "by grpcurl", "name": "not named"}
    updated = client.call("ProviderService/UpdateProvider", provider=wanted, update_mask={"paths": ["description"]},
                          expected_revision=made["revision"])["provider"]
    assert (updated["description"], updated["name"]) == ("by grpcurl", "grpcurl changes"), updated
    listed = client.call("ProviderService/ListProviders", name="grpcurl changes")
    assert listed["totalSize"] == 1 and listed["providers"] == [updated], listed
    client.purge(made["id"])
    refused(lambda: client.call("ProviderService/GetProvider", id=made["id"]), NOT_FOUND, "NOT_FOUND")


def errors(client):
    wanted = {"name": "", "sync_policy": {"interval": "1s"}}
    fields = refused(lambda: client.call("ProviderService/CreateProvider", provider=wanted), INVALID_ARGUMENT, "INVALID_FIELD")
    expected = os.environ["INTEROP_BAD_FIELDS"].split()
    assert fields == expected, (fields, expected)
    nobody = Client("-plaintext", token=False)
    refused(lambda: nobody.call("ProviderService/ListProviders"), UNAUTHENTICATED, "UNAUTHENTICATED")


class Stream:
    """A stream that grpcurl prints, one message of JSON after the other."""

    def __init__(self, client, **request):
        self.process = subprocess.Popen(client.arguments("modelward.v1.WatchService/Watch"), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(request))
        self.process.stdin.close()

    def next(self):
        text = ""
        for line in self.process.stdout:
            text += line
            if line == "}\n":
                return json.loads(text)
        raise AssertionError("the stream ended")

    def next_change(self):
        """The next change that it shows, and the token after it."""
        while True:
            message = self.next()
            if message["event"] == "WATCH_EVENT_CHANGES":
                return message["changes"][0]["after"]["provider"]["name"], message["resumeToken"]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def watch(client):
    stream = Stream(client, client_name="grpcurl")
    try:
        assert stream.next()["event"] == "WATCH_EVENT_BOOKMARK"
        seen = client.create("grpcurl seen")
        name, token = stream.next_change()
        assert name == "grpcurl seen", name
    finally:
        stream.close()
    missed = client.create("grpcurl missed")
    resumed = Stream(client, resume_token=token)
    try:
        assert resumed.next_change()[0] == "grpcurl missed"
    finally:
        resumed.close()
    client.purge(seen["id"])
    client.purge(missed["id"])


def deadline(client):
    """A call that would take seconds ends when its caller has no more time."""
    provider = client.create("grpcurl deadline")
    wanted = {"provider_id": provider["id"], "name": "silent", "base_url": os.environ["INTEROP_SILENT"],
              "health_check": {"enabled": False}}
    made = client.call("EndpointService/CreateEndpoint", endpoint=wanted)["endpoint"]
    began = time.monotonic()
    try:
        answer = client.call("EndpointService/CheckEndpointHealth", "-max-time", "1", id=made["id"])
    except Refused as refusal:
        assert refusal.args[0].get("code") == DEADLINE_EXCEEDED, refusal
    else:
        raise AssertionError(f"a call without time left is answered: {answer}")
    assert time.monotonic() - began < 4, "the call ended by itself"
    client.purge(provider["id"])


def tls(_):
    client = Client("-cacert", CA, address=TLS)
    client.purge(client.create("grpcurl tls")["id"])
    try:
        answer = Client(address=TLS).create("grpcurl stranger")
    except Refused as refusal:
        assert "certificate" in refusal.args[0]["message"], refusal
    else:
        raise AssertionError(f"an unknown authority is trusted: {answer}")


def socket(_):
    client = Client("-plaintext", address=f"unix://{SOCKET}")
    for check in (changes, errors, watch):
        check(client)


def health(_):
    """Health needs no token, on both listeners. That for operators has no reflection."""
    proto = os.path.join(os.path.dirname(__file__), "health.proto")
    for address in (OPS, PLAIN):
        command = ["grpcurl", "-plaintext", "-import-path", os.path.dirname(proto), "-proto", "health.proto"]
        for service in ("", "modelward.v1.ProviderService", "modelward.writes"):
            asked = [*command, "-d", json.dumps({"service": service}), address, "grpc.health.v1.Health/Check"]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0 and json.loads(done.stdout) == {"status": "SERVING"}, (service, address, done)


def main():
    client = Client("-plaintext")
    for check in (changes, errors, watch, deadline, tls, socket, health):
        check(client)
        print("ok", check.__name__, flush=True)


if __name__ == "__main__":
    sys.exit(main())
