"""Checks the container image and the pods of the chart without a container engine and without a cluster.

The files of the image are put into an empty directory. The program is run from there as it would be in a container: as
the user 65532, without capabilities, with a root that it cannot write to; first as the Dockerfile says, then as the
chart's pods say, with both databases and with TLS. Needs root, for mounts and another user.

`python3 check.py PROGRAM`, the release build on the system that it was built on.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "e2e"))

from beside import check_sidecar  # noqa: E402
from container import USER, Container, Failed, require  # noqa: E402
from image import Image  # noqa: E402
from pod import CHART, Pod, objects, render  # noqa: E402
from postgres import Postgres  # noqa: E402

INSIDE = "MODELWARD_TEST_OWN_NETWORK"


def own_network():
    """Starts over in a network of its own, so that the ports of the pods are free, and switches its loopback on."""
    if INSIDE not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", sys.executable, *sys.argv], os.environ | {INSIDE: "1"})
    up, flags = 0x8914, 0x1 | 0x40
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, up, struct.pack("16sH14x", b"lo", flags))


@contextlib.contextmanager
def serving(image, container, log):
    """Runs the server until its probe answers; it has to stop when it is told to."""
    with log.open("w+b") as told:
        running = container.start(told, *image.entrypoint, *image.command)
        end = time.monotonic() + 60
        try:
            while container.run(*image.probe).returncode != 0:
                waited = running.process.poll() is None and time.monotonic() < end
                require(waited, f"it ended, or does not get ready: {log.read_text()}")
            yield running
        finally:
            code = running.stop()
    require(code == 0, f"exit code {code}: {log.read_text()}")


def check_bare(image, directory):
    """As `docker run --read-only` with a volume would."""
    data = directory / "data"
    data.mkdir()
    os.chown(data, USER, USER)
    container = image.container(directory / "bare", volumes={"/var/lib/modelward": (data, False)})
    with serving(image, container, directory / "bare.log") as running:
        status = running.status()
    # Real, effective, saved; file system.
    require(status["Uid"] == [str(USER)] * 4 and status["Gid"] == [str(USER)] * 4, f"it runs as {status['Uid']}")
    require(status["NoNewPrivs"] == ["1"] and set(status["CapEff"][0]) == {"0"}, "it has capabilities")
    require((data / "master.key").stat().st_mode & 0o777 == 0o600, "the master key is not private")
    print("  bare: serves, its probe answers, and it stops with 0")


def check_seeded(image, directory):
    """What these checks must notice: a library that is missing, a root that would have to be written to."""
    broken = directory / "broken"
    shutil.copytree(image.root, broken)
    next(path for path in broken.rglob("libm.so*")).unlink()
    done = Container(broken, directory / "without", {}, {}).run(*image.entrypoint, "--version")
    require(done.returncode != 0 and "libm.so" in done.stderr, f"a missing library is not noticed: {done}")
    done = image.container(directory / "no-volume").run(*image.entrypoint, *image.command)
    require(done.returncode == 1 and "Read-only file system" in done.stderr, f"its root can be written to: {done}")
    print("  seeded: a missing library and a missing volume are noticed")


def check_settings(image, directory):
    """Every file of values gives settings that the program accepts."""
    examples = sorted(CHART.glob("ci/*-values.yaml"))
    for number, example in enumerate(examples):
        [settings] = objects(render("--values", str(example)), "ConfigMap")
        place = directory / f"settings-{number}"
        place.mkdir()
        for name, text in settings["data"].items():
            (place / name).write_text(text)
        container = image.container(directory / f"config-{number}", {"MODELWARD_CONFIG": "/etc/modelward/config/modelward.toml"},
                                    {"/etc/modelward/config": (place, True)})
        done = container.run(*image.entrypoint, "config", "check")
        require(done.returncode == 0, f"{example.name}: {done.stderr}")
    print(f"  settings: those of {len(examples)} files of values are accepted")


def check_commands(image, directory):
    """The commands of the program that documentation and notes show are commands that it has."""
    pages = ["README.md", *(f"docs/{name}.md" for name in ("IDENTITY", "KUBERNETES", "OPERATIONS", "SIDECAR")),
             "helm/modelward/templates/NOTES.txt"]
    pattern = re.compile(r"(?:-- |docker run --rm \S+ |exec modelward |^)(?:/usr/bin/)?(?:modelward |(?=keys |token ))([a-z].*)$", re.MULTILINE)
    container = image.container(directory / "commands")
    shown = {line for page in pages for line in pattern.findall((ROOT / page).read_text().replace("\\\n", " "))}
    for line in sorted(shown):
        words = shlex.split(line.split(">")[0].split("|")[0], comments=True)
        done = container.run(*image.entrypoint, *words, "--help")
        require(done.returncode == 0, f"modelward {line}: {done.stderr}")
    require(len(shown) >= 10, f"only {shown}")
    print(f"  commands: {len(shown)} of the documentation exist")


def check_pod(image, directory, name, secrets, *values):
    """Starts the pod of a release, tests it as helm would, makes a token in it, and stops it."""
    place = directory / name
    place.mkdir()
    pod = Pod(image, place, render(*values), secrets)
    pod.prepare()
    try:
        ports = pod.start()
        tested = pod.test()
        made = pod.server.run(*image.entrypoint, "token", "create", "--name", "ci", "--role", "editor")
        require(made.returncode == 0 and made.stdout.startswith("mw_"), f"{name}: no token: {made.stderr}")
        probed = pod.server.run(*image.probe)
        require(probed.returncode == 0, f"{name}: the image's probe: {probed.stderr}")
        metrics = pod.wait_for(f"http://127.0.0.1:{ports['ops']}/metrics")
        if "url" in secrets.get("modelward", {}):
            check_rollback(image, pod)
    finally:
        code = pod.running.stop() if hasattr(pod, "running") else None
    require(code == 0, f"{name}: stopped with {code}: {pod.told()}")
    print(f"  pod {name}: migrated, served, {tested} of {tested} containers of helm test, a token, stopped")
    return metrics


def check_rollback(image, pod):
    """Down by one migration in the running pod, as the documentation says, and up again as the next pod would."""
    def versions(state):
        done = pod.server.run(*image.entrypoint, "migrate", "--status")
        return re.findall(rf"^(\d+) .* {state}$", done.stdout, re.MULTILINE)

    last = versions("applied")[-1]
    down = pod.server.run(*image.entrypoint, "migrate", "--to", versions("applied")[-2])
    require(down.returncode == 0 and versions("pending") == [last], f"not rolled back: {down.stderr}")
    require(pod.running.process.poll() is None, f"the server ended: {pod.told()}")
    up = pod.server.run(*image.entrypoint, "migrate")
    require(up.returncode == 0 and versions("pending") == [], f"not migrated again: {up.stderr}")


def check_seeded_pods(image, directory):
    """Mistakes in a chart or in its secrets, which the checks of pods must notice."""
    place = directory / "misspelt"
    place.mkdir()
    try:
        Pod(image, place, render("--set", "settings.no_such=1"), {}).prepare()
    except Failed as failure:
        require("no_such" in str(failure), f"another failure: {failure}")
    else:
        raise Failed("a setting that does not exist is not noticed")
    place = directory / "open"
    place.mkdir()
    keyed = Pod(image, place, render("--values", str(CHART / "ci" / "sqlite-keyed-values.yaml")),
                {"modelward": {"master.key": "a:b", "token": "mw_"}})
    keyed.prepare()
    try:
        keyed.start()
    except Failed as failure:
        require("master keys" in str(failure), f"another failure: {failure}")
    else:
        keyed.running.stop()
        raise Failed("a secret that holds no key is not noticed")
    print("  seeded: a misspelt setting and a bad key are noticed")


def check_alerts(metrics):
    """A server that runs tells every metric that an alert names."""
    told = {re.split(r"[{ ]", line)[0] for line in metrics.splitlines() if not line.startswith("#")}
    [rule] = objects(render("--values", str(CHART / "ci" / "everything-values.yaml")), "PrometheusRule")
    named = {name for alert in rule["spec"]["groups"][0]["rules"] for name in re.findall(r"modelward_\w+", alert["expr"])}
    require(len(named) >= 8 and named <= told, f"alerts name {named - told}, which no server tells")
    print(f"  alerts: {len(named)} of {len(named)} metrics are told by a server")


def check_compose(image, directory, postgres):
    """The server of compose.yaml with the secrets that its script makes, mounted as files of a group that it joins."""
    place = directory / "compose"
    (place / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "compose-secrets", place / "scripts")
    subprocess.run([place / "scripts" / "compose-secrets"], check=True, capture_output=True)
    secrets, data = place / "secrets", place / "data"
    settings = secrets / "modelward.toml"
    # The database of the test has no name of its own, and another port.
    address = postgres.database("modelward").rpartition("@")[2]
    settings.write_text(settings.read_text().replace("@postgres/modelward", f"@{address}"))
    data.mkdir()
    os.chown(data, USER, USER)
    for path in [secrets, *secrets.iterdir()]:
        os.chown(path, 0, USER)
    variables = dict(re.findall(r"^      (MODELWARD_\w+): (.*)$", (ROOT / "compose.yaml").read_text(), re.MULTILINE))
    volumes = {"/run/secrets": (secrets, True), "/var/lib/modelward": (data, False)}
    container = image.container(directory / "composed", variables, volumes)
    with serving(image, container, directory / "compose.log"):
        made = container.run(*image.entrypoint, "token", "create", "--name", "me", "--role", "admin")
        require(made.returncode == 0 and made.stdout.startswith("mw_"), f"compose: no token: {made.stderr}")
    print("  compose: serves over PostgreSQL with its secrets, and makes a token")


def certificate(directory):
    """What cert-manager would put into its secret: an authority's certificate for the names of the chart."""
    [asked] = objects(render("--set", "tls.certManager.enabled=true,tls.certManager.issuerRef.name=i"), "Certificate")
    names = ",".join(f"DNS:{name}" for name in asked["spec"]["dnsNames"])
    (directory / "names").write_text(f"subjectAltName={names}\n")
    script = """
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=modelward -keyout tls.key -out request
        openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.crt
    """
    subprocess.run(["bash", "-euc", script], cwd=directory, check=True, capture_output=True)
    return {name: (directory / name).read_text() for name in ("tls.crt", "tls.key", "ca.crt")}


