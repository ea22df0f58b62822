"""The used-list on several servers: the same promise on each, whoever dies, forgets, pauses or takes over."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.settings import Store
from ott_extauthz.stores.redislist.cluster import BUCKETS, slot_of
from ott_extauthz.stores.redislist.lease import LEASE_SECONDS
from ott_extauthz.stores.redislist.node import Node
from ott_extauthz.stores.redislist.routed import leased_margin_ms
from ott_extauthz.stores.redislist.script import SpendScript
from ott_extauthz.stores.redislist.spending import Spending
from tests.deployments import (
    Independent,
    Sharded,
    Watched,
    acknowledging,
    independent,
    replicated,
    sharded,
    until,
    watched,
)
from tests.fakes.clock import SkewedClock
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, free_port, running
from tests.proxies import DropProxy
from tests.used_lists import (
    BOUNDS,
    EXPIRED,
    FENCED,
    FIRST,
    MARGIN_MS,
    USED,
    Outcomes,
    a_use,
    listed,
    replay_of,
    settings_for,
    since_ms,
)

TIMEOUT = 4.0
LEASED_MARGIN_MS = leased_margin_ms(BOUNDS)


def fresh(*, after_ms: int = 0, bucket: int | None = None) -> Use:
    """Make a use of a token that no fence set up to ``after_ms`` from now concerns."""
    use = a_use(issued_at_ms=SkewedClock().now_ms() + LEASED_MARGIN_MS + 1 + after_ms)
    return use if bucket is None else dataclasses.replace(use, key=use.key[:-1] + bytes([bucket]))


async def outcome_of(used_list: Outcomes, use: Use) -> SpendOutcome:
    return await used_list.mark_used(use, timeout=TIMEOUT)


async def fault_of(spend: Awaitable[object]) -> tuple[UsedListFault, TokenState]:
    with pytest.raises(UsedListError) as caught:
        await spend
    return caught.value.fault, caught.value.token_state


async def eventually(used_list: Outcomes, *wanted: SpendOutcome, bucket: int | None = None) -> None:
    """Use fresh tokens until one has a wanted outcome; whatever else comes before must be a refusal."""
    end = time.monotonic() + 8
    while True:
        try:
            outcome = await used_list.mark_used(fresh(after_ms=100, bucket=bucket), timeout=TIMEOUT)
        except UsedListError as error:
            told = str(error)
        else:
            if outcome in wanted:
                return
            told = outcome.name
        assert time.monotonic() < end, told
        await asyncio.sleep(0.05)


# --- The port's promise, asked of every kind.


@pytest.fixture(
    scope="module",
    params=[
        ("sentinel", VALKEY), ("sentinel+wait", REDIS), ("cluster", VALKEY), ("cluster+wait", VALKEY),
        ("quorum", VALKEY), ("quorum", REDIS), ("single+wait", VALKEY),
    ],
    ids=lambda kind: f"{kind[0]}-{kind[1].name.partition('-')[0]}",
)  # fmt: skip
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    name, engine = request.param
    if engine.program is None:
        pytest.skip(engine.why_not)
    folder = tmp_path_factory.mktemp(name)
    with ExitStack() as stack:
        match name:
            case "sentinel":
                yield settings_for(stack.enter_context(watched(engine, folder, replicas=1)).url)
            case "sentinel+wait":
                deployment = stack.enter_context(watched(engine, folder, replicas=1))
                yield settings_for(deployment.url, wait="all", replicas=1)
            case "cluster":
                yield settings_for(stack.enter_context(sharded(engine, folder)).url)
            case "cluster+wait":
                deployed = stack.enter_context(sharded(engine, folder, primaries=1, replicas=1))
                yield settings_for(deployed.url, wait=1)
            case "quorum":
                yield settings_for(stack.enter_context(independent(engine, folder)).url)
            case _:
                pair = stack.enter_context(replicated(engine, folder, replicas=1))
                yield settings_for(pair.primary.url, wait="all", replicas=1)


@pytest.fixture
async def used_list(kind: Store) -> AsyncIterator[Outcomes]:
    async with listed(kind) as started:
        yield started


async def test_it_is_ready_and_says_so_in_one_line(used_list: Outcomes) -> None:
    health = await used_list.health()
    assert health.ready, health.detail
    assert "\n" not in health.detail


async def test_first_use_is_accepted_and_every_other_attempt_refused(used_list: Outcomes) -> None:
    use = dataclasses.replace(fresh(), witness=b"rgs")
    assert await outcome_of(used_list, use) is FIRST
    second = await used_list.used_list.mark_used(replay_of(use), timeout=TIMEOUT)
    assert second.outcome is USED
    assert second.first is not None
    assert second.first.witness == b"rgs"
    assert await outcome_of(used_list, use) is FIRST  # the same attempt, its reply lost


async def test_another_process_finds_the_use(kind: Store, used_list: Outcomes) -> None:
    use = fresh()
    assert await outcome_of(used_list, use) is FIRST
    async with listed(kind) as another:
        assert await outcome_of(another, replay_of(use)) is USED


async def test_tokens_of_every_bucket_pass(used_list: Outcomes) -> None:
    uses = [fresh(bucket=bucket) for bucket in range(256)]
    outcomes = await asyncio.gather(*(outcome_of(used_list, use) for use in uses))
    assert outcomes == [FIRST] * 256


async def test_of_a_hundred_attempts_one_wins(kind: Store, used_list: Outcomes) -> None:
    async with listed(kind) as another:
        for _ in range(5):
            use = fresh(after_ms=500)
            attempts = [replay_of(use) for _ in range(100)]
            lists = [used_list, another] * 50
            spends = [outcome_of(which, attempt) for which, attempt in zip(lists, attempts, strict=True)]
            outcomes = await asyncio.gather(*spends)
            winners = outcomes.count(FIRST)
            assert winners <= 1 if kind.kind == "quorum" else winners == 1  # a quorum may split its vote
            assert outcomes.count(USED) == 100 - winners


async def test_what_was_issued_before_the_fence_is_refused(used_list: Outcomes, kind: Store) -> None:
    """Every server was started a few seconds ago, at most; this token is a minute old."""
    old = a_use(issued_at_ms=SkewedClock().now_ms() - 60_000)
    assert await outcome_of(used_list, old) is FENCED


async def test_an_ended_use_and_a_clock_that_is_off_write_nothing(kind: Store, used_list: Outcomes) -> None:
    now_ms = SkewedClock().now_ms()
    assert await outcome_of(used_list, a_use(keep_until_ms=now_ms - 1)) is EXPIRED
    off = SkewedClock(2 * BOUNDS.max_skew)
    use = a_use(now_ms=off.now_ms(), issued_at_ms=off.now_ms() + LEASED_MARGIN_MS + 1)
    assert await outcome_of(used_list, use) is SpendOutcome.CLOCK_DISAGREES
    assert await outcome_of(used_list, dataclasses.replace(use, now_ms=SkewedClock().now_ms())) is FIRST
    async with listed(kind, clock=off) as skewed:
        health = await skewed.health()
        assert not health.ready
        assert "clock.max_skew" in health.detail


async def test_a_script_that_was_flushed_is_loaded_again(kind: Store, used_list: Outcomes) -> None:
    for host, port in _servers(kind, used_list):
        assert host == "127.0.0.1"
        _command(port, "SCRIPT", "FLUSH")
    uses = [fresh(after_ms=500) for _ in range(50)]
    assert await asyncio.gather(*(outcome_of(used_list, use) for use in uses)) == [FIRST] * 50


async def test_closing_ends_it(kind: Store) -> None:
    async with listed(kind) as closed:
        pass
    assert (await fault_of(outcome_of(closed, fresh())))[0] is UsedListFault.CLOSED


def _servers(kind: Store, used_list: Outcomes) -> list[tuple[str, int]]:
    inner = used_list.used_list
    nodes = getattr(inner, "_nodes", None) or [inner._node]  # type: ignore[attr-defined]
    return [(node.place.host, node.place.port) for node in (nodes.values() if isinstance(nodes, dict) else nodes)]


def _command(port: int, *words: str) -> None:
    server = StoreProcess.__new__(StoreProcess)
    server.port = port
    server.command(*words)


# --- Quorum.


@pytest.fixture
def quorum(tmp_path: Path) -> Iterator[Independent]:
    with independent(VALKEY, tmp_path) as deployment:
        yield deployment


async def test_one_dead_server_of_three_refuses_nothing(quorum: Independent) -> None:
    async with listed(quorum.url) as used_list:
        before = a_use()
        assert await outcome_of(used_list, before) is FIRST
        quorum.servers[0].kill()
        for _ in range(20):
            use = a_use()
            assert await outcome_of(used_list, use) is FIRST
            assert await outcome_of(used_list, replay_of(use)) is USED
        assert await outcome_of(used_list, replay_of(before)) is USED
        health = await used_list.health()
        assert health.ready
        assert "2 of 3 servers ready" in health.detail


async def test_two_dead_servers_of_three_refuse(quorum: Independent) -> None:
    async with listed(settings_for(quorum.url, timeout="200ms")) as used_list:
        for server in quorum.servers[:2]:
            server.kill()
        use = a_use()
        assert await fault_of(outcome_of(used_list, use)) in [
            (UsedListFault.CONNECT, TokenState.UNKNOWN),  # the third server has it
            (UsedListFault.LOST, TokenState.UNKNOWN),
        ]
        assert not (await used_list.health()).ready
        quorum.servers[0].start()
        await eventually(used_list, FIRST)
        assert await outcome_of(used_list, replay_of(use)) in (USED, FENCED)


async def test_a_paused_server_costs_no_time(quorum: Independent) -> None:
    async with listed(settings_for(quorum.url, timeout="500ms")) as used_list:
        quorum.servers[1].pause()
        for _ in range(30):
            use, started = a_use(), time.monotonic()
            assert await outcome_of(used_list, use) is FIRST
            assert await outcome_of(used_list, replay_of(use)) is USED
            assert time.monotonic() - started < 0.3
        started = time.monotonic()
        assert (await used_list.health()).ready
        assert time.monotonic() - started < 0.5
        quorum.servers[1].resume()
        assert await outcome_of(used_list, a_use()) is FIRST


@pytest.mark.parametrize("loss", ["restart", "flush"])
async def test_one_server_that_forgets_neither_refuses_nor_lets_through(quorum: Independent, loss: str) -> None:
    async with listed(quorum.url) as used_list:
        used, unused = a_use(), a_use()
        assert await outcome_of(used_list, used) is FIRST
        await asyncio.sleep(0.01)
        quorum.servers[2].restart_empty() if loss == "restart" else quorum.servers[2].command("FLUSHALL")
        assert await outcome_of(used_list, unused) is FIRST
        assert await outcome_of(used_list, replay_of(used)) is USED


async def test_a_majority_that_forgets_is_fenced(quorum: Independent) -> None:
    async with listed(quorum.url) as used_list:
        used, unused = a_use(), a_use()
        assert await outcome_of(used_list, used) is FIRST
        await asyncio.sleep(0.01)
        for server in quorum.servers[1:]:
            server.command("FLUSHALL")
        assert await outcome_of(used_list, replay_of(used)) in (USED, FENCED)  # whoever speaks first
        assert await outcome_of(used_list, replay_of(unused)) is FENCED
        quorum.servers[0].command("FLUSHALL")
        assert await outcome_of(used_list, replay_of(used)) is FENCED
        await eventually(used_list, FIRST)


async def test_a_split_vote_lets_nobody_through(quorum: Independent) -> None:
    async with listed(quorum.url) as used_list:
        use = a_use()
        attempts = [replay_of(use) for _ in range(3)]
        for server, attempt in zip(quorum.servers, attempts, strict=True):
            async with listed(server.url) as alone:
                assert await outcome_of(alone, attempt) is FIRST
        for attempt in [*attempts, replay_of(use)]:
            assert await outcome_of(used_list, attempt) is USED


# --- Sentinels.


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
    async with listed(deployment.url) as used_list:
        deployment.sentinels[0].kill()
        await asyncio.sleep(LEASE_SECONDS / 2 + 0.1)
        assert await outcome_of(used_list, fresh(after_ms=2000)) is FIRST
        deployment.sentinels[1].kill()
        await asyncio.sleep(LEASE_SECONDS)
        started = time.monotonic()
        assert await fault_of(outcome_of(used_list, fresh())) == (UsedListFault.CONNECT, TokenState.UNSPENT)
        assert time.monotonic() - started < 1
        health = await used_list.health()
        assert not health.ready
        assert "2 must agree" in health.detail
        assert "onnect" in health.detail


# --- Cluster.


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


# --- Waiting for replicas.


@pytest.fixture(params=[VALKEY, REDIS], ids=["valkey", "redis"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    engine: Engine = request.param
    if engine.program is None:
        pytest.skip(engine.why_not)
    with replicated(engine, tmp_path, replicas=2) as deployment:
        yield deployment


def waiting(server: StoreProcess | DropProxy, wait: str | int = "all", *, timeout: str = "400ms") -> Store:
    return settings_for(server.url, timeout=timeout, wait=wait, **({"replicas": 2} if wait == "all" else {}))


async def test_a_paused_replica_refuses_and_the_token_is_spent(group: Watched) -> None:
    async with listed(waiting(group.primary)) as used_list:
        assert await outcome_of(used_list, fresh()) is FIRST
        group.replicas[0].pause()
        use = fresh()
        assert await fault_of(outcome_of(used_list, use)) == (UsedListFault.LOST, TokenState.SPENT)
        assert await outcome_of(used_list, replay_of(use)) is USED
        health = await used_list.health()
        assert not health.ready
        assert "1 of 2 replicas acknowledge" in health.detail
        async with listed(waiting(group.primary, 1)) as less:
            assert await outcome_of(less, fresh()) is FIRST
        group.replicas[0].kill()  # fewer are attached now, and yet as many are needed
        until(lambda: group.primary.info("replication")["connected_slaves"] == 1, "it is still attached")
        assert await fault_of(outcome_of(used_list, fresh())) == (UsedListFault.LOST, TokenState.SPENT)


async def test_a_lost_reply_is_no_way_around_the_wait(group: Watched) -> None:
    """Sent again, on another connection, the call finds its own write; a WAIT there covers nothing unless it writes."""
    async with DropProxy(group.primary.port) as proxy, listed(waiting(proxy)) as used_list:
        proxy.drop_containing = b"first"
        spend = asyncio.create_task(fault_of(outcome_of(used_list, fresh())))
        assert (await spend)[0] is UsedListFault.LOST
        proxy.drop_containing = None
        assert await outcome_of(used_list, fresh()) is FIRST
        for replica in group.replicas:
            replica.pause()
        proxy.drop_replies = 1
        assert await fault_of(outcome_of(used_list, fresh())) == (UsedListFault.LOST, TokenState.SPENT)
        for replica in group.replicas:
            replica.resume()
        proxy.drop_replies = 1
        assert await outcome_of(used_list, fresh()) is FIRST


async def test_the_same_attempt_does_not_get_around_the_wait(group: Watched) -> None:
    async with listed(waiting(group.primary)) as used_list, listed(waiting(group.primary)) as another:
        use = fresh()
        for replica in group.replicas:
            replica.pause()
        assert await fault_of(outcome_of(used_list, use)) == (UsedListFault.LOST, TokenState.SPENT)
        assert await fault_of(outcome_of(another, use)) == (UsedListFault.LOST, TokenState.SPENT)


async def test_a_replica_that_was_added_counts_too(group: Watched, tmp_path: Path) -> None:
    async with listed(waiting(group.primary)) as used_list:
        follows = f"127.0.0.1 {group.primary.port}"
        with running(
            group.primary.engine, tmp_path / "third", replicaof=follows, repl_diskless_sync_delay="0"
        ) as third:
            third.wait_until_synchronised()
            await eventually(used_list, FIRST)
            third.pause()
            assert await fault_of(outcome_of(used_list, fresh())) == (UsedListFault.LOST, TokenState.SPENT)


async def test_two_majorities_that_share_a_forgetful_replica_need_wait_all(group: Watched) -> None:
    """A replica's word can be taken back: with ``wait: 1`` of 2 this schedule accepts a token twice, as documented."""
    old, (shared, new) = group.primary, group.replicas
    new.command("REPLICAOF", "NO", "ONE")
    async with listed(new.url):
        pass  # its fence is set before the tokens are issued
    await asyncio.sleep(0.01)
    accepted: dict[str | int, int] = {}
    states: set[TokenState] = set()
    uses: dict[str | int, Use] = {wait: fresh(after_ms=5000) for wait in (1, "all")}
    for server in (old, new):
        for wait, use in uses.items():
            async with listed(waiting(server, wait)) as used_list:
                try:
                    outcome = await outcome_of(used_list, replay_of(use))
                except UsedListError as error:
                    states.add(error.token_state)
                else:
                    accepted[wait] = accepted.get(wait, 0) + (outcome is FIRST)
        shared.command("REPLICAOF", "127.0.0.1", new.port)
        until(lambda: shared.info("replication")["master_port"] == new.port, "not re-pointed")
        until(lambda: acknowledging(new, 1) == 1, "the re-pointed replica does not acknowledge")
    assert accepted == {1: 2}
    assert states == {TokenState.SPENT}


async def test_one_wait_serves_all_calls_of_a_tick(group: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listed(waiting(group.primary)) as used_list:
        link = used_list.used_list._node._lane._link  # type: ignore[attr-defined]
        write, writes = link._writer.write, list[bytes]()

        def recorded(data: bytes) -> None:
            writes.append(data)
            write(data)

        monkeypatch.setattr(link._writer, "write", recorded)
        uses = [fresh() for _ in range(64)]
        assert await asyncio.gather(*(outcome_of(used_list, use) for use in uses)) == [FIRST] * 64
        assert [data.count(b"EVALSHA") for data in writes] == [1]
        assert [data.count(b"WAIT") for data in writes] == [1]
