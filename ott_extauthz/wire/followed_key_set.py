"""Who keeps a fetched key set up to date?  One task for each: it fetches, judges, and puts in force, or leaves.

- What is in force stays whatever the issuer answers, until it has been out of reach for too long.
- A set is taken as a whole: a private key in it, an HTML page, an empty set change nothing, and are told.
- At most one fetch is under way: the task itself makes them, one after the other.
- Who met an unknown key may wait for the fetch that is under way, or about to begin; for a moment, and not in a crowd.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ott_extauthz.authn.followed_keys import Arrival, FollowedKeys
from ott_extauthz.authn.jwks import KeySetError, issuer_from
from ott_extauthz.authn.key_set_schedule import KeySetSchedule
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.documents.problems import Problem
from ott_extauthz.ports import Clock
from ott_extauthz.reload.looks import Look
from ott_extauthz.reload.source import Failure, InForce, Kind, ReloadListener, Result
from ott_extauthz.wire.key_set_http import Fetched, FetchError, KeySetSource

LONGEST_WAIT_SECONDS: Final = 1.0
"""Nobody waits longer for a key set: an issuer that is there answers within a fraction of it."""

MOST_WAITING: Final = 64
"""Whoever comes beyond these is refused at once: a flood of made-up keys must not pile up requests here."""

OnFetched = Callable[[str, float, Result], None]
"""Is told whose keys were asked for, how many seconds that and judging them took, and what came of it."""

_NOTHING_YET = Look((), b"", is_ended=True)


def unseen(issuer: str, seconds: float, result: Result) -> None:
    """Take no note of a fetch: where nothing is traced."""


class FollowedKeySet:
    """An issuer's keys, fetched in the background.

    ``issuer`` stays one object for as long as this lives, and its keys are always those in force: it goes into any
    mapping of trusted issuers, once.  ``kind``, ``name`` and ``in_force`` are what is shown of it.
    """

    kind = Kind.KEY_SET

    def __init__(  # noqa: PLR0913 - what it follows, and who is told
        self,
        name: str,
        algorithms: frozenset[str],
        source: KeySetSource,
        *,
        place: str,
        clock: Clock,
        listener: ReloadListener,
        on_fault: Callable[[str], None],
        judge: Callable[[TrustedIssuer], Iterable[str]] = lambda _: (),
        on_fetched: OnFetched = unseen,
    ) -> None:
        """``place`` names the source in problems; ``judge`` says what is wrong with a set that is good by itself."""
        self.name = name
        self.keys = FollowedKeys(is_believed=self._is_believed, on_unknown=self.want, arrival=self.arrival)
        self.issuer = TrustedIssuer(name, algorithms, self.keys)
        self.in_force: InForce[TrustedIssuer | None] = InForce(None, _NOTHING_YET, clock.now_ms())
        self.confirmed_ms: int | None = None
        self._source, self._place, self._judge = source, place, judge
        self._clock, self._listener, self._on_fault, self._on_fetched = clock, listener, on_fault, on_fetched
        self._began = clock.monotonic()
        self._schedule = KeySetSchedule(due_at=clock.monotonic())
        self._etag: str | None = None
        self._wake, self.tried = asyncio.Event(), asyncio.Event()
        self._ended, self._is_fetching, self._waiting = asyncio.Event(), False, 0

    @property
    def is_believed(self) -> bool:
        """Whether the keys in force still count."""
        return self._is_believed()

    def want(self) -> None:
        """Have it fetched as soon as the floor between two fetches allows; from the event loop's thread only."""
        self._schedule.want(self._clock.monotonic())
        self._wake.set()

    def arrival(self) -> Arrival | None:
        """Return how to wait for the next set; None where none is on its way, or too many wait for it already."""
        is_coming = self._is_fetching or self._schedule.due_at <= self._clock.monotonic()
        return self._next if is_coming and self._waiting < MOST_WAITING else None

    async def _next(self, seconds: float) -> None:
        """Wait for the end of the fetch that is under way, or about to begin."""
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, LONGEST_WAIT_SECONDS)):
                    await self._ended.wait()
        finally:
            self._waiting -= 1

    async def run(self) -> None:
        """Follow until cancelled; whatever breaks, the next fetch comes."""
        while True:
            delay = self._schedule.due_at - self._clock.monotonic()
            if delay <= 0:
                await self.refresh()
                continue
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):  # wait_for of Python 3.11 may swallow the cancelling
                    await self._wake.wait()

    async def refresh(self) -> None:
        """Fetch now, and take what came; only the task that follows calls this."""
        self._began = self._clock.monotonic()
        self._schedule.asked(self._began)
        self._is_fetching = True
        try:
            fetched = await self._source.fetch(self._etag)
            await self._take(fetched)
        except FetchError as error:
            self._refuse(str(error))
        except KeySetError as error:
            self._refuse(*error.problems)
        except Exception as error:  # noqa: BLE001 - the keys in force must outlive any fault of this task
            self._on_fault(type(error).__name__)
            self._refuse(f"cannot be judged: {type(error).__name__}")
        finally:
            self._is_fetching = False
            self.tried.set()
            self._ended.set()
            self._ended = asyncio.Event()

    async def _take(self, fetched: Fetched) -> None:
        before, document = self.in_force, fetched.document
        digest = before.look.digest if document is None else hashlib.sha256(document).digest()
        if document is None or (digest == before.look.digest and before.value is not None):
            self._confirm(fetched, replace(before, failure=None), Result.UNCHANGED)
            return
        # A hundred RSA keys take long enough to be felt by a Check.
        judged = await asyncio.to_thread(issuer_from, self.name, self.issuer.algorithms, document)
        problems = tuple(self._judge(judged))
        if problems:
            raise KeySetError(*problems)
        self.keys.put(judged.keys)
        look = Look((), digest, is_ended=True)
        self._confirm(fetched, InForce(self.issuer, look, self._clock.now_ms()), Result.LOADED)

    def _confirm(self, fetched: Fetched, now: InForce[TrustedIssuer | None], result: Result) -> None:
        self._schedule.confirmed(self._clock.monotonic(), fetched.fresh_seconds)
        self.confirmed_ms = self._clock.now_ms()
        if fetched.document is not None:
            self._etag = fetched.etag
        self._conclude(now, result)

    def _refuse(self, *problems: str) -> None:
        told = tuple(Problem(self._place, 0, 0, "", problem) for problem in problems)
        self._conclude(replace(self.in_force, failure=Failure(self._clock.now_ms(), told)), Result.REFUSED)

    def _conclude(self, now: InForce[TrustedIssuer | None], result: Result) -> None:
        before, self.in_force = self.in_force, now
        try:
            self._listener.reloaded(self, result, before)
            self._on_fetched(self.name, self._clock.monotonic() - self._began, result)
        except Exception as error:  # noqa: BLE001 - a log or a span that breaks must not end the following
            self._on_fault(type(error).__name__)

    def _is_believed(self) -> bool:
        return self._schedule.is_believed(self._clock.monotonic())
