import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import pytest

from ott_extauthz.demo.programs import ProgramError
from ott_extauthz.drills import program
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.ground import Ground
from ott_extauthz.drills.outcome import PASSES, refused
from ott_extauthz.model.reason import Reason
from tests.unit.drills.grounds import FakeGround, denied, drill


async def _settled(_ground: Ground) -> None:
    return None


@pytest.fixture
def cleared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A ground without programs; it notes here that it was cleared away."""
    noted: list[str] = []

    @asynccontextmanager
    async def ground() -> AsyncIterator[Ground]:
        try:
            yield FakeGround(audit={"d-1": "token_expired"}).as_ground
        finally:
            noted.append("cleared")

    monkeypatch.setattr(program, "ground", ground)
    monkeypatch.setattr(program, "settled", _settled)
    return noted


async def _expired(conduct: Conduct) -> None:
    ground = cast("FakeGround", conduct.ground)
    await conduct.see("an old token", ground.call(denied(401, "token_expired")), refused(Reason.TOKEN_EXPIRED))


async def _wrong(conduct: Conduct) -> None:
    ground = cast("FakeGround", conduct.ground)
    await conduct.see("an old token", ground.call(denied(401, "token_expired")), PASSES)


@pytest.mark.parametrize(("run", "code"), [(_expired, 0), (_wrong, 1)], ids=["as expected", "differs"])
def test_the_exit_code_follows_from_what_was_seen(
    cleared: list[str], capsys: pytest.CaptureFixture[str], run: Callable[[Conduct], object], code: int
) -> None:
    assert program.run_drills([drill(run)], json_only=False) == code
    assert cleared == ["cleared"]
    assert "an old token" in capsys.readouterr().out


def test_for_scripts_there_is_json_and_nothing_else(cleared: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run_drills([drill(_expired)], json_only=True) == 0
    (tree,) = json.loads(capsys.readouterr().out)
    assert tree["verdict"] == "as expected"
    assert cleared


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_it_fails_and_clears_away(
    cleared: list[str], capsys: pytest.CaptureFixture[str], ending: signal.Signals
) -> None:
    async def interrupted(_conduct: Conduct) -> None:
        os.kill(os.getpid(), ending)
        await asyncio.sleep(60)

    assert program.run_drills([drill(interrupted)], json_only=False) == 1
    assert cleared == ["cleared"]
    assert "interrupted" in capsys.readouterr().err


def test_a_ground_that_does_not_come_up_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ground() -> AbstractAsyncContextManager[Ground]:
        raise ProgramError("first ended with exit code 1; its log ends: [no store]")

    monkeypatch.setattr(program, "ground", ground)
    assert program.run_drills([drill(_expired)], json_only=False) == 1
    assert "[no store]" in capsys.readouterr().err
