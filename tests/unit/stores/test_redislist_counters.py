"""Counters in Redis and Valkey: the script counts as ``counting.py`` does, once, and never on what it cannot read."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import LARGEST_COUNT, Charge, Spend, SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.stores.counting import Counters, counter_name
from ott_extauthz.stores.redislist.answers import spend_from
from ott_extauthz.stores.redislist.cluster import BUCKETS, slot_of
from ott_extauthz.stores.redislist.quorum import QuorumUsedList
from ott_extauthz.stores.redislist.script import SCRIPT, SpendScript
from tests.charging import TIMEOUT, budget, charging, rate
from tests.deployments import independent
from tests.fakes.clock import SkewedClock
from tests.processes import VALKEY, StoreProcess
from tests.proxies import DropProxy
from tests.used_lists import FENCED, FIRST, MARGIN_MS, USED, Outcomes, listed, settings_for

LIMITED, EXHAUSTED = SpendOutcome.RATE_LIMITED, SpendOutcome.BUDGET_EXHAUSTED
SENT_BY_SERVICE = SpendScript(max_skew_ms=10**9, margin_ms=0)


def fresh_ms() -> int:
    return SkewedClock().now_ms() + MARGIN_MS + 1


def a_use_of(*charges: Charge, account: bytes = b"a" * 32) -> Use:
    return charging(SkewedClock().now_ms(), fresh_ms() + 60_000, *charges, account=account)


async def spent(used_list: Outcomes, use: Use) -> SpendOutcome:
    return await used_list.mark_used(dataclasses.replace(use, now_ms=SkewedClock().now_ms()), timeout=TIMEOUT)


@pytest.fixture
async def used_list(store: StoreProcess) -> AsyncIterator[Outcomes]:
    async with listed(store.url) as started:
        yield started


def keys(store: StoreProcess) -> set[str]:
    return set(store.command("KEYS", "ott:*"))


# --- The script and the rules in Python answer alike, at any instant.

KEYS = st.sampled_from([b"1", b"2"])
RATES = st.builds(rate, st.sampled_from([1, 2, 3, 7, 2000, 2**40]), st.sampled_from([1, 10, 1000, 2**40]), key=KEYS)
LIMITS = st.sampled_from([0, 1, 5, LARGEST_COUNT - 1, LARGEST_COUNT])
COSTS = st.sampled_from([0, 1, 2, 5, 6, LARGEST_COUNT - 5, LARGEST_COUNT - 1, LARGEST_COUNT, LARGEST_COUNT + 1, 2**64])
START_MS = 4_000_000_000_000  # in the store's far future, so that nothing goes by itself


def _budget(since: int, limit: int, cost: int, key: bytes, until: int) -> Charge:
    return budget(START_MS + since, limit, cost, key=key, until_ms=START_MS + until)


BUDGETS = st.builds(_budget, st.sampled_from([-1, 0, 1, 1, 1]), LIMITS, COSTS, KEYS, st.sampled_from([5, 10**6, 10**6]))
USES = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 2, 3, 333, 334, 1000]), st.lists(st.one_of(RATES, BUDGETS), max_size=4)),
    max_size=30,
)


def _at(now_ms: int) -> str:
    """Return the script with a clock that stands still."""
    fixed = SCRIPT.replace("redis.call('TIME')", f"{{{now_ms // 1000}, {now_ms % 1000 * 1000}}}")
    assert fixed != SCRIPT
    return fixed


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(uses=USES)
def test_the_script_counts_as_the_rules_do(store: StoreProcess, uses: list[tuple[int, list[Charge]]]) -> None:
    held: dict[bytes, object] = {}
    now_ms = START_MS
    with redis.Redis(port=store.port, protocol=2) as client:
        client.flushall()
        for gap, charges in [(0, []), *uses]:  # the first use sets the fence at START_MS
            now_ms += gap
            use = charging(now_ms, START_MS + 10**9, *charges)
            words = SENT_BY_SERVICE.spend([SENT_BY_SERVICE.packed_use(use)]).decode().split("\r\n")[2::2]
            [answer] = client.eval(_at(now_ms), int(words[2]), *words[3:])
            counters = Counters(held=held, now_ms=now_ms, fence_ms=START_MS, ended_ms=now_ms)  # type: ignore[arg-type]
            expected = counters.take(charges) or Spend(FIRST)
            assert spend_from(answer, use.nonce.hex().encode()) == expected
            for charge in charges:
                kind, key = counter_name(charge)[:1].decode(), charge.key.hex()
                text = client.get(f"ott:{{0}}:{kind}:{key}")
                kept = counters.held.get(counter_name(charge))
                assert text == (None if kept is None else f"{kept.level}:{kept.part}".encode())


# --- Once, whatever becomes of replies.


async def test_a_lost_reply_and_the_resend_charge_once(store: StoreProcess) -> None:
    async with DropProxy(store.port) as proxy, listed(settings_for(proxy.url)) as used_list:
        charges = (budget(fresh_ms(), 2), rate(2, 3_600_000))
        proxy.drop_replies = 1
        assert await spent(used_list, a_use_of(*charges)) is FIRST
        assert proxy.drop_replies == 0
        assert [await spent(used_list, a_use_of(*charges)) for _ in range(2)] == [FIRST, EXHAUSTED]


async def test_a_refusal_after_a_lost_reply_leaves_the_tokens_state_unknown(store: StoreProcess) -> None:
    """The first send was perhaps carried out, and its own write is perhaps not its own any more."""
    async with DropProxy(store.port) as proxy, listed(settings_for(proxy.url)) as used_list:
        full = budget(fresh_ms(), 0)
        proxy.drop_replies = 1
        with pytest.raises(UsedListError) as caught:
            await spent(used_list, a_use_of(full))
        assert caught.value.token_state is TokenState.UNKNOWN


async def test_neighbours_in_one_call_are_charged_one_after_the_other(used_list: Outcomes, store: StoreProcess) -> None:
    charge = budget(fresh_ms(), 3)
    uses = [a_use_of(charge) if number % 2 else a_use_of() for number in range(10)]
    store.command("CONFIG", "RESETSTAT")
    outcomes = await asyncio.gather(*(spent(used_list, use) for use in uses))
    assert outcomes == [FIRST, FIRST] * 3 + [FIRST, EXHAUSTED] * 2
    assert store.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


# --- What the script cannot read, or cannot write, lets nobody through.


async def test_a_refused_use_leaves_no_key_behind(used_list: Outcomes, store: StoreProcess) -> None:
    before = keys(store)
    roomy, full = budget(fresh_ms(), 5, key=b"1"), budget(fresh_ms(), 0, key=b"2")
    assert await spent(used_list, a_use_of(roomy, full)) is EXHAUSTED
    assert keys(store) == before


@pytest.mark.parametrize("rubbish", ["", "rubbish", ":", "nan:nan", "inf:0", "-:1"])
async def test_a_counter_that_holds_rubbish_lets_nobody_through_and_its_neighbours_pass(
    used_list: Outcomes, store: StoreProcess, rubbish: str
) -> None:
    for kind in ("b", "r"):
        store.command("SET", f"ott:{{0}}:{kind}:{b'k'.hex()}", rubbish)
    bad = [a_use_of(budget(fresh_ms(), 5, key=b"k")), a_use_of(rate(5, 1000, key=b"k"))]
    answers = await asyncio.gather(*(spent(used_list, use) for use in [*bad, a_use_of()]), return_exceptions=True)
    for answer in answers[:2]:
        assert isinstance(answer, UsedListError)
        assert answer.token_state is TokenState.UNSPENT
    assert answers[2] is FIRST


async def test_a_counter_of_another_type_fails_and_its_neighbours_pass(
    used_list: Outcomes, store: StoreProcess
) -> None:
    store.command("LPUSH", f"ott:{{0}}:b:{b'k'.hex()}", "x")
    bad, good = a_use_of(budget(fresh_ms(), 5, key=b"k")), a_use_of(budget(fresh_ms(), 5, key=b"o"))
    answers = await asyncio.gather(spent(used_list, bad), spent(used_list, good), return_exceptions=True)
    assert isinstance(answers[0], UsedListError)
    assert answers[0].token_state is TokenState.UNSPENT
    assert answers[1] is FIRST


async def test_a_full_store_charges_nobody(used_list: Outcomes, store: StoreProcess) -> None:
    charge = budget(fresh_ms(), 1)
    assert await spent(used_list, a_use_of()) is FIRST
    store.command("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(UsedListError):
            await spent(used_list, a_use_of(charge))
    finally:
        store.command("CONFIG", "SET", "maxmemory", "0")
    assert await spent(used_list, a_use_of(charge)) is FIRST


async def test_counters_go_by_themselves(used_list: Outcomes, store: StoreProcess) -> None:
    until = SkewedClock().now_ms() + 800
    assert await spent(used_list, a_use_of(rate(2, 600), budget(fresh_ms(), 2, until_ms=until))) is FIRST
    counters = {key for key in keys(store) if ":r:" in key or ":b:" in key}
    assert len(counters) == 2
    end = time.monotonic() + 60
    while keys(store) & counters:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "answer", [b"limited 00 ", b"limited 00 x", b"limited 00 nan", b"limited 00 -5", b"limited 00"]
)
def test_a_wait_that_is_no_number_is_no_answer(answer: bytes) -> None:
    assert spend_from(answer, b"00") is None


# --- Where the counters are.


def test_every_key_of_a_use_shares_its_accounts_slot() -> None:
    script = SpendScript(max_skew_ms=1, margin_ms=1, bucket=BUCKETS[7])
    use = a_use_of(budget(fresh_ms(), 1), rate(1, 1))
    words = script.spend([script.packed_use(use)]).decode().split("\r\n")[2::2]
    names = words[3 : 3 + int(words[2])]
    assert len(names) == 4
    assert {name[name.index("{") : name.index("}") + 1] for name in names} == {BUCKETS[7]}
    assert slot_of(BUCKETS[7]) == slot_of(BUCKETS[7].strip("{}"))


async def test_a_quorum_counts_at_one_home_and_refuses_its_accounts_without_it(tmp_path: Path) -> None:
    with independent(VALKEY, tmp_path) as voters:
        async with listed(settings_for(voters.url, timeout="400ms")) as used_list:
            assert isinstance(used_list.used_list, QuorumUsedList)
            charge = budget(fresh_ms(), 3)
            accounts = [bytes(31) + bytes([number]) for number in range(3)]
            outcomes = [await spent(used_list, a_use_of(charge, account=accounts[0])) for _ in range(4)]
            assert outcomes == [FIRST, FIRST, FIRST, EXHAUSTED]
            homes = [
                number for number, server in enumerate(voters.servers) if any(":b:" in key for key in keys(server))
            ]
            assert homes == [0]
            voters.servers[0].kill()
            refused = a_use_of(charge, account=accounts[0])
            with pytest.raises(UsedListError):
                await spent(used_list, refused)
            assert await spent(used_list, dataclasses.replace(refused, charges=())) is FIRST  # written nowhere
            for account in accounts[1:]:
                assert await spent(used_list, a_use_of(budget(fresh_ms(), 1), account=account)) is FIRST
            voters.servers[0].start()
            await used_list.health()
            assert await spent(used_list, a_use_of(charge, account=accounts[0])) is FENCED


async def test_a_home_alone_lets_nobody_through(tmp_path: Path) -> None:
    with independent(VALKEY, tmp_path) as voters:
        async with listed(settings_for(voters.url, timeout="400ms")) as used_list:
            for server in voters.servers[1:]:
                server.kill()
            with pytest.raises(UsedListError) as caught:
                await spent(used_list, a_use_of(rate(9, 1000), account=bytes(32)))
            assert caught.value.token_state is TokenState.UNKNOWN


async def test_a_token_that_others_know_is_a_replay_though_its_home_forgot(tmp_path: Path) -> None:
    with independent(VALKEY, tmp_path) as voters:
        async with listed(settings_for(voters.url)) as used_list:
            use = dataclasses.replace(a_use_of(account=bytes(32)), issued_at_ms=fresh_ms() + 120_000)
            assert await spent(used_list, use) is FIRST
            voters.servers[0].command("DEL", *[key for key in keys(voters.servers[0]) if "epoch" not in key])
            replay = dataclasses.replace(use, nonce=b"other nonce", charges=(rate(9, 1000),))
            assert await spent(used_list, replay) is USED


class _TooLate:
    """The others of a quorum, when the home took all the time there was."""

    def begin(self, use: Use, deadline: float) -> object:
        raise UsedListError(UsedListFault.TIMEOUT, TokenState.UNSPENT, "no time was left to send")


async def test_a_home_that_took_all_the_time_has_written_and_nobody_calls_the_token_unspent(tmp_path: Path) -> None:
    with independent(VALKEY, tmp_path) as voters:
        async with listed(settings_for(voters.url)) as used_list:
            assert isinstance(used_list.used_list, QuorumUsedList)
            used_list.used_list._elsewhere = [_TooLate()] * 3  # type: ignore[list-item]
            with pytest.raises(UsedListError) as caught:
                await spent(used_list, a_use_of(rate(9, 1000)))
            assert (caught.value.fault, caught.value.token_state) == (UsedListFault.TIMEOUT, TokenState.UNKNOWN)
