"""How does a request to the issuer look as spans?  One for it, a child for each step, and below a step whom it asked.

Everything in a span comes from lists of our own (doors, error codes, clients, audiences, rings), but for the digest of
a token.  No form, no header, no scope; nothing of a client that is not authenticated.
"""

from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status

from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.issuer.order import ring_title
from ott_extauthz.issuer.trail import Door, Minting
from ott_extauthz.observe.issuer_tracing import Part, TimedRequest
from ott_extauthz.observe.span_maker import FAILED, FINE, SpanMaker, remote_parent

_RPC: Final[dict[str, str | None]] = {"rpc.system": "grpc", "rpc.service": "ott.issuer.v1.Issuer"}
_HTTP: Final[dict[str, str | None]] = {"http.request.method": "POST"}
_NAMES: Final = {Door.TOKEN: "token", Door.INTROSPECT: "introspect", Door.GRPC: "mint"}
_OURS: Final = frozenset({OAuthErrorCode.SERVER_ERROR, OAuthErrorCode.TEMPORARILY_UNAVAILABLE})


def request_spans(maker: SpanMaker, timed: TimedRequest) -> list[ReadableSpan]:
    """Return the spans of one request, its own first."""
    at = maker.instants()
    own = maker.context(int(timed.trace_id, 16))
    spans = [
        maker.span(
            _NAMES[timed.door], SpanKind.SERVER, own, remote_parent(timed.context),
            (at(timed.arrived), at(timed.answered)), attributes=_attributes(timed), status=_status(timed),
        )
    ]  # fmt: skip
    contexts: dict[Part | None, SpanContext] = {None: own}
    for part in timed.parts:
        parent, instants = contexts[part.within], (at(part.began), at(part.ended))
        span = _part(maker, part, parent, instants)
        if span.context is not None:
            contexts[part] = span.context
        spans.append(span)
    return spans


def _part(maker: SpanMaker, part: Part, parent: SpanContext, instants: tuple[int, int]) -> ReadableSpan:
    if part.whom is not None:
        return maker.asked(part.name, part.whom, parent, instants, part.fault)
    return maker.span(
        part.name, SpanKind.INTERNAL, maker.context(parent.trace_id), parent, instants,
        attributes={"error.type": part.fault}, status=FINE if part.fault is None else FAILED,
    )  # fmt: skip


def _attributes(timed: TimedRequest) -> dict[str, str | None]:
    error = timed.refusal.error if timed.refusal else None
    minted = _minted(timed.minting) if timed.minting else {}
    return (_RPC if timed.door is Door.GRPC else _HTTP) | {
        "ott.door": timed.door,
        "ott.outcome": _outcome(timed),
        "ott.error": error.error if error else None,
        "ott.client_id": error.client_id if error else None,
    } | minted  # fmt: skip


def _minted(minting: Minting) -> dict[str, str | None]:
    order, tokens = minting.order, minting.tokens
    return {
        "ott.client_id": order.client_id,
        "ott.method": minting.method,
        "ott.grant_type": minting.grant_type,
        "ott.audience": order.audience,
        "ott.kind": order.kind,
        "ott.ring": ring_title(order.ring),
        "ott.count": str(len(tokens)),
        "ott.token_id": tokens[0].public_id if len(tokens) == 1 else None,
    }


def _outcome(timed: TimedRequest) -> str | None:
    if timed.refusal is not None:
        return "refused"
    if timed.minting is not None:
        return "issued"
    return "answered" if timed.door is Door.INTROSPECT else None  # None: whoever asked had left


def _status(timed: TimedRequest) -> Status:
    """A refusal that a client earned is no error; one for which somebody must be woken is."""
    return FAILED if timed.refusal is not None and timed.refusal.error.error in _OURS else FINE
