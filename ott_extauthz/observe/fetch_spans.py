"""How does the fetch of a key set look as a span?  A trace of its own: it is made for no call."""

from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from ott_extauthz.observe.span_maker import FAILED, FINE, SpanMaker
from ott_extauthz.reload.source import Result

_TRACE_ID_BYTES: Final = 16


def fetch_span(maker: SpanMaker, issuer: str, seconds: float, result: Result) -> ReadableSpan:
    """Return the span of a fetch that has just ended; ``issuer`` is whose keys they are, by our own configuration."""
    now, at = maker.monotonic(), maker.instants()
    context = maker.context(int.from_bytes(maker.entropy(_TRACE_ID_BYTES)) or 1)
    return maker.span(
        f"fetch keys {issuer}", SpanKind.CLIENT, context, None, (at(now - seconds), at(now)),
        attributes={"ott.asked": issuer, "ott.result": result},
        status=FAILED if result is Result.REFUSED else FINE,
    )  # fmt: skip
