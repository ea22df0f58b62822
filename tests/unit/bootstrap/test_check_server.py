"""In which order does a Check server begin, and what can come in between?"""

import asyncio
import os
import signal
from types import SimpleNamespace
from typing import cast

from ott_extauthz.bootstrap.check_server import CheckApp, serve
from ott_extauthz.bootstrap.introspection import Introspectors


async def test_a_hangup_while_the_store_is_looked_for_does_not_end_the_server() -> None:
    told: list[str] = []

    async def start() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.05)

    async def nothing() -> None:
        return

    app = SimpleNamespace(
        tokens=None,
        tracer=None,
        introspectors=Introspectors(),
        audit=SimpleNamespace(close=lambda: None, reopen=lambda: told.append("reopened")),
        used_list=SimpleNamespace(start=start, close=nothing),
        server=SimpleNamespace(start=nothing, leave=nothing),
        sources=SimpleNamespace(followed=()),
        reloads=SimpleNamespace(),
        ask=lambda: told.append("asked"),
        reloader=SimpleNamespace(start=lambda: told.append("started"), stop=lambda: None),
    )
    until = asyncio.Event()
    before = signal.signal(signal.SIGHUP, lambda *_: told.append("would have ended us"))
    try:
        await serve(cast("CheckApp", app), admin=None, until=until, on_serving=until.set)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert told == ["reopened", "asked", "started"]
