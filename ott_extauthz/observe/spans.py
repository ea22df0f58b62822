"""How does a Check look as spans?  One for the Check, a child for each step, and below a step whom it asked.

Everything in a span comes from lists of our own (routes, reasons, revisions, issuers, kinds of stores), but for the
decision's id and, once it is verified, the name of the client and the token's digest.  No header, no path, no host, no
token; of the caller's trace nothing but its two ids, and no ``tracestate``, which a client may fill as it likes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, Status

from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.reason import Code
from ott_extauthz.observe.audit import token_of
from ott_extauthz.observe.span_maker import FAILED, FINE, SpanMaker, remote_parent
from ott_extauthz.observe.timing import Timed
from ott_extauthz.ports import CheckRecord

_RPC: Final[dict[str, str | None]] = {
    "rpc.system": "grpc", "rpc.service": "envoy.service.auth.v3.Authorization", "rpc.method": "Check",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of time that becomes a child of the Check's span."""

    name: str
    began: float
    ended: float


def check_spans(maker: SpanMaker, timed: Timed) -> list[ReadableSpan]:
    """Return the spans of one Check, its own first."""
    record = timed.record
    if record is None:
        return []
    at = maker.instants()
    parent = remote_parent(record.trace)
    own = maker.context(parent.trace_id if parent else int(record.decision.decision_id, 16))
    spans = [
        maker.span(
            f"Check {record.decision.route}" if record.decision.route else "Check",
            SpanKind.SERVER, own, parent, (at(timed.arrived), at(timed.answered)),
            attributes=_attributes(record.decision), status=_status(record.decision),
        )
    ]  # fmt: skip
    left = list(timed.asked)
    for part in _parts(timed, record):
        context = maker.context(own.trace_id)
        spans.append(maker.span(part.name, SpanKind.INTERNAL, context, own, (at(part.began), at(part.ended))))
        within = [asked for asked in left if asked.began < part.ended]
        spans += [
            maker.asked(asked.what, asked.whom, context, (at(asked.began), at(asked.ended)), asked.fault)
            for asked in within
        ]
        left = left[len(within) :]
    return spans


def _parts(timed: Timed, record: CheckRecord) -> Iterator[_Part]:
    """Yield the steps in their order: each lasts until another begins."""
    yield _Part("decode", timed.arrived, record.began)
    decided = record.began + record.seconds
    begun = [next(marks) for _, marks in groupby(record.marks, key=itemgetter(0))]
    for (step, began), (_, ended) in pairwise([*begun, (None, decided)]):
        yield _Part(str(step), began, ended)
    yield _Part("audit", decided, timed.told)
    yield _Part("encode", timed.told, timed.answered)


def _attributes(decision: Decision) -> dict[str, str | None]:
    refused = decision if isinstance(decision, Deny) else None
    token = token_of(decision)
    return _RPC | {
        "ott.decision_id": decision.decision_id,
        "ott.outcome": "allow" if isinstance(decision, Allow) else "deny",
        "ott.policy_revision": decision.policy_revision,
        "ott.route": decision.route,
        "ott.reason": str(refused.reason) if refused else None,
        "ott.code": str(refused.meaning.code) if refused else None,
        "ott.client_id": token.client_id if token else None,
        "ott.token_id": token.public_id if token else None,
    }


def _status(decision: Decision) -> Status:
    """A refusal that a client earned is no error; one for which somebody must be woken is."""
    is_ours = isinstance(decision, Deny) and decision.meaning.code is Code.UNAVAILABLE
    return FAILED if is_ours else FINE
