"""All drills on a real stage, once; and one of them where the guard that it is about was taken away."""

from pathlib import Path

import pytest

from ott_extauthz.drills.catalogue import DRILLS, chosen
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Result, Verdict
from ott_extauthz.drills.ground import Ground, Sent, ground
from ott_extauthz.drills.outcome import PASSES
from ott_extauthz.drills.running import all_carried_out, carried_out, settled

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-drills")]

OPEN_TO_ALL = """
revision: "open"
routes:
  - {name: everything, match: {path: "/{rest**}"}, credential: public}
"""


def _told(results: list[Result]) -> str:
    return "\n".join(f"{each.drill.name}: {one}" for each in results for one in each.observations)


async def test_every_drill_is_as_expected_and_one_without_its_guard_is_not(
    envoy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTT_ENVOY", str(envoy))
    async with ground() as here:
        await settled(here)
        results = await all_carried_out(DRILLS, here, begin=lambda _: None, tell=lambda _: None, end=lambda _: None)
        assert {each.verdict for each in results} == {Verdict.AS_EXPECTED}, _told(results)
        assert all(len(each.observations) > 2 for each in results)
        assert not any("eyJ" in one.seen for each in results for one in each.observations)  # no token is shown
        await _open_the_door(here)
        (expired,) = chosen(["expired"])
        found = await carried_out(expired, here, lambda _: None)
        assert found.verdict is Verdict.DIFFERS
        assert found.observations[0].seen == "200 passed"
    assert not here.folder.exists()


async def _open_the_door(here: Ground) -> None:
    """A policy that asks for nothing."""
    (here.folder / "policy.yaml").write_text(OPEN_TO_ALL, encoding="utf-8")
    conduct = Conduct(here, lambda _: None)

    async def without_token() -> Sent:
        return await here.debit(None)

    await conduct.soon("no token at all", without_token, PASSES)
    assert conduct.observations[0].as_expected
