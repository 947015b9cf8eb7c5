"""A container without an engine: a root directory of its own that cannot be written to, a user that is not root, no
capabilities, and what a pod or the image asks for beside that.
"""

import os
import pathlib
import shlex
import shutil
import signal
import subprocess

USER = 65532


class Failed(Exception):
    """A check that did not hold; the text says which."""


def require(condition, text):
    if not condition:
        raise Failed(text)


class Container:
    """A root directory with volumes, in which programs of the image are run."""

    def __init__(self, image, directory, variables, volumes, hosts=()):
        """`volumes` are directories of this machine by the path where they are mounted, and whether they are only read."""
        self.root = pathlib.Path(directory)
        self.variables = variables
        self.volumes = volumes
        shutil.copytree(image, self.root, symlinks=True, copy_function=_copy_owned)
        for path in ["/proc", "/dev", *volumes]:
            (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _own_as(image, self.root)
        # As an engine does: names of its own, and a few devices.
        (self.root / "etc/hosts").write_text("".join(f"{line}\n" for line in ("127.0.0.1 localhost", *hosts)))
        for device in ("null", "urandom"):
            (self.root / "dev" / device).touch()

    def _command(self, arguments):
        root = shlex.quote(str(self.root))
        mounts = [f"mount --bind {root} {root}"]
        mounts += [f"mount --bind /dev/{device} {root}/dev/{device}" for device in ("null", "urandom")]
        mounts += [f"mount --rbind /proc {root}/proc"]
        for path, (directory, read_only) in self.volumes.items():
            target = shlex.quote(str(self.root / path.lstrip("/")))
            mounts.append(f"mount --bind {shlex.quote(str(directory))} {target}")
            if read_only:
                mounts.append(f"mount -o remount,bind,ro {target}")
        mounts.append(f"mount -o remount,bind,ro {root}")
        # Changing from root to another user drops all capabilities.
        enter = f"exec setpriv --no-new-privs chroot --userspec={USER}:{USER} --groups={USER} {root} "
        script = "\n".join([*mounts, enter + shlex.join(arguments)])
        return ["unshare", "--mount", "--propagation=private", "bash", "-euc", script]

    def run(self, *arguments, seconds=60):
        """Runs a program to its end."""
        return subprocess.run(self._command(arguments), env=self._env(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds)

    def start(self, log, *arguments):
        return Running(subprocess.Popen(self._command(arguments), env=self._env(), stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log))

    def _env(self):
        # Mounts and chroot are found by it; the program itself is named by its path.
        return self.variables | {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin"}


class Running:
    """A program that goes on until it is stopped. Every step of its start replaces the one before: it is one process."""

    def __init__(self, process):
        self.process = process

    def status(self):
        """What the kernel knows about it: users, capabilities."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("it did not stop within 40 s") from None


def _copy_owned(source, target):
    shutil.copy2(source, target)
    _own_as(source, target)


def _own_as(source, target):
    """Owners and modes of directories too: what was made for mounts stays root's."""
    about = os.stat(source)
    os.chown(target, about.st_uid, about.st_gid)
    os.chmod(target, about.st_mode & 0o7777)
    if os.path.isdir(source):
        for name in os.listdir(source):
            if os.path.isdir(os.path.join(source, name)):
                _own_as(os.path.join(source, name), os.path.join(target, name))
