"""How does what was built run?  Read-only, as nobody in particular, and as process 1 where this machine allows it."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.image.dockerfile import Stage
from tests.image.layers import Layers

INSTALLERS: Final = ("pip", "setuptools", "wheel", "ensurepip", "hatchling")
_START_SECONDS: Final = 60.0
_POLICY: Final = """revision: "dry-run"
routes:
  - {name: health, match: {hosts: [dry-run.example], methods: [GET], path: /healthz}, credential: public}
"""


class RunError(Exception):
    """It does not run as it should."""


@dataclass
class Container:
    """The last stage's tree, and what the Dockerfile says of its process."""

    layers: Layers
    stage: Stage
    scratch: Path
    """What an engine would mount at /tmp: the one place that can be written."""

    as_whom: list[str] = field(default_factory=list, init=False)
    whom: str = field(default="this user", init=False)

    def __post_init__(self) -> None:
        self.scratch.mkdir()
        if os.getuid() == 0:
            self._become_somebody()

    def _become_somebody(self) -> None:
        """Take the image's own user; where that one may not reach this machine's Python, root without its powers.

        Without capabilities root is held by the bits of a file as everybody else is.
        """
        user, _, group = self.stage.only("USER").text.partition(":")
        self.as_whom = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        self.whom = f"user {user}"
        # By a shell: what setpriv itself executes is still looked up with root's powers.
        if self.run("sh", "-c", "ott-extauthz --version").returncode == 0:
            os.chown(self.scratch, int(user), int(group))
            return
        self.as_whom = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        self.whom = "root without capabilities, since no other user may reach this machine's Python"

    def configure(self, check: Sequence[str], admin: str) -> None:
        """Put a configuration where an engine would mount one."""
        folder = self.layers.root / "etc/ott"
        # RFC 8037's example key: any public one will do.
        key = {"kty": "OKP", "crv": "Ed25519", "kid": "dry", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
        (folder / "jwks.json").write_text(json.dumps({"keys": [key | {"alg": "EdDSA", "use": "sig"}]}))
        (folder / "policy.yaml").write_text(_POLICY)
        settings = {
            "listen": {"check": [*check], "admin": admin},
            "store": "redis://127.0.0.1:1" if len(check) > 1 else "memory://",
            "trust": [{"issuer": "https://issuer.example", "jwks": "jwks.json", "algorithms": ["EdDSA"]}],
            "policy": "policy.yaml",
            "drain": {"wait": "0ms", "grace": "1s"},
        }
        (folder / "ott.yaml").write_text(json.dumps(settings))

    def environment(self) -> dict[str, str]:
        return self.layers.variables() | {"TMPDIR": str(self.scratch)}

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the image to its end."""
        return subprocess.run(
            [*self.as_whom, *words],
            cwd=self._working,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def serving(self, health: Sequence[str]) -> Iterator[int]:
        """Run the image's own command until the block ends; yields the process that an engine would send signals to."""
        command = [*self.stage.only("ENTRYPOINT").exec_form, *self.stage.only("CMD").exec_form]
        alone = ["unshare", "--pid", "--fork", "--kill-child"] if can_be_first() else []
        log = self.scratch.with_name("log")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*alone, *self.as_whom, *command],
                cwd=self._working, env=self.environment(), stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            until = time.monotonic() + _START_SECONDS
            while self.run(*health).returncode:
                if process.poll() is not None or time.monotonic() > until:
                    raise RunError(f"does not serve\n{log.read_text()[-3000:]}")
                time.sleep(0.1)
            first = children(process.pid)[0] if alone else process.pid
            yield first
            os.kill(first, signal.SIGTERM)
            if code := process.wait(_START_SECONDS):
                raise RunError(f"exit code {code} after SIGTERM\n{log.read_text()[-3000:]}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    @property
    def _working(self) -> str:
        return self.layers.mapped(self.layers.working)


def can_be_first() -> bool:
    """Whether a process can be number 1 of its own here, as in a container."""
    words = ["unshare", "--pid", "--fork", "true"]
    return (
        shutil.which("unshare") is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zombies(pid: int) -> list[int]:
    """Return the children that ended and were not waited for."""
    states = {one: Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()[0] for one in children(pid)}
    return [one for one, state in states.items() if state == "Z"]


def installers(root: Path) -> set[str]:
    """Return what could install more, of what stands where programs and packages stand."""
    places = (path for path in root.rglob("*") if path.parent.name in ("site-packages", "bin"))
    return {re.split(r"[-.0-9]", path.name.lower())[0] for path in places} & {*INSTALLERS}


def make_read_only(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222 | 0o444 | (0o111 if path.is_dir() else 0))


def make_writable(root: Path) -> None:
    """Let the folders be removed again."""
    for path in [root, *(one for one in root.rglob("*") if one.is_dir() and not one.is_symlink())]:
        path.chmod(0o755)


def digest(root: Path) -> str:
    """Return one value for the names, contents and kinds of everything below a folder."""
    total = sha256()
    for path in sorted(root.rglob("*")):
        what = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b"/"
        total.update(str(path.relative_to(root)).encode() + b"\0" + sha256(what).digest())
    return total.hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
