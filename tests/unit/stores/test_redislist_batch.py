"""Uses that share a call: what befalls one leaves its neighbours alone, and an array that does not fit is nobody's."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import hiredis
import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import Spend, SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.stores.redislist.batch import MOST_USES, Attempt, Batch, Group, Voice
from ott_extauthz.stores.redislist.list import RedisUsedList
from ott_extauthz.stores.redislist.script import FENCE_KEY, USED_PREFIX, SpendScript
from tests.fakes.clock import SkewedClock
from tests.processes import Engine, StoreProcess, running
from tests.proxies import DropProxy
from tests.used_lists import BOUNDS, EXPIRED, FENCED, FIRST, USED, Outcomes, a_use, listed, replay_of, settings_for

TIMEOUT = 4.0
MISFIT = (UsedListFault.REPLY, TokenState.UNKNOWN)


@pytest.fixture
async def proxy(store: StoreProcess) -> AsyncIterator[DropProxy]:
    async with DropProxy(store.port) as started:
        yield started


@pytest.fixture
async def used_list(proxy: DropProxy) -> AsyncIterator[Outcomes]:
    async with listed(proxy.url) as started:
        yield started


@pytest.fixture
def writes(used_list: Outcomes, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that leaves for the store."""
    assert isinstance(used_list.used_list, RedisUsedList)
    link = used_list.used_list._node._lane._link
    assert link is not None
    write, writes = link._writer.write, list[bytes]()

    def recorded(data: bytes) -> None:
        writes.append(data)
        write(data)

    monkeypatch.setattr(link._writer, "write", recorded)
    return writes


Told = SpendOutcome | tuple[UsedListFault, TokenState]


async def together(used_list: Outcomes, uses: Sequence[Use], *, timeout: float = TIMEOUT) -> list[Told]:
    """Spend all in one tick; say what each was told."""

    async def spend(use: Use) -> Told:
        try:
            return await used_list.mark_used(use, timeout=timeout)
        except UsedListError as error:
            return error.fault, error.token_state

    return list(await asyncio.gather(*(spend(use) for use in uses)))


def is_used(store: StoreProcess, use: Use) -> bool:
    return bool(store.command("EXISTS", USED_PREFIX + use.key.hex()))


async def test_what_refuses_one_leaves_its_neighbours_alone(
    store: StoreProcess, used_list: Outcomes, writes: list[bytes]
) -> None:
    now_ms = SkewedClock().now_ms()
    spent, odd, fresh, last = a_use(), a_use(), a_use(), a_use()
    assert await used_list.mark_used(spent, timeout=TIMEOUT) is FIRST
    store.command("LPUSH", USED_PREFIX + odd.key.hex(), "no string: the write of this use raises an error")
    writes.clear()
    off_ms = now_ms + BOUNDS.max_skew + 500
    unfit = [
        (a_use(now_ms=off_ms), SpendOutcome.CLOCK_DISAGREES),
        (a_use(issued_at_ms=now_ms - 60_000), FENCED),
        (a_use(now_ms=now_ms - 600, issued_at_ms=fresh.issued_at_ms, keep_until_ms=now_ms - 300), EXPIRED),
        (replay_of(spent), USED),
        (odd, (UsedListFault.REPLY, TokenState.UNSPENT)),
    ]
    uses = [fresh, *(use for use, _ in unfit), last]
    assert await together(used_list, uses) == [FIRST, *(told for _, told in unfit), FIRST]
    assert [data.count(b"EVALSHA") for data in writes] == [1]
    assert [is_used(store, use) for use, _ in unfit[:3]] == [False] * 3
    assert await together(used_list, [replay_of(fresh), replay_of(last)]) == [USED, USED]


async def test_a_caller_whose_clock_is_off_sets_no_fence_for_its_neighbours(
    store: StoreProcess, used_list: Outcomes
) -> None:
    store.command("FLUSHALL")
    off = [a_use(now_ms=SkewedClock().now_ms() + BOUNDS.max_skew + 500) for _ in range(3)]
    assert await together(used_list, off) == [SpendOutcome.CLOCK_DISAGREES] * 3
    assert not store.command("EXISTS", FENCE_KEY)
    old = a_use(issued_at_ms=SkewedClock().now_ms())
    assert await together(used_list, [*off, old]) == [SpendOutcome.CLOCK_DISAGREES] * 3 + [FENCED]
    assert store.command("EXISTS", FENCE_KEY)


