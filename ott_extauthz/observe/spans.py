"""How does a Check look as spans?  One for the Check, a child for each step, and below a step whom it asked.

Everything in a span comes from lists of our own (routes, reasons, revisions, issuers, kinds of stores), but for the
decision's id and, once it is verified, the name of the client and the token's digest.  No header, no path, no host, no
token; of the caller's trace nothing but its two ids, and no ``tracestate``, which a client may fill as it likes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ott_extauthz import __version__
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.reason import Code
from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.observe.audit import token_of
from ott_extauthz.observe.tracing import Asked, Timed
from ott_extauthz.ports import CheckRecord, Entropy

ID_BYTES: Final = 8
LONGEST_NAME: Final = 256
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("ott_extauthz", __version__)
_FAILED: Final = Status(StatusCode.ERROR)
_FINE: Final = Status(StatusCode.UNSET)
_RPC: Final = {"rpc.system": "grpc", "rpc.service": "envoy.service.auth.v3.Authorization", "rpc.method": "Check"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of time that becomes a child of the Check's span."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Makes spans.  ``wall_ns`` and ``monotonic`` are one instant on two clocks, in nanoseconds and in seconds."""

    resource: Resource
    entropy: Entropy
    wall_ns: Callable[[], int]
    monotonic: Callable[[], float]

    def of(self, timed: Timed) -> list[ReadableSpan]:
        """Return the spans of one Check, its own first."""
        record = timed.record
        if record is None:
            return []
        at = self._instants()
        parent = _parent(record.trace)
        own = self._context(parent.trace_id if parent else int(record.decision.decision_id, 16))
        spans = [
            self._span(
                f"Check {record.decision.route}" if record.decision.route else "Check",
                SpanKind.SERVER, own, parent, (at(timed.arrived), at(timed.answered)),
                attributes=_attributes(record.decision), status=_status(record.decision),
            )
        ]  # fmt: skip
        left = list(timed.asked)
        for part in _parts(timed, record):
            context = self._context(own.trace_id)
            instants = (at(part.began), at(part.ended))
            spans.append(self._span(part.name, SpanKind.INTERNAL, context, own, instants))
            within = [asked for asked in left if asked.began < part.ended]
            spans.extend(self._asked(asked, context, at) for asked in within)
            left = left[len(within) :]
        return spans

    def _asked(self, asked: Asked, parent: SpanContext, at: Callable[[float], int]) -> ReadableSpan:
        attributes = {"ott.asked": asked.whom}
        if asked.fault is not None:
            attributes["error.type"] = asked.fault
        return self._span(
            f"{asked.what} {asked.whom}", SpanKind.CLIENT, self._context(parent.trace_id), parent,
            (at(asked.began), at(asked.ended)), attributes=attributes,
            status=_FINE if asked.fault is None else _FAILED,
        )  # fmt: skip

    def _instants(self) -> Callable[[float], int]:
        wall, now = self.wall_ns(), self.monotonic()
        return lambda instant: wall - round((now - instant) * 1e9)

    def _context(self, trace_id: int) -> SpanContext:
        span_id = int.from_bytes(self.entropy(ID_BYTES)) or 1
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)

    def _span(  # noqa: PLR0913 - what a span is made of
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        instants: tuple[int, int],
        *,
        attributes: Mapping[str, str] | None = None,
        status: Status = _FINE,
    ) -> ReadableSpan:
        return ReadableSpan(
            name=name, context=context, parent=parent, kind=kind, resource=self.resource, attributes=attributes or {},
            status=status, start_time=instants[0], end_time=instants[1], instrumentation_scope=_SCOPE,
        )  # fmt: skip


def _parts(timed: Timed, record: CheckRecord) -> Iterator[_Part]:
    """Yield the steps in their order: each lasts until another begins."""
    yield _Part("decode", timed.arrived, record.began)
    decided = record.began + record.seconds
    begun = [next(marks) for _, marks in groupby(record.marks, key=itemgetter(0))]
    for (step, began), (_, ended) in pairwise([*begun, (None, decided)]):
        yield _Part(str(step), began, ended)
    yield _Part("audit", decided, timed.told)
    yield _Part("encode", timed.told, timed.answered)


def _parent(trace: TraceContext | None) -> SpanContext | None:
    if trace is None:
        return None
    return SpanContext(int(trace.trace_id, 16), int(trace.parent_id, 16), is_remote=True, trace_flags=_SAMPLED)


def _attributes(decision: Decision) -> dict[str, str]:
    refused = decision if isinstance(decision, Deny) else None
    token = token_of(decision)
    found = {
        "ott.decision_id": decision.decision_id,
        "ott.outcome": "allow" if isinstance(decision, Allow) else "deny",
        "ott.policy_revision": decision.policy_revision,
        "ott.route": decision.route,
        "ott.reason": str(refused.reason) if refused else None,
        "ott.code": str(refused.meaning.code) if refused else None,
        "ott.client_id": token.client_id if token else None,
        "ott.token_id": token.public_id if token else None,
    }
    return _RPC | {name: value[:LONGEST_NAME] for name, value in found.items() if value}


def _status(decision: Decision) -> Status:
    """A refusal that a client earned is no error; one for which somebody must be woken is."""
    is_ours = isinstance(decision, Deny) and decision.meaning.code is Code.UNAVAILABLE
    return _FAILED if is_ours else _FINE
