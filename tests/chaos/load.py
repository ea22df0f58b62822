"""``python -m tests.chaos.load SPEC``: clients that mint, keep, replay and mint again, until SIGTERM.

They come in through doors.  A ``check`` door is a Check server's socket, asked as Envoy asks it.  A ``list`` door is
the product's used-list in this process, for volume: what a Check server does once a token is verified.  Every door
names the configuration of one server, so that both kinds see the same store the same way and with the same clock.
"""

import asyncio
import heapq
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, Protocol

import grpc.aio
import msgspec
import uvloop
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from ott_extauthz.bootstrap.signals import stop_on_signals
from ott_extauthz.ports import SpendOutcome, Use, UsedList, UsedListError
from ott_extauthz.settings import load
from tests.chaos.clocks import MovableClock, system_ms
from tests.chaos.dice import Dice
from tests.chaos.ledger import Attempt, Kind, Ledger, Outcome
from tests.chaos.sabotage import commit
from tests.chaos.tokens import Mint, Token, check_request

CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
PATIENCE: Final = 3.0
"""How long a client waits for an answer: longer than two sends to the store may take, as Envoy's 250 ms are by default,
else the Check rightly refuses to begin a spend that may not end in time."""

TICK: Final = 0.004
EXP_LEEWAY_MS: Final = 2000
KEEP_UNTIL_MS: Final = 65_000
"""As the Check has it: the leeway, the skew and a margin after a token's end."""

_SPENDS: Final = {
    SpendOutcome.FIRST_USE: Outcome.ACCEPTED,
    SpendOutcome.ALREADY_USED: Outcome.REPLAYED,
    SpendOutcome.FENCED: Outcome.EPOCH,
    SpendOutcome.EXPIRED: Outcome.EXPIRED,
    SpendOutcome.CLOCK_DISAGREES: Outcome.CLOCK,
}
_REASONS: Final = {
    "token_replayed": Outcome.REPLAYED,
    "store_epoch": Outcome.EPOCH,
    "store_clock": Outcome.CLOCK,
    "token_expired": Outcome.EXPIRED,
    "store_unavailable": Outcome.UNAVAILABLE,
    "store_not_primary": Outcome.UNAVAILABLE,
    "store_unsafe": Outcome.UNAVAILABLE,
    "deadline_too_near": Outcome.UNAVAILABLE,
}


class DoorSpec(msgspec.Struct):
    """One way in.  ``socket`` is the Check server's; without one it is the used-list itself."""

    config: str
    clock: str
    socket: str | None = None


class LoadSpec(msgspec.Struct):
    """What one load process does; rates are a second."""

    name: str
    doors: list[DoorSpec]
    mint_key: str
    seed: int
    ledger: str
    fresh: float
    replays: float
    most_in_flight: int
    sabotages: list[str]


class Door(Protocol):
    """One way to have a token accepted."""

    async def attempt(self, token: Token) -> Outcome: ...

    async def close(self) -> None: ...


class CheckDoor:
    """Through a Check server, over its socket."""

    def __init__(self, socket: str) -> None:
        options = [(f"grpc.{name}_reconnect_backoff_ms", 50) for name in ("initial", "min", "max")]
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}", options=options)
        self._call: grpc.aio.UnaryUnaryMultiCallable[bytes, CheckResponse] = self._channel.unary_unary(
            CHECK, response_deserializer=CheckResponse.FromString
        )

    async def attempt(self, token: Token) -> Outcome:
        try:
            response = await self._call(check_request(token), timeout=PATIENCE)
        except grpc.aio.AioRpcError:
            return Outcome.NO_ANSWER
        if response.status.code == 0:
            return Outcome.ACCEPTED
        headers = {option.header.key: option.header.value for option in response.denied_response.headers}
        return _REASONS.get(headers.get("x-ott-reason", ""), Outcome.OTHER)

    async def close(self) -> None:
        await self._channel.close()


class ListDoor:
    """Straight to the used-list; refuses what the verifier would have refused, by the same clock."""

    def __init__(self, used_list: UsedList, clock: MovableClock) -> None:
        self._used_list, self._clock = used_list, clock

    async def attempt(self, token: Token) -> Outcome:
        now = self._clock.now_ms()
        if now >= token.expires_at_ms + EXP_LEEWAY_MS:
            return Outcome.EXPIRED
        use = Use(
            key=token.key,
            nonce=os.urandom(16),
            issued_at_ms=token.issued_at_ms,
            keep_until_ms=token.expires_at_ms + KEEP_UNTIL_MS,
            now_ms=now,
            account=token.account,
        )
        try:
            spend = await self._used_list.mark_used(use, timeout=PATIENCE)
        except UsedListError:
            return Outcome.UNAVAILABLE
        return _SPENDS.get(spend.outcome, Outcome.UNAVAILABLE)

    async def close(self) -> None:
        await self._used_list.close()


