"""The used-list on independent servers: whoever dies, pauses or forgets, a majority decides."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListFault
from tests.deployed_lists import eventually, fault_of, outcome_of
from tests.deployments import Independent, independent
from tests.processes import VALKEY
from tests.used_lists import FENCED, FIRST, USED, a_use, listed, replay_of, settings_for


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
    """Whoever waited for it would wait for a minute, and for longer than the test may take."""
    async with listed(settings_for(quorum.url, timeout="60s")) as used_list:
        quorum.servers[1].pause()
        started = time.monotonic()
        for _ in range(30):
            use = a_use()
            assert await used_list.mark_used(use, timeout=60) is FIRST
            assert await used_list.mark_used(replay_of(use), timeout=60) is USED
        assert (await used_list.health()).ready
        assert time.monotonic() - started < 30
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


async def test_of_five_any_two_may_be_lost_and_three_may_not(tmp_path: Path) -> None:
    with independent(VALKEY, tmp_path, count=5) as five:
        async with listed(settings_for(five.url, timeout="300ms")) as used_list:
            for pair in itertools.combinations(five.servers, 2):
                before = a_use()
                assert await outcome_of(used_list, before) is FIRST
                for server in pair:
                    server.pause()
                use = a_use()
                assert await outcome_of(used_list, use) is FIRST
                assert await outcome_of(used_list, replay_of(use)) is USED
                assert await outcome_of(used_list, replay_of(before)) is USED
                for server in pair:
                    server.resume()
            for server in five.servers[:2]:
                server.kill()
            assert await outcome_of(used_list, a_use()) is FIRST
            assert "3 of 5 servers ready" in (await used_list.health()).detail
            five.servers[2].kill()
            assert (await fault_of(outcome_of(used_list, a_use())))[1] is TokenState.UNKNOWN
            health = await used_list.health()
            assert not health.ready
            assert "2 of 5 servers ready, 3 needed" in health.detail
