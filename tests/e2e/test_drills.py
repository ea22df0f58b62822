"""All drills on a real stage, with a real Prometheus beside it; and one of them without the guard that it is about."""

from pathlib import Path

import pytest

from ott_extauthz.drills.catalogue import DRILLS, chosen
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Result, Verdict
from ott_extauthz.drills.ground import Ground, Sent, ground
from ott_extauthz.drills.outcome import PASSES
from ott_extauthz.drills.running import carried_out, settled
from tests.alerts.live import EVERY, Watch, watched

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-drills")]

OFTEN = 20
OPEN_TO_ALL = """
revision: "open"
routes:
  - {name: everything, match: {path: "/{rest**}"}, credential: public}
"""


@pytest.mark.timeout(300)
async def test_every_drill_is_as_expected_and_its_alerts_fire_and_one_without_its_guard_is_not(
    envoy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTT_ENVOY", str(envoy))
    async with ground() as here:
        await settled(here)
        ott = [f"127.0.0.1:{port}" for port in (*(one.admin for one in here.servers.values()), here.issuer_admin)]
        async with watched(tmp_path, ott=ott, envoy=here.envoy_admin) as watch:
            assert await watch.until_quiet() == set(), "nothing has happened yet"
            for drill in DRILLS:
                await _alarming(drill, here, watch)
        await _open_the_door(here)
        (expired,) = chosen(["expired"])
        found = await carried_out(expired, here, lambda _: None)
        assert found.verdict is Verdict.DIFFERS
        assert found.observations[0].seen == "200 passed"
    assert not here.folder.exists()


async def _alarming(drill: Drill, here: Ground, watch: Watch) -> None:
    """Carry out a drill until its alerts have fired: what goes by a rate must be seen to grow between two scrapes."""
    for _ in range(OFTEN):
        result = await carried_out(drill, here, lambda _: None)
        assert result.verdict is Verdict.AS_EXPECTED, _told(result)
        assert len(result.observations) > 2
        assert not any("eyJ" in one.seen for one in result.observations)  # no token is shown
        if await watch.fire(*drill.look.alerts, within=4 * EVERY):
            return
    pytest.fail(f"{drill.name}: of {drill.look.alerts} only {await watch.fired()} fired")


def _told(result: Result) -> str:
    return "\n".join(f"{result.drill.name}: {one}" for one in result.observations)


async def _open_the_door(here: Ground) -> None:
    """A policy that asks for nothing."""
    (here.folder / "policy.yaml").write_text(OPEN_TO_ALL, encoding="utf-8")
    conduct = Conduct(here, lambda _: None)

    async def without_token() -> Sent:
        return await here.debit(None)

    await conduct.soon("no token at all", without_token, PASSES)
    assert conduct.observations[0].as_expected
