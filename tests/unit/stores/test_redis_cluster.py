"""The used-list on a cluster: buckets that move, primaries that die, terms that change."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListFault
from ott_extauthz.stores.redislist.cluster import BUCKETS, slot_of
from ott_extauthz.stores.redislist.node import Node
from ott_extauthz.stores.redislist.script import SpendScript
from ott_extauthz.stores.redislist.spending import Spending
from tests.deployed_lists import TIMEOUT, eventually, fault_of, fresh, outcome_of
from tests.deployments import Sharded, sharded
from tests.fakes.clock import SkewedClock
from tests.processes import VALKEY, running
from tests.used_lists import BOUNDS, FENCED, FIRST, MARGIN_MS, USED, a_use, listed, replay_of, settings_for


@pytest.fixture(scope="module")
def three_shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharded]:
    """For two tests, in this order: a bucket moves, a primary dies."""
    with sharded(VALKEY, tmp_path_factory.mktemp("shards")) as deployment:
        yield deployment


async def test_a_bucket_that_moves_is_refused_and_then_fenced(three_shards: Sharded) -> None:
    deployment = three_shards
    source, target, third = deployment.primaries
    bucket = _bucket_in(0, 2000)
    slot = slot_of(BUCKETS[bucket])
    async with listed(deployment.url) as used_list:
        use, unused = fresh(bucket=bucket), fresh(bucket=bucket)
        assert await outcome_of(used_list, use) is FIRST
        ids = {server.port: server.command("CLUSTER", "MYID") for server in deployment.primaries}
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, 100)
        assert len(keys) == 2
        source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys)
        for attempt in (unused, replay_of(use)):  # the source says ASK: not an answer, only a reason to ask
            spend = outcome_of(used_list, attempt)
            assert await fault_of(spend) == (UsedListFault.REPLY, TokenState.UNSPENT)
        for server in (target, source, third):
            server.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
        await eventually(used_list, FIRST, FENCED, bucket=bucket)
        assert await outcome_of(used_list, replay_of(use)) is FENCED
        await eventually(used_list, FIRST, bucket=bucket)


async def test_a_cluster_without_one_primary_refuses_its_buckets_only(three_shards: Sharded) -> None:
    deployment = three_shards
    async with listed(settings_for(deployment.url, timeout="300ms")) as used_list:
        lost, kept = (_bucket_in(*slots) for slots in ((2500, 5400), (12000, 16383)))
        use = fresh(bucket=kept)
        assert await outcome_of(used_list, use) is FIRST
        deployment.primaries[0].kill()
        assert (await fault_of(outcome_of(used_list, fresh(bucket=lost))))[1] is not TokenState.SPENT
        assert await outcome_of(used_list, fresh(bucket=kept)) is FIRST
        assert await outcome_of(used_list, replay_of(use)) is USED
        assert not (await used_list.health()).ready


async def test_a_promoted_replica_of_a_cluster_is_fenced_and_used(tmp_path: Path) -> None:
    with sharded(VALKEY, tmp_path, replicas=1) as deployment:
        async with listed(settings_for(deployment.url, timeout="300ms")) as used_list:
            bucket = _bucket_in(0, 5000)
            use = fresh(bucket=bucket)
            assert await outcome_of(used_list, use) is FIRST
            deployment.primaries[0].kill()
            await eventually(used_list, FIRST, bucket=bucket)
            assert await outcome_of(used_list, replay_of(use)) is FENCED


async def test_what_is_no_cluster_is_named(tmp_path: Path) -> None:
    with running(VALKEY, tmp_path) as store:
        async with listed(store.url.replace("redis:", "redis+cluster:")) as used_list:
            assert "redis:// in store.url" in (await used_list.health()).detail


def _bucket_in(low: int, high: int) -> int:
    return next(number for number, bucket in enumerate(BUCKETS) if low <= slot_of(bucket) <= high)


async def test_a_new_term_of_the_same_server_is_fenced(tmp_path: Path) -> None:
    """A primary that was replaced, and named again before anyone could make it a replica, is another primary."""
    with running(VALKEY, tmp_path) as store:
        node = Node(settings_for(store.url))
        before, after = (
            Spending(SpendScript(max_skew_ms=BOUNDS.max_skew, margin_ms=MARGIN_MS, term=term), [node])
            for term in ("1", "2")
        )
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        await node.look([before.script], SkewedClock(), BOUNDS, MARGIN_MS)
        use = a_use()
        assert (await before.begin(use, deadline)).outcome is FIRST
        await asyncio.sleep(0.01)
        replay = replay_of(use)
        assert (await after.begin(replay, deadline)).outcome is FENCED
        await node.close()
