"""The used-list on a primary whose replicas must have a use before it counts."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Use, UsedListError, UsedListFault
from ott_extauthz.sections.store import Store
from tests.deployed_lists import eventually, fault_of, fresh, outcome_of
from tests.deployments import Watched, acknowledging, replicated, until
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running
from tests.proxies import DropProxy
from tests.used_lists import FIRST, USED, listed, replay_of, settings_for


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
