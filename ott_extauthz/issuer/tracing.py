"""Which trace does a request belong to, and who times it?  Told from outside: no step of the issuer knows of it."""

from typing import Protocol

from ott_extauthz.issuer.trail import Door
from ott_extauthz.model.trace_context import TraceContext


class RequestTracing(Protocol):
    """Times requests, for spans.  Neither call raises, waits, or changes an answer."""

    def arrived(self, door: Door, context: TraceContext | None) -> str | None:
        """Take note that a request arrived; return the id of its trace, None where there is none.

        ``context`` is what the request says of its trace.  Whatever is told in this task's context belongs to it now.
        """
        ...

    def answered(self) -> None:
        """Take note that its answer is made, or that nobody waits for one any more."""
        ...


class NoTracing:
    """Times nothing; the trace that a request names is still told, for audit and log."""

    def arrived(self, door: Door, context: TraceContext | None) -> str | None:  # noqa: ARG002 - as the port has it
        """Return the id of the trace that the request names."""
        return None if context is None else context.trace_id

    def answered(self) -> None:
        """Do nothing."""
