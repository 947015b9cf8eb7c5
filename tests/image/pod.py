"""What a kubelet would do with the chart's pods: volumes, variables, the init container, the probes."""

import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

from container import USER, Container, Failed, require

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "modelward"


def render(*arguments):
    """The objects that the chart makes, as dictionaries."""
    return documents_of("helm", "template", "modelward", str(CHART), "--namespace", "llm", *arguments)


def documents_of(*helm):
    text = subprocess.run(helm, check=True, capture_output=True, text=True).stdout
    return json.loads(subprocess.run(["modelward-chart-json"], input=text, check=True, capture_output=True, text=True).stdout)


def objects(documents, kind):
    return [document for document in documents if document["kind"] == kind]


class Pod:
    """The server's pod of what was rendered. `secrets` are their contents by name and key."""

    def __init__(self, image, directory, documents, secrets):
        self.image, self.directory, self.documents, self.secrets = image, directory, documents, secrets
        [workload] = objects(documents, "Deployment") + objects(documents, "StatefulSet")
        self.spec = workload["spec"]["template"]["spec"]
        user = self.spec["securityContext"]
        require((user["runAsUser"], user["runAsGroup"], user["fsGroup"]) == (USER, USER, USER), f"another user: {user}")
        self.volumes = {volume["name"]: self._volume(volume) for volume in self.spec["volumes"]}
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            self.volumes[claim["metadata"]["name"]] = self._writable(claim["metadata"]["name"])
        # Names of services lead to this pod.
        self.hosts = [f"127.0.0.1 {service['metadata']['name']}" for service in objects(documents, "Service")]

    def _volume(self, volume):
        name = volume["name"]
        if "configMap" in volume:
            [settings] = objects(self.documents, "ConfigMap")
            return self._files(name, settings["data"], 0o644)
        if "secret" in volume:
            source = volume["secret"]
            secret = self.secrets[source["secretName"]]
            items = source.get("items") or [{"key": key, "path": key} for key in secret]
            return self._files(name, {item["path"]: secret[item["key"]] for item in items},
                               source.get("defaultMode", 0o644))
        if "projected" in volume:
            sources = [source["secret"] for source in volume["projected"]["sources"]]
            contents = {item["path"]: self.secrets[source["name"]][item["key"]] for source in sources for item in source["items"]}
            return self._files(name, contents, volume["projected"]["defaultMode"])
        require("emptyDir" in volume, f"no such volume is known: {volume}")
        return self._writable(name)

    def _files(self, name, contents, mode):
        directory = self.directory / name
        directory.mkdir()
        for path, text in contents.items():
            (directory / path).write_text(text)
            os.chmod(directory / path, mode)
            # fsGroup: the files are root's and of the pod's group.
            os.chown(directory / path, 0, USER)
        return directory

    def _writable(self, name):
        directory = self.directory / name
        directory.mkdir()
        os.chown(directory, 0, USER)
        os.chmod(directory, 0o2775)
        return directory

    def container(self, container, name):
        context = container["securityContext"]
        require(context["readOnlyRootFilesystem"] and context["capabilities"]["drop"] == ["ALL"], f"not restricted: {context}")
        mounts = {mount["mountPath"]: (self.volumes[mount["name"]], mount.get("readOnly", False))
                  for mount in container.get("volumeMounts", [])}
        return Container(self.image.root, self.directory / name, self.image.variables | self._variables(container), mounts, self.hosts)

    def _variables(self, container):
        return {variable["name"]: self._value(variable) for variable in container.get("env", [])}

    def _value(self, variable):
        if "value" in variable:
            return variable["value"]
        source = variable["valueFrom"]["secretKeyRef"]
        return self.secrets[source["name"]][source["key"]]

    def prepare(self):
        """Runs the init containers."""
        for number, container in enumerate(self.spec["initContainers"]):
            done = self.container(container, f"init-{number}").run(*self.image.entrypoint, *container["args"])
            require(done.returncode == 0, f"{container['name']} failed: {done.stderr}")

    def start(self):
        """Starts the server; returns when its probes say what they shall."""
        [server] = self.spec["containers"]
        self.server = self.container(server, "server")
        self.log = (self.directory / "log").open("w+b")
        self.running = self.server.start(self.log, *self.image.entrypoint, *server["args"])
        ports = {port["name"]: port["containerPort"] for port in server["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.wait_for_probe(self.server, server[probe]["grpc"])
        return ports

    def wait_for_probe(self, container, probe, seconds=30):
        """Asks gRPC health as a kubelet does: in plain text, from outside of the container."""
        ask = ["health", f"--server=http://127.0.0.1:{probe['port']}", f"--service={probe.get('service', '')}"]
        end = time.monotonic() + seconds
        while (done := container.run(*self.image.entrypoint, *ask)).returncode != 0:
            ended = self.running.process.poll() is not None
            if ended or time.monotonic() > end:
                raise Failed(f"{probe}: {done.stderr}; the server {'ended' if ended else 'runs'}: {self.told()}")
            time.sleep(0.05)

    def wait_for(self, url, seconds=30):
        end = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return answer.read().decode()
            except (urllib.error.URLError, ConnectionError) as error:
                ended = self.running.process.poll() is not None
                if ended or time.monotonic() > end:
                    raise Failed(f"{url}: {error}; the server {'ended' if ended else 'runs'}: {self.told()}") from None
            time.sleep(0.05)

    def told(self):
        return (self.directory / "log").read_text(errors="replace")

    def test(self):
        """Runs the containers of `helm test`."""
        [test] = objects(self.documents, "Pod")
        fresh = [volume for volume in test["spec"].get("volumes", []) if volume["name"] not in self.volumes]
        self.volumes |= {volume["name"]: self._volume(volume) for volume in fresh}
        for container in test["spec"]["containers"]:
            done = self.container(container, f"test-{container['name']}").run(*self.image.entrypoint, *container["args"])
            require(done.returncode == 0, f"helm test, {container['name']}: {done.stdout}{done.stderr}")
        return len(test["spec"]["containers"])
