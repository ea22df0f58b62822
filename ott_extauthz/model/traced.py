"""Whose word do we have that a request is traced: Envoy's, or only the client's?

Where Envoy traces, it sends the context of its own span with the Check itself, as metadata of the RPC: no client can
write there, and its sampling flag is Envoy's decision.  Without that there is the request's header, if any.
"""

from dataclasses import dataclass

from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.trace_context import TraceContext, parsed, trace_context


@dataclass(frozen=True, slots=True)
class Traced:
    """The trace that a request belongs to; ``by_envoy`` is False where only a header says so."""

    context: TraceContext
    by_envoy: bool


def traced(facts: Facts | Malformed) -> Traced | None:
    """Return the trace of a request, Envoy's word first; None where there is none."""
    own = parsed(facts.envoy_traceparent) if facts.envoy_traceparent else None
    if own is not None:
        return Traced(own, by_envoy=True)
    context = trace_context(facts.headers) if isinstance(facts, Facts) else None
    return None if context is None else Traced(context, by_envoy=False)