async def test_of_one_token_many_times_in_one_call_one_is_first(used_list: Outcomes, writes: list[bytes]) -> None:
    use = a_use()
    told = await together(used_list, [replay_of(use) for _ in range(MOST_USES)])
    assert [data.count(b"EVALSHA") for data in writes] == [1]
    assert told == [FIRST] + [USED] * (MOST_USES - 1)


async def test_a_call_holds_the_store_for_a_bounded_number_of_uses(used_list: Outcomes, writes: list[bytes]) -> None:
    uses = [a_use() for _ in range(2 * MOST_USES + 1)]
    assert await together(used_list, uses) == [FIRST] * len(uses)
    assert [data.count(b"EVALSHA") for data in writes] == [3]


async def test_a_call_asks_the_server_about_itself_once(store: StoreProcess, used_list: Outcomes) -> None:
    def asked() -> int:
        stats: dict[str, int] = store.info("commandstats")["cmdstat_info"]
        return stats["calls"]

    before = asked()
    assert await together(used_list, [a_use() for _ in range(MOST_USES)]) == [FIRST] * MOST_USES
    assert asked() - before == 2  # the other one was our own question


def _swapped(answers: list[bytes]) -> list[bytes]:
    return [*answers[:-2], answers[-1], answers[-2]]


def _without_the_last(answers: list[bytes]) -> list[bytes]:
    return answers[:-1]


def _with_one_more(answers: list[bytes]) -> list[bytes]:
    return [*answers, answers[-1]]


def _with_one_twice(answers: list[bytes]) -> list[bytes]:
    return [*answers[:-1], answers[0]]


def _with_a_word_that_is_none(answers: list[bytes]) -> list[bytes]:
    return [*answers[:-1], answers[-1].replace(b"first", b"welcome")]


def _of_nothing(_: list[bytes]) -> list[bytes]:
    return []


@pytest.mark.parametrize(
    "falsify",
    [_swapped, _without_the_last, _with_one_more, _with_one_twice, _with_a_word_that_is_none, _of_nothing],
)
async def test_an_array_that_does_not_fit_lets_nobody_through(
    proxy: DropProxy, used_list: Outcomes, falsify: Callable[[list[bytes]], list[bytes]]
) -> None:
    def tamper(data: bytes) -> bytes:
        reader = hiredis.Reader()
        reader.feed(data)
        answers = falsify(reader.gets())
        return b"".join([b"*%d\r\n" % len(answers), *(b"$%d\r\n%s\r\n" % (len(one), one) for one in answers)])

    proxy.tamper = tamper
    uses = [a_use() for _ in range(4)]
    assert await together(used_list, uses) == [MISFIT] * 4
    assert await together(used_list, [replay_of(use) for use in uses]) == [USED] * 4
    assert proxy.connections == 2  # the first was not to be believed any more


async def test_one_answer_in_place_of_an_array_lets_nobody_through(proxy: DropProxy, used_list: Outcomes) -> None:
    use = a_use()
    answer = b"first %s 0" % use.nonce.hex().encode()
    proxy.tamper = lambda _: b"$%d\r\n%s\r\n" % (len(answer), answer)
    assert await together(used_list, [use]) == [MISFIT]
    assert await together(used_list, [replay_of(use)]) == [USED]
    assert proxy.connections == 2


async def test_after_half_a_reply_own_writes_are_recognised_and_nobody_is_first_twice(
    proxy: DropProxy, used_list: Outcomes
) -> None:
    spent, contested = a_use(), a_use()
    assert await used_list.mark_used(spent, timeout=TIMEOUT) is FIRST
    proxy.halve_replies = 1
    fresh = [a_use() for _ in range(20)]
    uses = [replay_of(spent), replay_of(contested), replay_of(contested), *fresh]
    assert await together(used_list, uses) == [USED, FIRST, USED] + [FIRST] * 20
    assert proxy.connections == 2
    assert await together(used_list, [replay_of(use) for use in uses]) == [USED] * 23


async def test_a_use_that_expired_before_its_call_could_leave_is_never_sent(engine: Engine, tmp_path: Path) -> None:
    """It was told "unspent"; the others of its tick wait for the connection a little longer."""
    with running(engine, tmp_path / "data") as store:
        store.pause()
        used_list = RedisUsedList(settings=settings_for(store.url), bounds=BOUNDS, clock=SkewedClock())
        hurried, gone, patient = a_use(), a_use(), a_use()
        patient_spend = asyncio.create_task(used_list.mark_used(patient, timeout=TIMEOUT))
        gone_spend = asyncio.create_task(used_list.mark_used(gone, timeout=TIMEOUT))
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(hurried, timeout=0.05)
        assert (caught.value.fault, caught.value.token_state) == (UsedListFault.CONNECT, TokenState.UNSPENT)
        gone_spend.cancel()
        await asyncio.sleep(0)
        store.resume()
        # The store may be fenced at its first use, so only what was written tells who was sent.
        assert (await patient_spend).outcome in (FIRST, FENCED)
        assert (await used_list.mark_used(a_use(), timeout=TIMEOUT)).outcome is FIRST
        assert not is_used(store, hurried)
        assert not is_used(store, gone)
        await used_list.close()


