"""Who tells of Checks as spans?  Put together where ``tracing`` is configured; elsewhere none of it is even loaded."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from ott_extauthz.bootstrap.span_outlet import SpanOutlet, after_the_answer, new_outlet
from ott_extauthz.bootstrap.tracing_files import TracingFiles
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.observe.timing import Timed
from ott_extauthz.observe.tracing import TracedChecks
from ott_extauthz.ports import Clock
from ott_extauthz.settings import Settings


@dataclass(frozen=True, slots=True)
class CheckTracer:
    """Sends spans of Checks."""

    checks: TracedChecks
    outlet: SpanOutlet

    async def aclose(self) -> None:
        """Send what waits."""
        await self.outlet.aclose()


def new_check_tracer(  # noqa: PLR0913 - what spans are made of, and who is told
    settings: Settings,
    files: TracingFiles,
    *,
    address: str,
    registry: CollectorRegistry,
    logger: Logger,
    clock: Clock,
    on_fault: Callable[[str], None],
) -> CheckTracer | None:
    """Return what sends the spans of the server at ``address``; None where tracing is off."""
    if settings.tracing is None:
        return None
    from ott_extauthz.observe.spans import check_spans  # noqa: PLC0415 - loads the SDK

    outlet = new_outlet(
        settings.tracing, files, address=address, registry=registry, logger=logger, clock=clock,
        grace=settings.drain.grace / 1000,
    )  # fmt: skip

    def tell(timed: Timed) -> None:
        outlet.put(check_spans(outlet.maker, timed))

    sampling = Sampling(settings.tracing, clock.monotonic)
    checks = TracedChecks(sampling=sampling, tell=tell, later=after_the_answer, on_fault=on_fault)
    return CheckTracer(checks, outlet)
