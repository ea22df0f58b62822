"""Where does the next call's token come from?  From a pool for each kind, filled by the batch before it runs dry.

- No token leaves it twice, or with less than a third of its life left (:mod:`~ott_extauthz.client.shelf`).
- One refill of a kind is under way at a time, however many callers wait; whoever waits is served in order.
- A refill that fails fails everybody who waits for it.  Until its pause is over nobody asks again: callers are told the
  same at once, so that an issuer in trouble is not called by all of them.
- Tokens for one request are nobody else's, and are minted one by one.
- What was asked for before :meth:`TokenPool.discard` is never handed out after it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

from ott_extauthz.client.shelf import Instant, Shelf
from ott_extauthz.ports import Clock, MintedToken, TokenSource, TokenSourceError, TokenWanted

LARGEST_BATCH: Final = 256  # what the issuer mints in one call
MOST_KEPT: Final = 1024
MOST_KINDS: Final = 256
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 2.0

_Waiting = asyncio.Future[MintedToken]


class TokenPool:
    """Hands out fresh one-time tokens of a source; for one event loop.

    ``most_kept`` bounds the tokens of one kind that are ready and unused, ``most_kinds`` the kinds remembered.
    """

    def __init__(
        self, source: TokenSource, clock: Clock, *, most_kept: int = MOST_KEPT, most_kinds: int = MOST_KINDS
    ) -> None:
        self._source = source
        self._clock = clock
        self._most_kept = most_kept
        self._most_kinds = most_kinds
        self._kinds: OrderedDict[TokenWanted, _Kind] = OrderedDict()
        self._is_closed = False

    async def take(self, wanted: TokenWanted) -> MintedToken:
        """Return a token that nobody was given before.

        Raises:
            TokenSourceError: there is none.
        """
        if self._is_closed:
            raise _closed()
        if wanted.is_for_one_request:
            return _as_ordered(await self._source.mint(wanted, 1), 1)[0]
        return await self._kind(wanted).take()

    def discard(self, wanted: TokenWanted | None = None) -> None:
        """Forget the tokens of one kind, or of all: a store's new epoch or a new certificate makes them worthless."""
        for kind in list(self._kinds.values()) if wanted is None else filter(None, [self._kinds.get(wanted)]):
            kind.discard()

    def ready(self, wanted: TokenWanted) -> int:
        """Return how many tokens of a kind are kept, for metrics."""
        kind = self._kinds.get(wanted)
        return 0 if kind is None else len(kind.shelf)

    async def aclose(self) -> None:
        """Forget everything; whoever waits, and whoever comes later, is told so."""
        self._is_closed = True
        for kind in self._kinds.values():
            await kind.close()
        self._kinds.clear()

    def _kind(self, wanted: TokenWanted) -> "_Kind":
        kind = self._kinds.get(wanted)
        if kind is None:
            self._make_room()
            kind = self._kinds[wanted] = _Kind(wanted, self._source, self._clock, Shelf(most=self._most_kept))
        self._kinds.move_to_end(wanted)
        return kind

    def _make_room(self) -> None:
        while len(self._kinds) >= self._most_kinds:
            idlest = next((wanted for wanted, kind in self._kinds.items() if not kind.is_busy), None)
            if idlest is None:
                return
            del self._kinds[idlest]


class _Kind:
    """One shelf, whoever waits before it, and its refill."""

    def __init__(self, wanted: TokenWanted, source: TokenSource, clock: Clock, shelf: Shelf) -> None:
        self.shelf = shelf
        self._wanted = wanted
        self._source = source
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._refill: asyncio.Task[None] | None = None
        self._epoch = 0
        self._fault: TokenSourceError | None = None
        self._pause_seconds = 0.0
        self._paused_until = 0.0

    @property
    def is_busy(self) -> bool:
        return self._refill is not None or bool(self._waiting)

    async def take(self) -> MintedToken:
        now = Instant.of(self._clock)
        self.shelf.wanted_at(now)
        token = None if self._waiting else self.shelf.take(now)
        if token is not None:
            self._refill_if_low(now)
            return token
        if self._fault is not None and now.seconds < self._paused_until:
            raise _same(self._fault)
        waiting: _Waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._refill_if_low(now)
        return await waiting

    def discard(self) -> None:
        self._epoch += 1
        self.shelf.clear()

    async def close(self) -> None:
        self.discard()
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait([self._refill])
        self._fail(_closed())

    def _refill_if_low(self, now: Instant) -> None:
        if self._refill is None and self._missing(now) and now.seconds >= self._paused_until:
            # A task: it starts after all who come in this very turn of the loop have been counted.
            self._refill = asyncio.create_task(self._fill(), name="ott token refill")

    async def _fill(self) -> None:
        try:
            while count := min(self._missing(Instant.of(self._clock)), LARGEST_BATCH):
                await self._mint(count)
                self._fault, self._pause_seconds = None, 0.0
        except TokenSourceError as error:
            self._pause(error)
        except Exception as error:  # a fault of the source's own
            self._fail(error)
            raise
        finally:
            self._refill = None  # here and not in a callback: whoever comes in between would wait for nobody

    async def _mint(self, count: int) -> None:
        asked_at, epoch = Instant.of(self._clock), self._epoch
        tokens = _as_ordered(await self._source.mint(self._wanted, count), count)
        if epoch == self._epoch:  # else: discarded while they were on their way
            self.shelf.put(tokens, asked_at)
            self._serve()
            self.shelf.trim()

    def _missing(self, now: Instant) -> int:
        self._waiting = deque(waiting for waiting in self._waiting if not waiting.done())  # they were cancelled
        return len(self._waiting) + self.shelf.missing(now)

    def _serve(self) -> None:
        """Hand tokens to who waits.

        Raises:
            TokenSourceError: they were too old when they came.
        """
        now, served = Instant.of(self._clock), 0
        while self._waiting:
            if self._waiting[0].done():  # cancelled
                self._waiting.popleft()
                continue
            token = self.shelf.take(now)
            if token is None:
                break
            self._waiting.popleft().set_result(token)
            served += 1
        if self._waiting and not served:
            raise TokenSourceError("the tokens came with less than a third of their life left", is_lasting=False)

    def _pause(self, error: TokenSourceError) -> None:
        self._fault = error
        longer = max(_FIRST_PAUSE_SECONDS, min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS))
        self._pause_seconds = _LONGEST_PAUSE_SECONDS if error.is_lasting else longer
        self._paused_until = self._clock.monotonic() + self._pause_seconds
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            if not each.done():
                each.set_exception(_same(error) if isinstance(error, TokenSourceError) else error)


def _as_ordered(tokens: Sequence[MintedToken], count: int) -> Sequence[MintedToken]:
    """Refuse what was not ordered; a token that comes twice would be handed out twice."""
    if len(tokens) != count or len({token.text for token in tokens}) != count:
        raise TokenSourceError("the issuer did not mint what was ordered", is_lasting=False)
    return tokens


def _same(error: TokenSourceError) -> TokenSourceError:
    """Return another one: raised in many tasks, one exception would gather all their tracebacks."""
    return TokenSourceError(str(error), is_lasting=error.is_lasting)


def _closed() -> TokenSourceError:
    return TokenSourceError("the pool is closed", is_lasting=True)