class _Server:
    """Stands in for a server, for tests that hold a batch in their hands."""

    def __init__(self) -> None:
        self.renewed: list[Batch] = []

    def heard(self, nonce: bytes, answer: object, *, unseen: int, acknowledged: int) -> Voice | None:
        return Spend(FIRST) if answer == b"first " + nonce and not unseen and not acknowledged else None

    def refused(self, error: hiredis.ReplyError, *, unseen: int) -> Voice:
        return UsedListError(UsedListFault.REPLY, TokenState.UNKNOWN, f"{error} {unseen}")

    def renew(self, batch: Batch) -> None:
        self.renewed.append(batch)


class _Heard(Attempt):
    """Counts how often it is told something."""

    __slots__ = ("voices",)

    def hear(self, voice: Voice) -> None:
        self.voices = [*getattr(self, "voices", []), voice]


@pytest.fixture
def script() -> SpendScript:
    return SpendScript(max_skew_ms=1, margin_ms=1)


async def test_a_server_that_answers_after_the_deadline_is_heard_once(script: SpendScript) -> None:
    """In a quorum, one server heard twice would be two of three."""
    group = Group(script)
    late, timely = (
        _Heard(script.packed_use(a_use()), deadline, asyncio.get_running_loop().create_future()) for deadline in (1, 9)
    )
    group.add(late)
    group.add(timely)
    batch = Batch(group, _Server())
    batch.close()
    assert batch.deadline == 1
    batch.sends = 1
    batch.command()
    batch.expire(5)
    assert batch.deadline == 9
    batch.expire(6)
    assert batch.take([b"first " + each.packed[2] for each in (late, timely)], 0)
    batch.expire(10)
    batch.fail(UsedListFault.LOST, "the connection broke")
    assert timely.voices == [Spend(FIRST)]
    assert [(voice.fault, voice.token_state) for voice in late.voices if isinstance(voice, UsedListError)] == [
        (UsedListFault.TIMEOUT, TokenState.UNKNOWN)
    ]
    assert len(late.voices) == 1


async def test_a_server_that_lacked_the_script_is_heard_once(script: SpendScript) -> None:
    group, server = Group(script), _Server()
    late, timely = (
        _Heard(script.packed_use(a_use()), deadline, asyncio.get_running_loop().create_future()) for deadline in (1, 9)
    )
    group.add(late)
    group.add(timely)
    batch = Batch(group, server)
    batch.close()
    batch.sends = 1
    batch.command()
    batch.expire(5)
    assert batch.take(hiredis.ReplyError("NOSCRIPT No matching script."), 0)
    batch.expire(10)
    batch.fail(UsedListFault.LOST, "the connection broke")
    assert len(late.voices) == 1
    assert not hasattr(timely, "voices")
    (renewed,) = server.renewed
    renewed.sends = 1
    assert late.packed[2] not in renewed.command()
    assert renewed.take(hiredis.ReplyError("NOSCRIPT No matching script."), 0)
    assert server.renewed == [renewed]
    assert [type(voice) for voice in timely.voices] == [UsedListError]


async def test_who_has_been_told_is_not_sent_again(script: SpendScript) -> None:
    group = Group(script)
    uses = [a_use(), a_use()]
    for use, deadline in zip(uses, (1, 9), strict=True):
        group.add(_Heard(script.packed_use(use), deadline, asyncio.get_running_loop().create_future()))
    batch = Batch(group, _Server())
    batch.close()
    assert all(use.nonce.hex().encode() in batch.command() for use in uses)
    batch.expire(5)
    assert batch.is_wanted()
    assert uses[0].nonce.hex().encode() not in batch.command()
    assert not batch.take([b"first " + uses[0].nonce.hex().encode()], 0)


def test_no_witness_can_add_a_word_to_the_call(script: SpendScript) -> None:
    """Lengths on the wire are counted in bytes, and a witness is any bytes."""
    witness = bytes(range(256))
    use = dataclasses.replace(a_use(), witness=witness)
    assert b"$256\r\n" + witness + b"\r\n" in script.spend([script.packed_use(use)])
