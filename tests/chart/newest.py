#!/usr/bin/env python3
"""Validates what the charts render against the API schemas of newer Kubernetes than the Go tests have at hand.

`.ci/run chart` installs what is in requirements.txt, which carries the schemas, and runs it. Types of others than
Kubernetes itself have no schema there; the Go tests read them as their types.
"""

import copy
import pathlib
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The first in which a sidecar is no preview any more, and the newest.
VERSIONS = ("1.33", "1.37")


def rendered(directory):
    """Every object of every example, with where it comes from."""
    charts = [(ROOT / "helm" / "modelward", ["--values", str(values)])
              for values in sorted((ROOT / "helm" / "modelward" / "ci").glob("*-values.yaml"))]
    assistant = directory / "examples" / "assistant"
    shutil.copytree(ROOT / "examples" / "assistant", assistant, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    (directory / "helm").symlink_to(ROOT / "helm")
    subprocess.run(["helm", "dependency", "update", assistant], check=True, capture_output=True)
    for chart, arguments in [*charts, (assistant, [])]:
        text = subprocess.run(["helm", "template", "modelward", chart, "--namespace", "llm", *arguments], check=True,
                              capture_output=True, text=True).stdout
        for thing in yaml.safe_load_all(text):
            if thing and ("." not in thing["apiVersion"] or thing["apiVersion"].split("/")[0].endswith(".k8s.io")):
                yield f"{chart.name} {' '.join(arguments)} {thing['kind']}", thing


def check(version, origin, thing):
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise SystemExit(f"Kubernetes {version} refuses {origin}: {error.message} at {list(error.path)}") from None


def refused(version, thing):
    try:
        check(version, "seeded", thing)
    except SystemExit:
        return True
    return False


def main():
    with tempfile.TemporaryDirectory() as directory:
        all_of_them = list(rendered(pathlib.Path(directory)))
    for version in VERSIONS:
        for origin, thing in all_of_them:
            check(version, origin, thing)
        [deployment] = [thing for origin, thing in all_of_them if origin.startswith("assistant") and thing["kind"] == "Deployment"]
        for spoil in (lambda pod: pod["initContainers"][0].update(restartPolicy=7),
                      lambda pod: pod["initContainers"][0]["startupProbe"].update(grcp={"port": 1}),
                      lambda pod: pod["containers"][0].pop("name")):
            spoilt = copy.deepcopy(deployment)
            spoil(spoilt["spec"]["template"]["spec"])
            if not refused(version, spoilt):
                sys.exit(f"Kubernetes {version} takes a seeded mistake")
    print(f"{len(all_of_them)} objects are what Kubernetes {' and '.join(VERSIONS)} take")


if __name__ == "__main__":
    main()