async def opened(spec: DoorSpec) -> Door:
    if spec.socket is not None:
        return CheckDoor(spec.socket)
    from ott_extauthz.bootstrap.used_lists import new_used_list  # noqa: PLC0415 - after the sabotage

    clock = MovableClock(Path(spec.clock))
    used_list = new_used_list(load(Path(spec.config), {}), clock=clock, on_change=lambda _: None)
    await used_list.start()
    return ListDoor(used_list, clock)


class Clients:
    """Everybody who holds tokens, in one process."""

    def __init__(self, spec: LoadSpec, doors: list[Door]) -> None:
        self._spec, self._doors = spec, doors
        self._dice = Dice(spec.seed)
        signs = any(door.socket is not None for door in spec.doors)
        self._mint = Mint(bytes.fromhex(spec.mint_key), spec.name, signs=signs)
        self._ledger = Ledger(Path(spec.ledger))
        self._held: deque[Token] = deque()
        self._kept: list[tuple[float, int, Token]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._firsts = self._replays = 0

    async def run(self, until: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        last, due_fresh, due_replays = loop.time(), 0.0, 0.0
        while not until.is_set():
            now = loop.time()
            due_fresh = min(due_fresh + (now - last) * self._spec.fresh, 8)
            due_replays = min(due_replays + (now - last) * self._spec.replays, 4 * self._spec.most_in_flight)
            last = now
            while due_fresh >= 1:
                due_fresh -= 1
                self._mint_one(now)
            while self._kept and self._kept[0][0] <= now:
                self._use(heapq.heappop(self._kept)[2], Kind.KEPT)
            while due_replays >= 1 and self._held and self._replays < self._spec.most_in_flight:
                due_replays -= 1
                self._replay()
            await asyncio.sleep(TICK)
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._ledger.close()

    def _mint_one(self, now: float) -> None:
        if self._firsts >= self._spec.most_in_flight:
            return
        token = self._mint.token(3000 + self._dice.below(57_000))
        fate = self._dice.below(100)
        if fate < 75:
            self._use(token, Kind.FRESH)
        elif fate < 88:
            for _ in range(2 + self._dice.below(3)):
                self._use(token, Kind.RACE)
        else:
            heapq.heappush(self._kept, (now + self._dice.between(0.5, 20), token.number, token))

    def _replay(self) -> None:
        """Go round all that is held, so that after every fault each token is soon tried; else take a recent one."""
        if self._dice.below(4) == 0:
            token = self._held[-1 - self._dice.below(min(64, len(self._held)))]
        else:
            token = self._held.popleft()
            if token.expires_at_ms + EXP_LEEWAY_MS + 1000 < system_ms():
                return
            self._held.append(token)
        for _ in range(2 if self._dice.below(10) == 0 else 1):
            self._use(token, Kind.REPLAY)

    def _use(self, token: Token, kind: Kind) -> None:
        task = asyncio.get_running_loop().create_task(self._attempt(token, kind))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _attempt(self, token: Token, kind: Kind) -> None:
        number = self._dice.below(len(self._doors))
        self._count(kind, 1)
        start = time.monotonic()
        outcome = await self._doors[number].attempt(token)
        self._count(kind, -1)
        self._ledger.write(Attempt(start, time.monotonic(), token.number, outcome, kind, number))
        if kind is not Kind.REPLAY and (not self._held or self._held[-1] is not token):
            self._held.append(token)

    def _count(self, kind: Kind, step: int) -> None:
        if kind is Kind.REPLAY:
            self._replays += step
        else:
            self._firsts += step


async def _run(spec: LoadSpec) -> None:
    until = stop_on_signals()
    doors = [await opened(door) for door in spec.doors]
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await Clients(spec, doors).run(until)
    for door in doors:
        await door.close()


def main() -> None:
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=LoadSpec)
    commit(spec.sabotages)
    uvloop.run(_run(spec))


if __name__ == "__main__":
    main()
