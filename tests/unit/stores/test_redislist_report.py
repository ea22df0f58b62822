"""What an operator reads of a store, and what the store's own errors mean for a token."""

import hiredis
import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import FirstUse, Spend, SpendOutcome, UsedListError, UsedListFault
from ott_extauthz.stores.redislist.answers import Failed, Look, Verdict, look_from, replicas_from, spend_from
from ott_extauthz.stores.redislist.refusals import advice, outcome_of
from ott_extauthz.stores.redislist.report import Server, health_from, server_from
from tests.fakes.clock import START_MS
from tests.used_lists import a_use

REDIS = Server("Redis 7.0.15", 7)


def _health(verdict: Verdict, *, ahead_ms: int = 0, whole_ms: int = 0) -> tuple[bool, str]:
    look = Look(verdict, START_MS + ahead_ms, START_MS + ahead_ms - whole_ms)
    health = health_from(look, server=REDIS, now_ms=START_MS, max_skew_ms=500, margin_ms=2000)
    return health.ready, health.detail


@pytest.mark.parametrize(
    ("info", "name", "is_too_old"),
    [
        (b"# Server\r\nredis_version:6.2.14\r\n", "Redis 6.2.14", True),
        (b"# Server\r\nredis_version:7.0.15\r\n", "Redis 7.0.15", False),
        (b"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n", "Valkey 9.1.2", False),
        (b"# Server\r\nredis_version:10.1.0\r\n", "Redis 10.1.0", False),
    ],
)
def test_a_servers_age_is_known(info: bytes, name: str, *, is_too_old: bool) -> None:
    server = server_from(info)
    assert server is not None
    assert (server.name, server.is_too_old) == (name, is_too_old)


@pytest.mark.parametrize("reply", [None, 7, b"", b"# Server\r\n", b"redis_version:\r\n", hiredis.ReplyError("ERR no")])
def test_what_does_not_say_its_version_is_no_server(reply: object) -> None:
    assert server_from(reply) is None


def test_a_whole_store_says_since_when() -> None:
    assert _health(Verdict.WHOLE, whole_ms=61_000) == (True, "Redis 7.0.15, whole for 61 s")
    ready, detail = _health(Verdict.WHOLE, whole_ms=700)
    assert ready
    assert "store_epoch" in detail


@pytest.mark.parametrize(("ahead_ms", "words"), [(700, "700 ms ahead of ours"), (-900, "900 ms behind ours")])
def test_a_clock_that_is_off_names_what_to_mend(ahead_ms: int, words: str) -> None:
    ready, detail = _health(Verdict.CLOCK, ahead_ms=ahead_ms)
    assert not ready
    assert words in detail
    assert "clock.max_skew" in detail


@pytest.mark.parametrize("verdict", [Verdict.REPLICA, Verdict.EVICTS, Verdict.HIDDEN])
def test_every_other_trouble_is_told(verdict: Verdict) -> None:
    ready, detail = _health(verdict)
    assert not ready
    assert detail.startswith("Redis 7.0.15: it")


@pytest.mark.parametrize("code", ["READONLY", "MASTERDOWN"])
def test_a_replicas_own_words_mean_not_primary(code: str) -> None:
    assert outcome_of(hiredis.ReplyError(f"{code} whatever"), unseen=0) is SpendOutcome.NOT_PRIMARY


@pytest.mark.parametrize(
    ("text", "unseen", "state"),
    [
        ("OOM command not allowed", 0, TokenState.UNSPENT),
        ("OOM command not allowed", 1, TokenState.UNKNOWN),
        ("LOADING Redis is loading", 0, TokenState.UNSPENT),
        ("MOVED 0 1.2.3.4:6379", 0, TokenState.UNSPENT),
        ("ERR upstream timed out", 0, TokenState.UNKNOWN),
    ],
)
def test_only_an_error_that_comes_before_the_write_leaves_a_token_unspent(
    text: str, unseen: int, state: TokenState
) -> None:
    with pytest.raises(UsedListError) as caught:
        outcome_of(hiredis.ReplyError(text), unseen=unseen)
    assert (caught.value.fault, caught.value.token_state) == (UsedListFault.REPLY, state)


def test_an_error_is_told_in_one_bounded_line() -> None:
    told = advice(hiredis.ReplyError("ERR " + "long\r\nand " * 1000))
    assert "\n" not in told
    assert len(told) < 250


@pytest.mark.parametrize(
    "reply", [None, 1, b"", b"first", [b"first"], b"perhaps NONCE", b"first ", b"first 00", "text"]
)
def test_an_answer_that_is_not_the_scripts_to_this_attempt_is_none(reply: object) -> None:
    use = a_use()
    reply = reply.replace(b"NONCE", use.nonce.hex().encode()) if isinstance(reply, bytes) else reply
    assert spend_from(reply, use.nonce.hex().encode()) is None


@pytest.mark.parametrize(("word", "is_written"), [(b"failed", False), (b"torn", True)])
def test_an_error_where_the_use_would_be_written_is_no_outcome(word: bytes, *, is_written: bool) -> None:
    nonce = a_use().nonce.hex().encode()
    failed = spend_from(word + b" " + nonce + b" OOM command not allowed", nonce)
    assert isinstance(failed, Failed)
    assert failed.is_written is is_written
    assert spend_from(word + b" 00 OOM command not allowed", nonce) is None


@pytest.mark.parametrize(
    ("rest", "first"),
    [
        (b"", None),
        (b" 1790000000000:c=rgs;r=a b", FirstUse(1_790_000_000_000, b"c=rgs;r=a b")),
        (b" 5::\r\n:", FirstUse(5, b":\r\n:")),
        (b" rubbish", FirstUse(0, b"")),
    ],
)
def test_a_second_use_tells_of_the_first(rest: bytes, first: FirstUse | None) -> None:
    use = a_use()
    reply = b"used " + use.nonce.hex().encode() + rest
    assert spend_from(reply, use.nonce.hex().encode()) == Spend(SpendOutcome.ALREADY_USED, first)


@pytest.mark.parametrize(
    ("reply", "replicas"),
    [(b"first 00 2", 2), (b"first 00 0", 0), (b"first 00 ", None), (b"first 00", None), (b"first 00 -1", None)],
)
def test_a_first_use_tells_how_many_replicas_there_were(reply: object, replicas: int | None) -> None:
    assert replicas_from(reply) == replicas


def test_what_is_no_reply_tells_of_no_replicas() -> None:
    assert replicas_from(None) is None


@pytest.mark.parametrize(
    "reply", [None, b"whole", [], [b"whole"], [b"first", 1, 2], [b"whole", b"1", 2], [b"whole", 1, 2, 3]]
)
def test_an_answer_that_is_no_look_is_none(reply: object) -> None:
    assert look_from(reply) is None
