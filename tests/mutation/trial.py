"""What becomes of the mutants?  mutmut makes them, runs the tests that reach them, and keeps what it found on disk."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import get_mutant_name

KILLED = frozenset(("killed", "timeout", "segfault"))

# mutmut forks a process in which these have long done their work: at import, or once for a cache.
WORK_ONCE = frozenset(
    f"ott_extauthz.policy.{name}"
    for name in ("document.words", "constraints.document", "expressions.environment", "expressions.money")
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant, and ``killed``, ``survived``, ``timeout``, ``no tests`` or what else mutmut says of it."""

    module: str
    function: str
    name: str
    status: str
    removed: str
    added: str

    @property
    def is_killed(self) -> bool:
        return self.status in KILLED


def mutants_made() -> dict[str, list[str]]:
    """Return the names of all mutants by module, without running one."""
    return {_module(path): names for path in sorted(walk_mutatable_files()) if (names := _names(path))}


def run(names: Sequence[str], children: int) -> None:
    """Try the mutants ``names``; raises CalledProcessError where mutmut could not begin."""
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run", "--max-children", str(children), *names], check=True)


def trials(names: Sequence[str]) -> Iterator[Trial]:
    """Yield what became of the mutants ``names``."""
    for path in sorted(walk_mutatable_files()):
        meta = Path("mutants") / f"{path}.meta"
        if not meta.exists():
            continue
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        for name in names:
            if name in codes:
                status = status_by_exit_code[codes[name]]
                is_alive = status not in KILLED and (_module(path) not in WORK_ONCE or _survives_afresh(name))
                yield _trial(path, name, status if is_alive or status in KILLED else "killed")


def _survives_afresh(name: str) -> bool:
    """Whether the mutant lives in a process that had it from the beginning."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "tests/unit/policy"]
    environment = os.environ | {"MUTANT_UNDER_TEST": name}
    return subprocess.run(command, cwd="mutants", env=environment, capture_output=True, check=False).returncode == 0


def _trial(path: Path, name: str, status: str) -> Trial:
    removed = added = ""
    if status not in KILLED:
        lines = get_diff_for_mutant(name, path=path).splitlines()
        removed, added = (_only(lines, sign) for sign in ("-", "+"))
    function = name.removeprefix(f"{_module(path)}.").partition("__mutmut_")[0]
    return Trial(_module(path), function, name, status, removed, added)


def _only(lines: list[str], sign: str) -> str:
    return " ".join(line[1:].strip() for line in lines if line.startswith(sign) and not line.startswith(sign * 3))


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def _names(path: Path) -> list[str]:
    return [get_mutant_name(path, name) for name in mutate_file_contents(str(path), path.read_text()).mutant_names]
