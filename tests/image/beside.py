"""The sidecar as the example chart of a service has it: beside a server's pod, in the same network."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

from container import USER, require
from pod import Pod, documents_of, objects, render

ROOT = pathlib.Path(__file__).resolve().parents[2]


def assistant(directory, *values):
    """The objects of the example chart, with its dependency packed beside it."""
    chart = directory / "examples" / "assistant"
    shutil.copytree(ROOT / "examples" / "assistant", chart, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    (directory / "helm").symlink_to(ROOT / "helm")
    subprocess.run(["helm", "dependency", "update", chart], check=True, capture_output=True)
    sets = [word for value in values for word in ("--set", f"modelward-sidecar.{value}")]
    return documents_of("helm", "template", "assistant", str(chart), "--namespace", "llm", *sets)


class Sidecar(Pod):
    """The container beside a service, with its volumes."""

    def __init__(self, image, directory, documents, secrets, hosts):
        self.image, self.directory, self.documents, self.secrets, self.hosts = image, directory, documents, secrets, hosts
        self.spec = objects(documents, "Deployment")[0]["spec"]["template"]["spec"]
        self.volumes = {volume["name"]: self._volume(volume) for volume in self.spec["volumes"]}
        self.starts = 0

    def start(self):
        [beside] = self.spec["initContainers"]
        require(beside["restartPolicy"] == "Always", "the kubelet would wait for its end")
        self.starts += 1
        self.log = (self.directory / "log").open("a+b")
        self.server = self.container(beside, f"sidecar-{self.starts}")
        self.running = self.server.start(self.log, *self.image.entrypoint, *beside["args"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.wait_for_probe(self.server, beside[probe]["grpc"])

    def names(self):
        """What the service sees over the socket: the names of the providers."""
        socket = self.volumes["modelward-socket"] / "api.sock"
        about = socket.stat()
        require(stat.S_IMODE(about.st_mode) == 0o660 and about.st_gid == USER, f"who may call: {about}")
        call = ["grpcurl", "-plaintext", f"unix://{socket}", "modelward.v1.ProviderService/ListProviders"]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60)
        require(done.returncode == 0, f"over the socket: {done.stderr}")
        return [provider["name"] for provider in json.loads(done.stdout).get("providers", [])]


def check_sidecar(image, directory):
    """It serves what the server has, goes on when that is gone, and starts from its copy."""
    place = directory / "beside"
    for name in ("server", "sidecar", "chart"):
        (place / name).mkdir(parents=True)
    server = Pod(image, place / "server", render(), {})
    server.prepare()
    server.start()
    try:
        token = server.server.run(*image.entrypoint, "token", "create", "--name", "assistant", "--role", "consumer").stdout
        admin = (server.volumes["data"] / "admin.token").read_text().strip()
        create = ["grpcurl", "-plaintext", "-expand-headers", "-H", "authorization: Bearer ${TOKEN}", "-d",
                  '{"provider": {"name": "seen", "kind": "PROVIDER_KIND_VLLM"}}', "127.0.0.1:50051",
                  "modelward.v1.ProviderService/CreateProvider"]
        subprocess.run(create, check=True, capture_output=True, env=os.environ | {"TOKEN": admin})
        documents = assistant(place / "chart", "upstream=http://modelward:50051", "serveSecrets=false", "ca.configMap=",
                              "identity.existingSecret=token", "ports.ops=9190")
        sidecar = Sidecar(image, place / "sidecar", documents, {"token": {"token": token}}, server.hosts)
        sidecar.start()
        require(sidecar.names() == ["seen"], f"the sidecar shows {sidecar.names()}")
    finally:
        code = server.running.stop()
    require(code == 0, f"the server stopped with {code}: {server.told()}")
    try:
        require(sidecar.names() == ["seen"], "it does not go on without its server")
        require(sidecar.running.stop() == 0, f"the sidecar did not stop well: {sidecar.told()}")
        sidecar.start()
        require(sidecar.names() == ["seen"], "it does not start from its copy")
    finally:
        code = sidecar.running.stop()
    require(code == 0, f"the sidecar stopped with {code}: {sidecar.told()}")
    print("  sidecar: serves over its socket, also without its server, and starts from its copy")
