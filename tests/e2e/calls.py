"""Calls through the real grpcurl, as JSON."""

import json
import os
import subprocess
import urllib.parse
import urllib.request

from world import API, Failed, require


class Refused(Exception):
    """An error of the server: its code, its message, and the reason in its ErrorInfo."""

    def __init__(self, status):
        self.code = status.get("code")
        self.message = status.get("message", "")
        self.details = status.get("details", [])
        info = [detail for detail in self.details if detail.get("@type", "").endswith("google.rpc.ErrorInfo")]
        self.reason = info[0].get("reason", "") if len(info) == 1 else f"{len(info)} ErrorInfo instead of one"
        super().__init__(f"{self.reason} ({self.code}): {self.message}")


class Client:
    def __init__(self, token, address=API):
        self.token = token
        self.address = address

    def call(self, method, **request):
        """The answer of an RPC, `Service/Method`, as a dictionary."""
        # The token is handed over in a variable, not on the command line, which every user of a machine sees.
        command = ["grpcurl", "-plaintext", "-format-error", "-emit-defaults", "-expand-headers"]
        if self.token:
            command += ["-H", "authorization: Bearer ${TOKEN}"]
        command += ["-d", "@", self.address, f"modelward.v1.{method}"]
        env = {"TOKEN": self.token or "", "PATH": os.environ["PATH"]}
        done = subprocess.run(command, input=json.dumps(request), env=env, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return json.loads(done.stdout or "{}")
        try:
            status = json.loads(done.stderr)
        except ValueError:
            raise Failed(f"{method}: grpcurl said: {done.stderr}") from None
        raise Refused(status)

    def refused(self, reason, method, **request):
        """Requires that an RPC fails with this reason."""
        try:
            answer = self.call(method, **request)
        except Refused as refusal:
            require(refusal.reason == reason, f"{method}: expected {reason}, got {refusal}")
            return refusal
        raise Failed(f"{method}: expected {reason}, got an answer: {answer}")


def vendor(verb, **parameters):
    """Tells the mock vendor how to behave."""
    url = f"http://127.0.0.1:18080/admin/{verb}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10) as answer:
        require(answer.status == 200, f"the vendor answered {answer.status}")
