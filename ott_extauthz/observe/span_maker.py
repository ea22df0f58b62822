"""What is a span made of?  Ids of its own, instants by the wall clock, and texts from lists of our own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ott_extauthz import __version__
from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.ports import Entropy

LONGEST_TEXT: Final = 256
FAILED: Final = Status(StatusCode.ERROR)
FINE: Final = Status(StatusCode.UNSET)
_ID_BYTES: Final = 8
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("ott_extauthz", __version__)

Instants = tuple[int, int]
"""When a span began and ended, in nanoseconds of the wall clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanMaker:
    """Makes spans.  ``wall_ns`` and ``monotonic`` are one instant on two clocks, in nanoseconds and in seconds."""

    resource: Resource
    entropy: Entropy
    wall_ns: Callable[[], int]
    monotonic: Callable[[], float]

    def instants(self) -> Callable[[float], int]:
        """Return what tells the wall clock's nanoseconds of an instant of the monotonic clock."""
        wall, now = self.wall_ns(), self.monotonic()
        return lambda instant: wall - round((now - instant) * 1e9)

    def context(self, trace_id: int) -> SpanContext:
        """Return the ids of a new span in a trace."""
        span_id = int.from_bytes(self.entropy(_ID_BYTES)) or 1
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)

    def span(  # noqa: PLR0913 - what a span is made of
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        instants: Instants,
        *,
        attributes: Mapping[str, str | None] | None = None,
        status: Status = FINE,
    ) -> ReadableSpan:
        """Return a span; of its attributes those that have a text."""
        told = {key: text[:LONGEST_TEXT] for key, text in (attributes or {}).items() if text}
        return ReadableSpan(
            name=name, context=context, parent=parent, kind=kind, resource=self.resource, attributes=told,
            status=status, start_time=instants[0], end_time=instants[1], instrumentation_scope=_SCOPE,
        )  # fmt: skip

    def asked(self, what: str, whom: str, parent: SpanContext, instants: Instants, fault: str | None) -> ReadableSpan:
        """Return the span of a question to somebody else."""
        return self.span(
            f"{what} {whom}", SpanKind.CLIENT, self.context(parent.trace_id), parent, instants,
            attributes={"ott.asked": whom, "error.type": fault}, status=FINE if fault is None else FAILED,
        )  # fmt: skip


def remote_parent(trace: TraceContext | None) -> SpanContext | None:
    """Return the span that a request says it comes from."""
    if trace is None:
        return None
    return SpanContext(int(trace.trace_id, 16), int(trace.parent_id, 16), is_remote=True, trace_flags=_SAMPLED)
