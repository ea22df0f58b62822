"""Did a case come out as expected?  Each difference, as it was expected and as it was seen."""

from collections.abc import Iterator
from dataclasses import dataclass

from ott_extauthz.model.decision import Allow, AttachedSignature, AttachedToken, Decision
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Code
from ott_extauthz.rehearsal.cases import ALLOWED, Case, Expectation
from ott_extauthz.rehearsal.stage import Rehearsed
from ott_extauthz.wire.encode import answer_headers, response_from


@dataclass(frozen=True, slots=True)
class Difference:
    """What was expected of ``what``, and what was seen; None is nothing at all."""

    what: str
    expected: str | None
    seen: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A case's outcome; it passed when there is no difference."""

    case: Case
    rehearsed: Rehearsed
    differences: tuple[Difference, ...]


def verdict(case: Case, rehearsed: Rehearsed) -> Verdict:
    """Compare what was expected with what was decided."""
    differences = tuple(d for d in _compared(case.expect, rehearsed) if d.expected != d.seen)
    return Verdict(case=case, rehearsed=rehearsed, differences=differences)


def _compared(expect: Expectation, rehearsed: Rehearsed) -> Iterator[Difference]:
    decision = rehearsed.decision
    denied = None if isinstance(decision, Allow) else decision
    seen: dict[str, str | None] = {
        "code": ALLOWED if denied is None else denied.meaning.code,
        "reason": None if denied is None else denied.reason,
        "status": "200" if denied is None else str(denied.status),
        "route": decision.route,
        "step": rehearsed.attempt.step,
        "attach": _attached(decision),
        "sign": _signed(decision),
        "detail": None if denied is None else denied.detail,
    }
    for name, value in seen.items():
        expected = getattr(expect, name)
        if expected is not None:
            yield Difference(name, str(expected), value)
    would_be = decision.would_be if isinstance(decision, Allow) else None
    if would_be is not None or expect.would_be is not None:
        yield Difference("would_be", expect.would_be or ALLOWED, _would_be(expect.would_be, would_be))
    yield from _headers(expect, rehearsed)


def _attached(decision: Decision) -> str | None:
    attached = decision.attached if isinstance(decision, Allow) else None
    return attached.audience if isinstance(attached, AttachedToken) else None


def _signed(decision: Decision) -> str | None:
    attached = decision.attached if isinstance(decision, Allow) else None
    return attached.key if isinstance(attached, AttachedSignature) else None


def _would_be(expected: str | None, seen: Decision | None) -> str | None:
    """Name what a route in shadow would have answered in the way in which it was expected."""
    if seen is None:
        return None
    if isinstance(seen, Allow):
        return ALLOWED
    return seen.meaning.code if expected in set(Code) else seen.reason


def _headers(expect: Expectation, rehearsed: Rehearsed) -> Iterator[Difference]:
    is_grpc = isinstance(rehearsed.facts, Facts) and rehearsed.facts.is_grpc
    to_set, to_remove = answer_headers(response_from(rehearsed.decision, is_grpc=is_grpc, expose_reason=False))
    for name, value in expect.headers.items():
        yield Difference(f"header {name}", value, to_set.get(name.lower()))
    for name in expect.removes:
        is_removed = name.lower() in to_remove
        yield Difference(f"header {name}", "removed", "removed" if is_removed else "not removed")
