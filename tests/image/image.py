"""The image as the Dockerfile makes it, without Docker: its files by scripts/image-root, the rest read from its lines."""

import json
import os
import pathlib
import re
import stat
import subprocess

from container import Container, require

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 25_000_000


class Image:
    def __init__(self, program, directory):
        self.program, self.root = pathlib.Path(program), directory / "root"
        subprocess.run([ROOT / "scripts" / "image-root", program, self.root], check=True)
        text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
        self.variables = dict(pair.split("=") for pair in re.findall(r"^ENV (.*)$", text, re.MULTILINE)[-1].split())
        self.entrypoint = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])
        self.command = json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])
        self.probe = json.loads(re.search(r"^HEALTHCHECK .*CMD (.*)$", text, re.MULTILINE)[1])

    def container(self, directory, variables=None, volumes=None):
        return Container(self.root, directory, self.variables | (variables or {}), volumes or {})

    def files(self):
        return [path for path in self.root.rglob("*") if path.is_file()]

    def libraries(self):
        return [path for path in self.files() if ".so" in path.name]

    def check_contents(self):
        """One program, its libraries, nothing that runs beside them, nothing that grants more, and not too much."""
        running = {path for path in self.files() if os.access(path, os.X_OK) and path.stat().st_mode & 0o111}
        require(running == {self.root / "usr/bin/modelward", *self.libraries()}, f"what may run is {running}")
        for path in self.root.rglob("*"):
            about = path.lstat()
            require(not about.st_mode & (stat.S_ISUID | stat.S_ISGID), f"{path} runs as another user")
            require(path.is_file() or path.is_dir(), f"{path} is neither file nor directory")
        size = sum(path.stat().st_size for path in self.files())
        require(size <= LIMIT, f"the image has {size} bytes, more than {LIMIT}")
        names = " ".join(sorted(path.name for path in self.libraries()))
        print(f"  contents: {size / 1e6:.1f} MB, of {LIMIT / 1e6:.1f} allowed; the program and {names}")

    def check_context(self):
        """All that the program was built from gets through .dockerignore."""
        admitted = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
        built = self.program.with_suffix(".d").read_text().replace("\\ ", "\0").split()[1:]
        own = [str(pathlib.Path(path).relative_to(ROOT)) for path in built if pathlib.Path(path).is_relative_to(ROOT)]
        own = [path for path in own if not path.startswith("target/")]
        require(len(own) > 100, f"the program was built from {own}, which cannot be all")
        for path in [*own, "Cargo.toml", "Cargo.lock", "scripts/image-root"]:
            inside = any(path == entry or path.startswith(f"{entry}/") for entry in admitted)
            require(inside, f".dockerignore keeps {path} out, and the build reads it")
        print(f"  context: {len(own)} files of the build get through .dockerignore")
