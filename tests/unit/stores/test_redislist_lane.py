"""The way to the store: one write a tick, replies to whom they belong, a lost one recognised, a dead store bounded."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Use, UsedListError, UsedListFault
from ott_extauthz.stores.redislist.list import RedisUsedList
from ott_extauthz.stores.redislist.script import USED_PREFIX
from tests.fakes.clock import SkewedClock
from tests.processes import VALKEY, Engine, StoreProcess, free_port, running
from tests.proxies import DropProxy
from tests.used_lists import BOUNDS, FIRST, USED, Outcomes, a_use, listed, replay_of, settings_for

TIMEOUT = 4.0


@pytest.fixture
async def proxy(store: StoreProcess) -> AsyncIterator[DropProxy]:
    async with DropProxy(store.port) as started:
        yield started


@pytest.fixture
async def used_list(proxy: DropProxy) -> AsyncIterator[Outcomes]:
    async with listed(proxy.url) as started:
        yield started


def is_used(store: StoreProcess, use: Use) -> bool:
    return bool(store.command("EXISTS", USED_PREFIX + use.key.hex()))


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    until = time.monotonic() + 60
    while not await condition():
        assert time.monotonic() < until, "did not come about in time"
        await asyncio.sleep(0.005)


async def becomes_used(store: StoreProcess, *uses: Use) -> None:
    async def all_used() -> bool:
        return await asyncio.to_thread(lambda: all(is_used(store, use) for use in uses))

    await eventually(all_used)


async def fault_of(spend: Awaitable[object]) -> tuple[UsedListFault, TokenState]:
    with pytest.raises(UsedListError) as caught:
        await spend
    return caught.value.fault, caught.value.token_state


async def test_a_lost_reply_is_recognised_by_the_nonce(
    store: StoreProcess, proxy: DropProxy, used_list: Outcomes
) -> None:
    """With redis-py's defaults this very case refused a rightful first use: it sent twice and found "used"."""
    use = a_use()
    proxy.drop_replies = 1
    assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
    assert proxy.connections == 2
    assert is_used(store, use)
    assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


async def test_a_replay_whose_reply_is_lost_is_still_a_replay(proxy: DropProxy, used_list: Outcomes) -> None:
    use = a_use()
    assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
    proxy.drop_replies = 1
    assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


async def test_a_call_is_sent_twice_and_not_more(proxy: DropProxy, used_list: Outcomes) -> None:
    proxy.drop_containing = b"first"
    assert await fault_of(used_list.mark_used(a_use(), timeout=TIMEOUT)) == (UsedListFault.LOST, TokenState.UNKNOWN)
    assert proxy.connections == 2


async def test_a_call_that_finds_no_second_connection_is_unknown(proxy: DropProxy, used_list: Outcomes) -> None:
    proxy.drop_replies = 2  # the second connection loses the reply to its script, and so never opens
    assert await fault_of(used_list.mark_used(a_use(), timeout=TIMEOUT)) == (UsedListFault.LOST, TokenState.UNKNOWN)
    assert proxy.connections == 2


async def test_a_connection_cut_while_idle_costs_nobody_anything(proxy: DropProxy, used_list: Outcomes) -> None:
    for _ in range(3):
        proxy.cut()
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST


