"""The image: ``python -m tests.image sbom`` writes its bill of materials, ``… engine`` says what builds it here.

``… dry-run`` executes the Dockerfile's steps without an engine.
"""

import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.image.container import (
    INSTALLERS,
    Container,
    RunError,
    can_be_first,
    children,
    digest,
    free_port,
    installers,
    make_read_only,
    make_writable,
    zombies,
)
from tests.image.dockerfile import dockerfile_from
from tests.image.engine import NoEngineError, ask_here, build_command
from tests.image.layers import Layers, StepError
from tests.image.sbom import ROOT, pins_from, sbom

SBOM: Final = ROOT / "dist/sbom.cdx.json"
_HEALTH_PORT: Final = re.compile(r"(http://127\.0\.0\.1):9002/")


def main() -> int:
    words = sys.argv[1:]
    if words == ["sbom"]:
        write_sbom()
        return 0
    if words == ["dry-run"]:
        return dry_run()
    if words == ["engine"]:
        return say_engine()
    sys.stderr.write(f"{__doc__}\n")
    return 2


def say_engine() -> int:
    try:
        command = build_command(ask_here)
    except NoEngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{' '.join(command)}\n")
    return 0


def write_sbom() -> None:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(sbom((ROOT / "requirements/service.lock").read_text(), epoch=int(epoch) if epoch else None))
    say(f"{SBOM.relative_to(ROOT)}: {len(json.loads(SBOM.read_text())['components'])} packages")


def dry_run() -> int:
    say("A dry run without an engine: the Dockerfile's own steps in an empty folder, with this machine's Python.")
    write_sbom()
    with tempfile.TemporaryDirectory(prefix="ott-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            _dry_run(folder)
        except (StepError, RunError) as error:
            say(f"FAILED: {error}")
            return 1
        finally:
            make_writable(folder)
    say("Fine. What only an engine shows is not shown: the base image itself, its layers and its size.")
    return 0


def _dry_run(folder: Path) -> None:
    began = time.monotonic()
    layers = Layers(context=ROOT, folder=folder, python=Path(sys.base_prefix) / "bin" / "python3", say=say)
    stage = layers.build(dockerfile_from((ROOT / "Dockerfile").read_text()))
    say(f"built in {time.monotonic() - began:.0f} s")
    container = Container(layers, stage, folder / "scratch")
    _contents(container)
    admin = f"127.0.0.1:{free_port()}"
    health = [_HEALTH_PORT.sub(rf"\1:{admin.partition(':')[2]}/", word) for word in stage.only("HEALTHCHECK").exec_form]
    for check in ([f"127.0.0.1:{free_port()}"], [f"unix://{container.scratch}/{name}.sock" for name in "ab"]):
        make_writable(layers.root)
        container.configure(check, admin)
        make_read_only(layers.root)
        before = digest(layers.root)
        _serve(container, check, health)
        _demand(digest(layers.root) == before, "nothing was written but in TMPDIR")


def _contents(container: Container) -> None:
    root = container.layers.root
    _demand(not installers(root), f"nothing that installs: no {', '.join(INSTALLERS)}")
    listed = json.loads((root / "usr/share/sbom/ott-extauthz.cdx.json").read_text())["components"]
    asking = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    there = {_canonical(name): version for name, version in json.loads(container.run("python", "-c", asking).stdout)}
    there.pop("ott-extauthz")
    _demand(
        there == {one["name"]: one["version"] for one in listed}, f"the {len(there)} packages are those of the SBOM"
    )
    pins = {pin.name: pin.version for pin in pins_from((ROOT / "requirements/service.lock").read_text())}
    _demand(there == pins, "and those of the lock")
    compiled = len([*(root / "opt/ott/pycache").rglob("*.pyc")])
    _demand(compiled > 1000, f"{compiled} modules are compiled, the standard library's among them")


def _serve(container: Container, check: list[str], health: list[str]) -> None:
    first_of = "process 1" if can_be_first() else "a process (no PID namespace here: not as process 1)"
    with container.serving(health) as first:
        say(f"serves {', '.join(check)} as {first_of}, {container.whom}, read-only")
        for address in check:
            told = container.run("ott-extauthz", "probe", address, "--refuses", "--timeout", "10s")
            _demand(told.returncode == 0, f"probe: {(told.stdout + told.stderr).strip()}")
        if len(check) > 1:
            _lose_a_worker(container, first, health)
        workers = children(first)
    say("  SIGTERM: exit code 0")
    if workers:
        _demand(not any(Path(f"/proc/{one}").exists() for one in workers), f"none of {len(workers)} workers is left")


def _lose_a_worker(container: Container, first: int, health: list[str]) -> None:
    before = children(first)
    os.kill(before[0], signal.SIGKILL)
    until = time.monotonic() + 60
    while time.monotonic() < until and (set(children(first)) == set(before) or container.run(*health).returncode):
        time.sleep(0.1)
    now = children(first)
    _demand(len(now) == len(before) and before[0] not in now, "a killed worker is replaced")
    _demand(zombies(first) == [], "and waited for: no zombie")


def _demand(is_so: bool, what: str) -> None:  # noqa: FBT001 - read as a sentence
    if not is_so:
        raise RunError(f"not so: {what}")
    say(f"  {what}")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