def check_pods(image, directory):
    generate = image.container(directory / "generate")
    secret = {"master.key": generate.run(*image.entrypoint, "keys", "generate").stdout,
              "token": generate.run(*image.entrypoint, "token", "generate").stdout}
    check_pod(image, directory, "sqlite", {})
    check_pod(image, directory, "sqlite-keyed", {"modelward": secret}, "--values", str(CHART / "ci" / "sqlite-keyed-values.yaml"))
    tls = directory / "tls"
    tls.mkdir()
    secrets = {"modelward-tls": certificate(tls)}
    with Postgres() as postgres:
        over = ["--values", str(CHART / "ci" / "postgres-values.yaml")]
        url = {"url": postgres.database("plain")}
        metrics = check_pod(image, directory, "postgres", {"modelward": secret | url}, *over)
        url = {"url": postgres.database("tls")}
        with_tls = ["--set", "tls.certManager.enabled=true,tls.certManager.issuerRef.name=internal"]
        check_pod(image, directory, "postgres-tls", secrets | {"modelward": secret | url}, *over, *with_tls)
        check_compose(image, directory, postgres)
    check_alerts(metrics)


def main():
    if os.geteuid() != 0:
        sys.exit("mounts and another user need root: run it with sudo")
    own_network()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelward-image-")))
        # The user of the container has to get to its files.
        directory.chmod(0o755)
        image = Image(pathlib.Path(sys.argv[1]).resolve(), directory)
        image.check_contents()
        image.check_context()
        for check in (check_seeded, check_bare, check_settings, check_commands, check_seeded_pods, check_pods,
                      check_sidecar):
            check(image, directory)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"the image: {failure}")