async def test_uses_of_one_tick_leave_in_one_call(used_list: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(used_list.used_list, RedisUsedList)
    link = used_list.used_list._node._lane._link
    assert link is not None
    write, writes = link._writer.write, list[bytes]()

    def recorded(data: bytes) -> None:
        writes.append(data)
        write(data)

    monkeypatch.setattr(link._writer, "write", recorded)
    uses = [a_use() for _ in range(64)]
    assert await asyncio.gather(*(used_list.mark_used(use, timeout=TIMEOUT) for use in uses)) == [FIRST] * 64
    assert len(writes) == 1
    assert writes[0].count(b"EVALSHA") == 1


async def test_calls_do_not_wait_for_earlier_replies(
    store: StoreProcess, proxy: DropProxy, used_list: Outcomes
) -> None:
    proxy.is_holding = True
    uses = [a_use() for _ in range(3)]
    spends = []
    for use in uses:  # each in a tick of its own
        spends.append(asyncio.create_task(used_list.mark_used(use, timeout=TIMEOUT)))
        await asyncio.sleep(0.01)
    await becomes_used(store, *uses)
    proxy.release()
    assert await asyncio.gather(*spends) == [FIRST] * 3
    assert proxy.connections == 1


async def test_a_caller_that_goes_away_shifts_nobodys_reply(
    store: StoreProcess, proxy: DropProxy, used_list: Outcomes
) -> None:
    gone, replayed, fresh = a_use(), a_use(), a_use()
    assert await used_list.mark_used(replayed, timeout=TIMEOUT) is FIRST
    proxy.is_holding = True
    attempts = [gone, replay_of(replayed), fresh]
    spends = [asyncio.create_task(used_list.mark_used(use, timeout=TIMEOUT)) for use in attempts]
    await becomes_used(store, fresh)
    spends[0].cancel()
    await asyncio.sleep(0)
    proxy.release()
    assert await spends[1] is USED
    assert await spends[2] is FIRST
    assert spends[0].cancelled()
    assert is_used(store, gone)
    assert proxy.connections == 1


async def test_a_caller_that_goes_away_before_the_write_spends_nothing(
    store: StoreProcess, used_list: Outcomes
) -> None:
    use, other = a_use(), a_use()
    spend = asyncio.create_task(used_list.mark_used(use, timeout=TIMEOUT))
    asyncio.get_running_loop().call_soon(spend.cancel)
    assert await used_list.mark_used(other, timeout=TIMEOUT) is FIRST
    assert spend.cancelled()
    assert not is_used(store, use)


async def test_a_reply_for_another_lets_nobody_through(
    store: StoreProcess, proxy: DropProxy, used_list: Outcomes
) -> None:
    """The reply to a replay vanishes; the next one, a first use, arrives in its place."""
    replayed, fresh = a_use(), a_use()
    assert await used_list.mark_used(replayed, timeout=TIMEOUT) is FIRST
    proxy.swallow_replies = 1
    replay = asyncio.create_task(used_list.mark_used(replay_of(replayed), timeout=TIMEOUT))
    await eventually(proxy.has_swallowed)
    first = asyncio.create_task(used_list.mark_used(fresh, timeout=TIMEOUT))
    assert await fault_of(replay) == (UsedListFault.REPLY, TokenState.UNKNOWN)
    assert await first is FIRST  # sent again: the connection was not to be believed any more
    assert proxy.connections == 2
    assert is_used(store, fresh)


async def test_one_callers_short_deadline_is_its_own_affair(proxy: DropProxy) -> None:
    async with listed(settings_for(proxy.url, timeout="60s")) as used_list:
        proxy.is_holding = True
        hurried, patient = a_use(), a_use()
        started = time.monotonic()
        hurried_spend = asyncio.create_task(used_list.mark_used(hurried, timeout=0.3))
        patient_spend = asyncio.create_task(used_list.mark_used(patient, timeout=60))
        assert await fault_of(hurried_spend) == (UsedListFault.TIMEOUT, TokenState.UNKNOWN)
        assert 0.29 < time.monotonic() - started < 30
        proxy.release()
        assert await patient_spend is FIRST
        assert proxy.connections == 1
        assert await used_list.mark_used(replay_of(hurried), timeout=TIMEOUT) is USED


async def test_a_reply_that_never_comes_ends_its_connection_and_holds_up_nobody(
    store: StoreProcess, proxy: DropProxy
) -> None:
    async with listed(settings_for(proxy.url, timeout="700ms")) as used_list:
        proxy.swallow_replies = 1
        started = time.monotonic()
        assert await used_list.mark_used(a_use(), timeout=60) is FIRST  # its second sending, elsewhere
        assert 0.69 < time.monotonic() - started < 30
        assert proxy.connections == 2
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
    assert store.command("DBSIZE") == 3


@pytest.mark.parametrize("left", [0, -1])
async def test_without_any_time_nothing_is_sent(store: StoreProcess, used_list: Outcomes, left: float) -> None:
    use = a_use()
    spend = used_list.mark_used(use, timeout=left)
    assert await fault_of(spend) == (UsedListFault.TIMEOUT, TokenState.UNSPENT)
    assert not is_used(store, use)


async def test_a_script_that_was_flushed_is_loaded_again(store: StoreProcess, used_list: Outcomes) -> None:
    store.command("SCRIPT", "FLUSH")
    uses = [a_use() for _ in range(50)]
    assert await asyncio.gather(*(used_list.mark_used(use, timeout=TIMEOUT) for use in uses)) == [FIRST] * 50
    store.command("SCRIPT", "FLUSH")
    assert (await used_list.health()).ready


async def test_closing_fails_what_is_under_way(proxy: DropProxy, used_list: Outcomes) -> None:
    proxy.is_holding = True
    spend = asyncio.create_task(used_list.mark_used(a_use(), timeout=TIMEOUT))
    await asyncio.sleep(0.02)
    await used_list.close()
    assert await fault_of(spend) == (UsedListFault.CLOSED, TokenState.UNKNOWN)


async def test_closing_while_connecting_fails_what_waits(engine: Engine, tmp_path: Path) -> None:
    with running(engine, tmp_path / "data") as store:
        store.pause()
        used_list = RedisUsedList(settings=settings_for(store.url), bounds=BOUNDS, clock=SkewedClock())
        spend = asyncio.create_task(used_list.mark_used(a_use(), timeout=TIMEOUT))
        await asyncio.sleep(0.05)
        await used_list.close()
        assert await fault_of(spend) == (UsedListFault.CLOSED, TokenState.UNSPENT)


async def test_our_own_sleep_is_not_held_against_the_store(store: StoreProcess) -> None:
    """A long collection, or a busy machine: the reply is there, only we have not read it yet."""
    async with listed(settings_for(store.url, timeout="100ms")) as used_list:
        use = a_use()
        spend = asyncio.create_task(used_list.mark_used(use, timeout=0.1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while not is_used(store, use):  # a store that is no faster than us is waited for, asleep
            time.sleep(0.01)  # noqa: ASYNC251 - the point
        time.sleep(0.25)  # noqa: ASYNC251 - the point
        assert await spend is FIRST


async def test_nobody_there_is_a_connect_fault_and_unspent() -> None:
    async with listed(settings_for(f"redis://127.0.0.1:{free_port()}", timeout="80ms")) as used_list:
        started = time.monotonic()
        for _ in range(5):
            spend = used_list.mark_used(a_use(), timeout=60)
            assert await fault_of(spend) == (UsedListFault.CONNECT, TokenState.UNSPENT)
        assert time.monotonic() - started < 30
        health = await used_list.health()
        assert not health.ready
        assert "refused" in health.detail.lower()


@pytest.fixture
def own_store(engine: Engine, tmp_path: Path) -> Iterator[StoreProcess]:
    with running(engine, tmp_path / "data") as started:
        yield started


async def test_a_store_that_hangs_is_bounded_and_then_recovers(own_store: StoreProcess) -> None:
    async with listed(settings_for(own_store.url, timeout="400ms")) as used_list:
        use = a_use()
        own_store.pause()
        started = time.monotonic()
        spends = [used_list.mark_used(use, timeout=60), used_list.mark_used(a_use(), timeout=0.2)]
        faults = await asyncio.gather(*(fault_of(spend) for spend in spends))
        assert faults == [(UsedListFault.TIMEOUT, TokenState.UNKNOWN)] * 2
        assert 0.79 < time.monotonic() - started < 30  # twice 400 ms: the call and its one resend
        assert not (await used_list.health()).ready
        own_store.resume()

        async def is_ready() -> bool:
            return (await used_list.health()).ready

        await eventually(is_ready)
        assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
        # The store may have found the call in its socket and carried it out; if it did so too late, its clock refused.
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) in (FIRST, USED)
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


async def test_a_store_that_hangs_before_we_connect_leaves_the_token_unspent(own_store: StoreProcess) -> None:
    own_store.pause()
    used_list = RedisUsedList(settings=settings_for(own_store.url, timeout="100ms"), bounds=BOUNDS, clock=SkewedClock())
    spend = used_list.mark_used(a_use(), timeout=0.05)
    assert await fault_of(spend) == (UsedListFault.CONNECT, TokenState.UNSPENT)
    await used_list.close()


async def test_a_store_killed_under_way_leaves_the_token_unknown(own_store: StoreProcess) -> None:
    async with listed(own_store.url) as used_list:
        own_store.pause()
        spend = asyncio.create_task(used_list.mark_used(a_use(), timeout=TIMEOUT))
        await asyncio.sleep(0.02)
        own_store.kill()
        assert await fault_of(spend) == (UsedListFault.LOST, TokenState.UNKNOWN)


async def test_a_store_out_of_memory_refuses_and_leaves_the_token_unspent(own_store: StoreProcess) -> None:
    async with listed(own_store.url) as used_list:
        own_store.command("CONFIG", "SET", "maxmemory", "1")
        use = a_use()
        spend = used_list.mark_used(use, timeout=TIMEOUT)
        assert await fault_of(spend) == (UsedListFault.REPLY, TokenState.UNSPENT)
        assert not is_used(own_store, use)
        own_store.command("CONFIG", "SET", "maxmemory", "0")
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST


async def test_something_that_is_no_store_is_refused() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, listed(settings_for(f"redis://127.0.0.1:{port}", timeout="200ms")) as used_list:
        spend = used_list.mark_used(a_use(), timeout=TIMEOUT)
        assert await fault_of(spend) == (UsedListFault.CONNECT, TokenState.UNSPENT)


def test_it_does_the_same_on_uvloop(tmp_path: Path) -> None:
    """uvloop runs timers before sockets and closes transports in its own way; the service runs on it."""

    async def everything(store: StoreProcess) -> None:
        async with DropProxy(store.port) as proxy, listed(proxy.url) as used_list:
            await test_a_lost_reply_is_recognised_by_the_nonce(store, proxy, used_list)
            await test_a_connection_cut_while_idle_costs_nobody_anything(proxy, used_list)
            proxy.connections = 1
            await test_a_caller_that_goes_away_shifts_nobodys_reply(store, proxy, used_list)
            await test_our_own_sleep_is_not_held_against_the_store(store)
        await test_a_store_that_hangs_is_bounded_and_then_recovers(store)
        await test_nobody_there_is_a_connect_fault_and_unspent()
        await test_a_store_killed_under_way_leaves_the_token_unknown(store)

    with running(VALKEY, tmp_path / "data") as store:
        uvloop.run(everything(store))
