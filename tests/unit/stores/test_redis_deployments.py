"""The port's promise, asked of every deployment of several servers."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress

import pytest

from ott_extauthz.ports import SpendOutcome, UsedListFault
from ott_extauthz.sections.store import Store
from tests.deployed_lists import LEASED_MARGIN_MS, TIMEOUT, fault_of, fresh, outcome_of
from tests.deployments import independent, replicated, sharded, watched
from tests.fakes.clock import SkewedClock
from tests.processes import REDIS, VALKEY, StoreProcess
from tests.used_lists import BOUNDS, EXPIRED, FENCED, FIRST, USED, Outcomes, a_use, listed, replay_of, settings_for


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
    with suppress(TimeoutError):  # what it says by then is told below
        async with asyncio.timeout(30):
            while not (await used_list.health()).ready:  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(0.05)
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
