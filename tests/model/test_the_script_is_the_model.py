"""The model speaks of the script that ships: both answer the same calls with the same words, and write the same keys.

The real store's clock cannot be set, so all times are a whole GRAIN apart, and the bounds half of one: how long the
test takes makes no difference.
"""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.ports import Use
from ott_extauthz.stores.redislist.script import SCRIPT, SpendScript
from tests.model.node import Node
from tests.model.script import Call, Rules, Word
from tests.processes import REDIS, VALKEY, Engine, StoreProcess, running

GRAIN: Final = 1_000_000
BOUND: Final = GRAIN // 2
SENT_BY_SERVICE: Final = SpendScript(max_skew_ms=BOUND, margin_ms=BOUND)
ALWAYS, NEVER = GRAIN * 1000, -GRAIN
WORDS: Final = {
    "first": Word.FIRST,
    "used": Word.USED,
    "fenced": Word.FENCED,
    "expired": Word.EXPIRED,
    "clock": Word.CLOCK,
    "replica": Word.REPLICA,
}

GRAINS = st.sampled_from([1, 1, 1, 0, -1])
A_CALL = st.builds(
    Call,
    key=st.integers(0, 1),
    nonce=st.integers(1, 2),
    issued_at=GRAINS,
    keep_until=st.sampled_from([2, 2, -1]),
    caller_now=st.sampled_from([0, 0, 0, 0, 1, -1]),
)
ACTS = st.lists(
    st.one_of(
        st.lists(A_CALL, min_size=1, max_size=1),
        st.lists(A_CALL, min_size=1, max_size=5),
        st.sampled_from(["flush", "demote", "promote"]),
    ),
    max_size=25,
)


@pytest.fixture(scope="module", params=[VALKEY, REDIS], ids=["valkey", "redis"])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    engine: Engine = request.param
    if engine.program is None:
        pytest.skip(engine.why_not)
    with tempfile.TemporaryDirectory() as folder, running(engine, Path(folder) / "data") as store:
        yield from _connected(store)


def _connected(store: StoreProcess) -> Iterator[redis.Redis]:
    with redis.Redis(host="127.0.0.1", port=store.port, protocol=2, decode_responses=True) as client:
        yield client


class _Pair:
    """A store and its model, to which the same is done."""

    def __init__(self, client: redis.Redis, own_write: int) -> None:
        client.replicaof("NO", "ONE")
        client.flushall()
        self.client, self.own_write = client, own_write
        seconds, microseconds = client.time()
        self.start_ms = int(seconds) * 1000 + int(microseconds) // 1000
        self.node = Node(0, Rules(max_skew=BOUND, margin=BOUND, own_write=own_write), count(1))
        self.elsewhere = Node(1, self.node.rules, self.node.ids)

    def do(self, act: list[Call] | str) -> None:
        match act:
            case list():
                self._compare(act)
            case "flush" if self.node.is_primary:
                self.client.flushall()
                self.node.flush()
            case "demote":
                self.client.replicaof("127.0.0.1", "1")
                self.node.source = self.elsewhere
            case "promote" if not self.node.is_primary:
                self.client.replicaof("NO", "ONE")
                self.node.promote()

    def _compare(self, calls: list[Call]) -> None:
        """Make one call of the script of them all: it must do what the model does to one after the other."""
        words = self._words(calls)
        keys = words[3 : 4 + len(calls)]
        fence, model_fence = self.client.get(keys[0]), self.node.keyspace.fence
        answers = [str(answer) for answer in self.client.eval(SCRIPT, len(keys), *words[3:])]
        for call, answer in zip(calls, answers, strict=True):
            caller_now, issued_at, keep_until = _in_grains(call)
            model_answer, _ = self.node.run(Call(call.key, call.nonce, issued_at, keep_until, caller_now), 0)
            assert WORDS[answer.partition(" ")[0]] is model_answer
        assert (self.client.get(keys[0]) != fence) == (self.node.keyspace.fence != model_fence)
        for call, key in zip(calls, keys[1:], strict=True):
            assert bool(self.client.exists(key)) == (call.key in self.node.keyspace.used)

    def _words(self, calls: list[Call]) -> list[str]:
        """Return the words of the service's own call, but for how long a write counts as one's own."""
        uses = [SENT_BY_SERVICE.packed_use(self._use(call)) for call in calls]
        words = SENT_BY_SERVICE.spend(uses).decode().split("\r\n")[2::2]
        words[4 + len(calls) + 3] = str(self.own_write)
        return words

    def _use(self, call: Call) -> Use:
        now_ms, issued_at_ms, keep_until_ms = (self.start_ms + at for at in _in_grains(call))
        return Use(
            key=bytes([call.key] * 32),
            nonce=bytes([call.nonce] * 32),
            issued_at_ms=issued_at_ms,
            keep_until_ms=keep_until_ms,
            now_ms=now_ms,
            witness=b"witness",
        )


def _in_grains(call: Call) -> tuple[int, int, int]:
    return call.caller_now * GRAIN, call.issued_at * GRAIN, call.keep_until * GRAIN


@settings(max_examples=120, derandomize=True, deadline=None, database=None)
@given(acts=ACTS, own_write=st.sampled_from([ALWAYS, NEVER]))
def test_the_script_and_the_model_agree_on_every_call(
    client: redis.Redis, acts: list[list[Call] | str], own_write: int
) -> None:
    pair = _Pair(client, own_write)
    for act in acts:
        pair.do(act)
