"""How is a server's clock put wrong, or its disk full, without harm to the machine?  A Check server in this process.

Built by the same composition root as any other; only the clock that it is handed is ours to turn.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import structlog

from ott_extauthz.bootstrap.check_server import build, serve
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.demo.programs import ProgramError
from ott_extauthz.observe.log import Logger
from ott_extauthz.settings import load


@dataclass(slots=True)
class TurnableClock:
    """The machine's clock, put forward by ``ahead_ms`` (back, if negative)."""

    ahead_ms: int = 0

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as this server believes."""
        return SystemClock().now_ms() + self.ahead_ms

    def monotonic(self) -> float:
        """Seconds; no clock that is put wrong goes faster."""
        return SystemClock().monotonic()


def _logger(log: TextIO) -> Logger:
    # Like the other servers of the stage it has a log of its own; what the drills print stays readable.
    level = structlog.make_filtering_bound_logger(logging.INFO)
    logger: Logger = structlog.wrap_logger(
        structlog.PrintLogger(log), processors=[structlog.processors.JSONRenderer()], wrapper_class=level
    )
    return logger


@asynccontextmanager
async def companion(config: Path, clock: TurnableClock) -> AsyncIterator[None]:
    """Run the Check server of a configuration for as long as the block runs.

    Raises:
        ProgramError: it does not come up.
    """
    settings, until, serving = load(config, {}), asyncio.Event(), asyncio.Event()
    with config.with_suffix(".log").open("w", encoding="utf-8") as log:
        inputs, address = check_inputs(settings, str(config)), settings.listen.check[0]
        app = build(settings, inputs, address=address, logger=_logger(log), clock=clock)
        server = asyncio.create_task(serve(app, admin=settings.listen.admin, until=until, on_serving=serving.set))
        begun = asyncio.create_task(serving.wait())
        await asyncio.wait({server, begun}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if server.done():
                raise ProgramError(f"{config.stem} did not come up: {server.exception()}")
            yield
        finally:
            begun.cancel()
            until.set()
            await asyncio.gather(server, return_exceptions=server.done())
