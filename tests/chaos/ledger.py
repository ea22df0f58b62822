"""The ledger: every attempt with every token, when and with what outcome; and what must hold of it all."""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from tests.chaos.faults import Happened
from tests.chaos.starvation import Period

_LINE: Final = struct.Struct("<ddIBBB")
_AFTERMATH: Final = 0.7
"""Seconds for which a circuit that a starved processor opened may still be open."""


class Outcome(IntEnum):
    ACCEPTED = 0
    REPLAYED = 1
    EPOCH = 2
    UNAVAILABLE = 3
    CLOCK = 4
    EXPIRED = 5
    OTHER = 6
    NO_ANSWER = 7


class Kind(IntEnum):
    """Why an attempt was made."""

    FRESH = 0  # the first use of a token just minted
    RACE = 1  # one of several first uses at the same moment
    KEPT = 2  # the first use of a token that its client held back
    REPLAY = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line; ``door`` counts the ways to the store within one ledger, ``token`` the tokens."""

    start: float
    end: float
    token: int
    outcome: Outcome
    kind: Kind
    door: int


class Ledger:
    """Writes lines to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 16)

    def write(self, attempt: Attempt) -> None:
        line = (attempt.start, attempt.end, attempt.token, attempt.outcome, attempt.kind, attempt.door)
        self._file.write(_LINE.pack(*line))

    def close(self) -> None:
        self._file.close()


def lines(path: Path) -> Iterator[Attempt]:
    outcomes, kinds = tuple(Outcome), tuple(Kind)
    with path.open("rb") as file:
        while chunk := file.read(_LINE.size * 4096):
            for start, end, token, outcome, kind, door in _LINE.iter_unpack(chunk):
                yield Attempt(start, end, token, outcomes[outcome], kinds[kind], door)


@dataclass(frozen=True, slots=True)
class Unavailability:
    """How long fresh tokens found no acceptance at the worst door, and how much of that lay after the fault's end."""

    fault: Happened
    longest: float
    after_end: float
    starved: float  # for how long processes of the run got no processor, from the fault to the next one

    @property
    def is_within_bound(self) -> bool:
        counted = self.longest if self.fault.counts_from_start else self.after_end
        return counted <= self.fault.bound + self.starved


@dataclass(slots=True)
class Findings:
    """What one run's ledgers say."""

    tried: dict[str, int] = field(default_factory=lambda: {"check": 0, "list": 0})
    accepted: int = 0
    twice: list[str] = field(default_factory=list)
    wrongly: list[str] = field(default_factory=list)
    starved: int = 0  # first uses refused while all was healthy, but for the processor
    outages: list[Unavailability] = field(default_factory=list)
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    per_100_ms: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    @property
    def total(self) -> int:
        return sum(self.tried.values())

    @property
    def late(self) -> list[Unavailability]:
        return [one for one in self.outages if not one.is_within_bound]

    @property
    def holds(self) -> bool:
        return not self.twice and not self.wrongly and not self.late


@dataclass(frozen=True, slots=True)
class Book:
    """One load process's ledger: its file, its name, and what kind each of its doors is."""

    name: str
    path: Path
    doors: Sequence[str]


class Audit:
    """Reads the books of one run.  ``begin`` is when the last load process and the servers were all up.

    A fresh token's first use refused is wrong while all is healthy.  Refused as a replay it is wrong at any time:
    nobody else has ever had it.
    """

    def __init__(
        self,
        happened: Sequence[Happened],
        *,
        begin: float,
        end: float,
        settle: float,
        races_may_be_lost: bool,
        starved: Sequence[Period],
    ) -> None:
        self._starved = starved
        self._happened, self._begin, self._end = happened, begin, end
        self._healthy = _healthy(happened, begin, end, settle)
        self._races_may_be_lost = races_may_be_lost

    def of(self, books: Iterable[Book]) -> Findings:
        findings = Findings()
        fresh: dict[tuple[str, int], list[Attempt]] = defaultdict(list)
        for book in books:
            self._read(book, findings, fresh)
        for fault, until in zip(self._happened, [one.start for one in self._happened[1:]] + [self._end], strict=True):
            worst = max((_gap(fault, until, times) for times in fresh.values()), default=(0.0, 0.0))
            starved = sum(max(0.0, min(end, until) - max(start, fault.start)) for start, end in self._starved)
            findings.outages.append(Unavailability(fault, *worst, starved))
        return findings

    def _read(self, book: Book, findings: Findings, fresh: dict[tuple[str, int], list[Attempt]]) -> None:
        accepted: dict[int, list[Attempt]] = defaultdict(list)
        races: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in lines(book.path):
            findings.tried[book.doors[attempt.door]] += 1
            findings.outcomes[attempt.outcome] += 1
            is_accepted = attempt.outcome is Outcome.ACCEPTED
            findings.per_100_ms[int((attempt.end - self._begin) * 10)][0 if is_accepted else 1] += 1
            if is_accepted:
                accepted[attempt.token].append(attempt)
            if attempt.kind is Kind.RACE:
                races[attempt.token].append(attempt)
            elif attempt.kind is Kind.FRESH:
                fresh[book.name, attempt.door].append(attempt)
                if attempt.outcome is Outcome.REPLAYED:
                    findings.wrongly.append(self._told(book, [attempt]))
                elif not is_accepted:
                    self._judge(book, [attempt], findings)
        findings.accepted += len(accepted)
        findings.twice += [self._told(book, uses) for uses in accepted.values() if len(uses) > 1]
        for token, uses in races.items():
            if token not in accepted and not self._races_may_be_lost:
                self._judge(book, uses, findings)

    def _judge(self, book: Book, uses: Sequence[Attempt], findings: Findings) -> None:
        """Take note of first uses that were all refused, if that should not have been."""
        first, last = min(use.start for use in uses), max(use.end for use in uses)
        if not any(start <= first and last <= end for start, end in self._healthy):
            return
        if any(start < last and first < end + _AFTERMATH for start, end in self._starved):
            findings.starved += 1
        else:
            findings.wrongly.append(self._told(book, uses))

    def _told(self, book: Book, uses: Sequence[Attempt]) -> str:
        told = ", ".join(
            f"{use.outcome.name.lower()} at {use.start - self._begin:.3f} s in {(use.end - use.start) * 1000:.0f} ms "
            f"through {book.doors[use.door]} {use.door}"
            for use in uses
        )
        return f"{book.name}-{uses[0].token}: {told}"


def _healthy(happened: Sequence[Happened], begin: float, end: float, settle: float) -> list[tuple[float, float]]:
    """Return the phases that begin when a fault should be over, and end with the next one."""
    ends = [begin + settle, *(one.end + max(settle, one.bound) for one in happened)]
    starts = [*(one.start for one in happened), end]
    return [(since, until) for since, until in zip(ends, starts, strict=True) if since < until]


def _gap(fault: Happened, until: float, uses: Sequence[Attempt]) -> tuple[float, float]:
    """Return how long one door refused fresh tokens between the fault and ``until``, and how long after its end.

    Counted from the first that was refused to the next that was accepted, or to ``until`` if none was.
    """
    since: float | None = None
    longest = after_end = 0.0

    def counted(to: float) -> None:
        nonlocal longest, after_end
        if since is not None:
            longest = max(longest, to - max(since, fault.start))
            after_end = max(after_end, to - max(since, fault.end))

    for use in sorted(uses, key=lambda use: use.end):
        if not fault.start < use.end < until:
            continue
        if use.outcome is Outcome.ACCEPTED:
            counted(use.end)
            since = None
        elif since is None:
            since = use.start
    counted(until)
    return longest, after_end
