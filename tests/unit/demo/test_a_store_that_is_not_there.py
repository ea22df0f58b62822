"""A newcomer who names a store that is not there is told so, instead of a tour of refusals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import TestServer

from ott_extauthz.demo import tour
from ott_extauthz.demo.calling import Reply
from ott_extauthz.demo.steps import Tour
from ott_extauthz.wire.admin_http import Admin, admin_app

TOLD = "store: 127.0.0.1:6399: connect: Connection refused; mend store.url, or start what it names"


@asynccontextmanager
async def _stage(*, store: str) -> AsyncIterator[SimpleNamespace]:
    del store
    admin = Admin(metrics=lambda _: (b"", ""), readiness=_readiness)
    async with TestServer(admin_app(admin)) as server:
        yield SimpleNamespace(ports=SimpleNamespace(admin=server.port))


async def _readiness() -> tuple[bool, list[str]]:
    return True, ["policy: revision demo, 2 routes", TOLD]


async def _refused(_: Tour) -> Reply:
    return Reply(503, (("x-ott-reason", "store_unavailable"),), b"")


def test_the_demo_says_what_is_wrong_with_the_store(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tour, "_FENCE_PAUSE", 0.0)
    monkeypatch.setattr(tour, "stage", _stage)
    monkeypatch.setattr(Tour, "with_fresh_token", _refused)
    assert tour.run_demo(once=True, store="redis://127.0.0.1:6399/0") == 1
    out, err = capsys.readouterr()
    assert f"The demo needs its store (store_unavailable). {TOLD}" in err
    assert "1." not in out.partition("Every call")[2]
