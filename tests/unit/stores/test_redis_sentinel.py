"""The used-list on whatever server the sentinels name: failovers, old primaries, sentinels that are wrong or gone."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListFault
from ott_extauthz.stores.redislist.lease import LEASE_SECONDS
from tests.deployed_lists import LEASED_MARGIN_MS, eventually, fault_of, fresh, outcome_of
from tests.deployments import Watched, watched
from tests.processes import VALKEY, free_port
from tests.used_lists import FENCED, FIRST, MARGIN_MS, USED, a_use, listed, replay_of, settings_for, since_ms


async def test_an_old_primary_that_is_cut_off_is_not_used(tmp_path: Path) -> None:
    """It stands still, is replaced, and wakes up where no sentinel can tell it so: it still thinks it is primary."""
    with watched(VALKEY, tmp_path, replicas=1) as deployment:
        async with listed(deployment.url) as one, listed(deployment.url) as other:
            assert await outcome_of(one, fresh()) is FIRST
            deployment.primary.pause()
            await asyncio.to_thread(deployment.wait_for_failover, away_from=deployment.primary.port)
            await eventually(other, FIRST)
            use = fresh()
            assert await outcome_of(other, use) is FIRST
            for sentinel in deployment.sentinels:
                sentinel.pause()
            deployment.primary.resume()
            assert deployment.primary.info("replication")["role"] == "master"
            await asyncio.sleep(LEASE_SECONDS)
            for used_list in (one, other):
                spend = outcome_of(used_list, replay_of(use))
                assert await fault_of(spend) == (UsedListFault.CONNECT, TokenState.UNSPENT)


@pytest.fixture(scope="module")
def group_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """For four tests, in this order: nothing changes, the primary changes, it dies, the sentinels die."""
    with watched(VALKEY, tmp_path_factory.mktemp("sentinels"), replicas=1) as deployment:
        yield deployment


async def test_what_is_wrong_with_the_sentinels_is_named(group_of_two: Watched, tmp_path: Path) -> None:
    deployment = group_of_two
    at = deployment.url.removeprefix("redis+sentinel://").partition("/")[0]
    secret = tmp_path / "secret"
    secret.write_text("x")
    for settings, words in [
        (settings_for(f"redis+sentinel://{at}/other"), "mend the name in store.url"),
        (settings_for(f"redis+sentinel://127.0.0.1:{deployment.primary.port}/ott"), "it is no sentinel"),
        (settings_for(f"redis+sentinel://127.0.0.1:{free_port()}/ott"), "refused"),
        (settings_for("redis+sentinel://no-such-host.invalid/ott"), "its host is unknown"),
        (settings_for(deployment.url, sentinel_password_file=secret), "store.sentinel_password_file"),
        (settings_for(deployment.url, password_file=secret), "store.password_file"),
    ]:
        async with listed(settings) as used_list:
            health = await used_list.health()
            assert not health.ready
            assert words in health.detail
            assert "\n" not in health.detail
            assert (await fault_of(outcome_of(used_list, fresh())))[1] is TokenState.UNSPENT


async def test_an_ordered_failover_moves_uses_at_once(group_of_two: Watched) -> None:
    async with listed(group_of_two.url) as used_list:
        use = fresh()
        assert await outcome_of(used_list, use) is FIRST
        group_of_two.sentinels[0].command("SENTINEL", "FAILOVER", "ott")
        await asyncio.to_thread(group_of_two.wait_for_failover, away_from=group_of_two.primary.port)
        assert await outcome_of(used_list, replay_of(use)) in (
            FENCED,
            USED,
        )  # the old primary, until the lease is asked
        await used_list.health()
        await eventually(used_list, FIRST)
        assert await outcome_of(used_list, replay_of(use)) is FENCED


async def test_a_dead_primary_is_replaced_and_the_fence_holds(group_of_two: Watched) -> None:
    async with listed(group_of_two.url) as used_list:
        use = fresh()
        assert await outcome_of(used_list, use) is FIRST
        at = group_of_two.primary_by(group_of_two.sentinels[0])
        next(server for server in group_of_two.servers if server.port == at).kill()
        await eventually(used_list, FIRST)
        assert await outcome_of(used_list, replay_of(use)) is FENCED
        new = await asyncio.to_thread(group_of_two.wait_for_failover, away_from=at)
        # The margin is one lease longer than a single primary's: for as long the old one might still be used.
        since = since_ms(new)
        late, later = (a_use(issued_at_ms=since + margin + 1) for margin in (MARGIN_MS, LEASED_MARGIN_MS))
        assert await outcome_of(used_list, late) is FENCED
        assert await outcome_of(used_list, later) is FIRST
        assert (await used_list.health()).ready


async def test_a_minority_of_sentinels_is_not_believed_and_not_needed(group_of_two: Watched) -> None:
    deployment = group_of_two
    async with listed(settings_for(deployment.url, timeout="60s")) as used_list:
        deployment.sentinels[0].kill()
        await asyncio.sleep(LEASE_SECONDS / 2 + 0.1)
        assert await outcome_of(used_list, fresh(after_ms=2000)) is FIRST
        deployment.sentinels[1].kill()
        await asyncio.sleep(LEASE_SECONDS)
        started = time.monotonic()
        spend = used_list.mark_used(fresh(), timeout=60)
        assert await fault_of(spend) == (UsedListFault.CONNECT, TokenState.UNSPENT)
        assert time.monotonic() - started < 30
        health = await used_list.health()
        assert not health.ready
        assert "2 must agree" in health.detail
        assert "onnect" in health.detail
