"""What do the Dockerfile's own steps make?  Each stage is built in an empty folder that stands for ``/``; no engine.

- A step's absolute paths are read as paths below that folder; a path that is neither there nor plainly harmless ends
  the dry run, so that nothing of this machine is touched.
- Python, the shell and the tools of the base image are this machine's.
- All stages are built at one place, one after the other, and kept beside it: what the last did not copy is not there.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.image.context import let_in
from tests.image.dockerfile import Dockerfile, Instruction, Stage, expanded

OURS: Final = ("build", "opt/ott", "usr/local", "usr/share/sbom", "usr/share/doc/ott-extauthz", "etc/ott", "tmp")
"""The folders below ``/`` that the Dockerfile may speak of."""
_ABSOLUTE: Final = re.compile(r"(?<![\w.*)/}-])/[\w.][^\s\"';:)]*")
_HARMLESS: Final = frozenset({"/dev/null"})
_SYSTEM_PATH: Final = "/usr/bin:/bin"


class StepError(Exception):
    """A step failed, or speaks of a path that it has no business with."""


@dataclass
class Layers:
    """A build of every stage; ``root`` is where the last one stands."""

    context: Path
    folder: Path
    python: Path
    say: Callable[[str], None]
    arguments: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    working: str = "/"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def build(self, file: Dockerfile) -> Stage:
        """Execute every step; returns the last stage, which stands in ``root``."""
        host = self.folder / "host"
        host.mkdir(parents=True)
        (host / "python").write_text(f'#!/bin/sh\nexec "{self.python}" "$@"\n')
        (host / "python").chmod(0o755)
        for number, stage in enumerate(file.stages):
            if number:
                self.root.rename(self.folder / file.stages[number - 1].name)
            self._stage(stage, file.arguments)
        return file.stages[-1]

    def mapped(self, text: str) -> str:
        """Return a text of the Dockerfile with its paths below ``root``."""

        def place(found: "re.Match[str]") -> str:
            path = found[0]
            if path in _HARMLESS:
                return path
            if not any(path == f"/{one}" or path.startswith(f"/{one}/") for one in OURS):
                raise StepError(f"{path} is not among the paths of the dry run")
            return f"{self.root}{path}"

        return _ABSOLUTE.sub(place, text)

    def variables(self) -> dict[str, str]:
        """Return the environment of a step, or of the container, as a process here gets it."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or "proxy" in name.lower()}
        return kept | {name: ":".join(map(self._entry, value.split(":"))) for name, value in self.environment.items()}

    def _entry(self, value: str) -> str:
        is_ours = any(value == f"/{one}" or value.startswith(f"/{one}/") for one in OURS)
        is_ours = is_ours and not value.startswith(f"{self.folder}/")  # the folder itself may be below /tmp
        return f"{self.root}{value}" if is_ours else value

    def _stage(self, stage: Stage, outer: Mapping[str, str]) -> None:
        self.root.mkdir()
        self.working = "/"
        self.environment = {"PATH": f"{self.folder}/host:{_SYSTEM_PATH}", "HOME": "/tmp"}  # noqa: S108 - below root
        known = dict(outer)
        (self.root / "tmp").mkdir()
        for step in stage.instructions:
            self._step(step, known)

    def _step(self, step: Instruction, known: dict[str, str]) -> None:
        if step.word == "ARG":
            name, _, default = step.text.partition("=")
            value = self.arguments.get(name, known.get(name, default))
            known[name] = self.environment[name] = value
        elif step.word == "ENV":
            self.environment |= step.pairs(known | self.environment)
        elif step.word == "WORKDIR":
            self.working = expanded(step.text, known)
            Path(self.mapped(self.working)).mkdir(parents=True, exist_ok=True)
        elif step.word == "COPY":
            self._copy(step)
        elif step.word == "RUN":
            self._run(step)

    def _run(self, step: Instruction) -> None:
        self.say(f"line {step.line}: RUN {step.text[:90]}{' ...' * (len(step.text) > 90)}")
        done = subprocess.run(
            ["/bin/sh", "-c", self.mapped(step.text)],
            cwd=self.mapped(self.working), env=self.variables(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise StepError(f"line {step.line}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")

    def _copy(self, step: Instruction) -> None:
        *sources, target = step.text.split()
        place = Path(self.mapped(target if target.startswith("/") else f"{self.working}/{target}"))
        is_folder = target.endswith("/") or len(sources) > 1
        stage = step.flags.get("from")
        for source in sources:
            if stage is not None:
                _copy_tree(self.folder / stage / source.lstrip("/"), place)
                continue
            files = [path for path in let_in(self.context) if path.as_posix() == source or path.is_relative_to(source)]
            if not files:
                raise StepError(f"line {step.line}: {source} is not let in by .dockerignore, or is not there")
            for path in files:
                inner = path.relative_to(source) if path.as_posix() != source else None
                there = place / (inner or path.name) if inner or is_folder else place
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.context / path, there)


def _copy_tree(source: Path, target: Path) -> None:
    if not source.exists():
        raise StepError(f"{source} was not made")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, symlinks=True)
