"""Who tells of Checks as spans?  Put together where ``tracing`` is configured; elsewhere none of it is even loaded."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import grpc
from prometheus_client import CollectorRegistry

from ott_extauthz import __version__
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.tracing_files import TracingFiles
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.observe.span_counts import SpanCounts
from ott_extauthz.observe.tracing import CheckSpans, Timed
from ott_extauthz.ports import Clock
from ott_extauthz.sections.tracing import Tracing
from ott_extauthz.settings import Settings

if TYPE_CHECKING:
    from ott_extauthz.observe.spans import Spans
    from ott_extauthz.wire.span_export import SpanQueue

DELAY_SECONDS: Final = 0.002
"""The answer is on its way by then."""

FLUSH_SECONDS: Final = 2.0
"""What spans may take of leaving, however long the grace: a collector that is down must not hold up a rollout."""

_NO_PROXY: Final = [("grpc.enable_http_proxy", 0)]


@dataclass(frozen=True, slots=True)
class CheckTracer:
    """Listens to Checks, and sends spans."""

    spans: CheckSpans
    queue: "SpanQueue"
    grace: float

    async def aclose(self) -> None:
        """Send what waits, within ``grace`` seconds and :data:`FLUSH_SECONDS`."""
        await self.queue.aclose(min(self.grace, FLUSH_SECONDS))


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
    spans, queue = new_spans(settings.tracing, files, address=address, registry=registry, logger=logger, clock=clock)

    def tell(timed: Timed) -> None:
        queue.put(spans.of(timed))

    listener = CheckSpans(
        sampling=Sampling(settings.tracing, clock.monotonic),
        monotonic=clock.monotonic,
        tell=tell,
        later=_after_the_answer,
        on_fault=on_fault,
        store=None if settings.store.is_memory else settings.store.url.partition(":")[0],
    )
    return CheckTracer(listener, queue, settings.drain.grace / 1000)


def new_spans(  # noqa: PLR0913 - what spans are made of, where they go, and who is told
    tracing: Tracing,
    files: TracingFiles,
    *,
    address: str,
    registry: CollectorRegistry,
    logger: Logger,
    clock: Clock,
) -> "tuple[Spans, SpanQueue]":
    """Return what makes the spans of a server, and what sends them."""
    # Only who traces pays for the SDK: start-up time and memory.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    from ott_extauthz.observe.spans import Spans  # noqa: PLC0415
    from ott_extauthz.wire.span_export import Collector, SpanQueue  # noqa: PLC0415

    # The SDK's own words are plain text on standard error; what matters of them is counted and told by the collector.
    sdk = logging.getLogger("opentelemetry")
    sdk.propagate = False
    sdk.addHandler(logging.NullHandler())
    attributes = {
        "service.name": tracing.service_name,
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}:{address}",
    }
    collector = Collector(
        _channel(tracing, files),
        headers=files.headers,
        timeout=tracing.timeout / 1000,
        counts=SpanCounts(registry),
        tell=partial(_tell, logger, tracing.endpoint),
    )
    spans = Spans(
        resource=Resource(attributes | tracing.resource), entropy=secrets.token_bytes,
        wall_ns=SystemClock().now_ns, monotonic=clock.monotonic,
    )  # fmt: skip
    return spans, SpanQueue(collector, most=tracing.queue, batch=tracing.batch, every_ms=tracing.every)


def _channel(tracing: Tracing, files: TracingFiles) -> grpc.Channel:
    if not tracing.is_tls:
        return grpc.insecure_channel(tracing.address, options=_NO_PROXY)
    credentials = grpc.ssl_channel_credentials(files.ca, files.key, files.certificate)
    return grpc.secure_channel(tracing.address, credentials, options=_NO_PROXY)


def _tell(logger: Logger, endpoint: str, code: str | None) -> None:
    if code is None:
        logger.info("spans exported again", endpoint=endpoint)
    else:
        logger.warning("spans not exported", endpoint=endpoint, code=code)


def _after_the_answer(run: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(DELAY_SECONDS, run)
