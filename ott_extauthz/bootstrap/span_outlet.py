"""How do the spans of a server get to their collector?  Put together where ``tracing`` is configured."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import grpc
from prometheus_client import CollectorRegistry

from ott_extauthz import __version__
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.tracing_files import TracingFiles
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.span_counts import SpanCounts
from ott_extauthz.ports import Clock
from ott_extauthz.reload.source import Result
from ott_extauthz.sections.tracing import Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from ott_extauthz.observe.span_maker import SpanMaker
    from ott_extauthz.wire.span_export import Collector, SpanQueue

DELAY_SECONDS: Final = 0.002
"""The answer is on its way by then."""

FLUSH_SECONDS: Final = 2.0
"""What spans may take of leaving, however long the grace: a collector that is down must not hold up a rollout."""

# A channel of its own for each set of files: gRPC would otherwise share connections between channels that look alike.
_OPTIONS: Final = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanOutlet:
    """Makes spans, and sends them; leaving takes ``grace`` seconds at most."""

    maker: "SpanMaker"
    queue: "SpanQueue"
    collector: "Collector"
    channel: Callable[[TracingFiles], grpc.Channel]
    grace: float

    def put(self, spans: "Sequence[ReadableSpan]") -> None:
        """Have the spans of one trace sent."""
        self.queue.put(spans)

    def fetched(self, issuer: str, seconds: float, result: Result) -> None:
        """Have the fetch of a key set that has just ended told."""
        from ott_extauthz.observe.fetch_spans import fetch_span  # noqa: PLC0415 - loads the SDK

        self.queue.put([fetch_span(self.maker, issuer, seconds, result)])

    def use(self, files: TracingFiles) -> None:
        """Connect anew by these files for the next batch; from any thread."""
        self.collector.use(self.channel(files), files.headers)

    async def aclose(self) -> None:
        """Send what waits, within ``grace`` and :data:`FLUSH_SECONDS`."""
        await asyncio.sleep(DELAY_SECONDS)  # the spans of the last answers are made by then
        await self.queue.aclose(min(self.grace, FLUSH_SECONDS))


def new_outlet(  # noqa: PLR0913 - what spans are made of, where they go, and who is told
    tracing: Tracing,
    files: TracingFiles,
    *,
    address: str,
    registry: CollectorRegistry,
    logger: Logger,
    clock: Clock,
    grace: float,
) -> SpanOutlet:
    """Return what makes and sends the spans of the server at ``address``."""
    # Only who traces pays for the SDK: start-up time and memory.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    from ott_extauthz.observe.span_maker import SpanMaker  # noqa: PLC0415
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
    return SpanOutlet(
        maker=SpanMaker(
            resource=Resource(attributes | tracing.resource), entropy=secrets.token_bytes,
            wall_ns=SystemClock().now_ns, monotonic=clock.monotonic,
        ),
        queue=SpanQueue(collector, most=tracing.queue, batch=tracing.batch, every_ms=tracing.every),
        collector=collector, channel=partial(_channel, tracing), grace=grace,
    )  # fmt: skip


def after_the_answer(run: Callable[[], None]) -> None:
    """Have something done when the answer is on its way."""
    asyncio.get_running_loop().call_later(DELAY_SECONDS, run)


def _channel(tracing: Tracing, files: TracingFiles) -> grpc.Channel:
    if not tracing.is_tls:
        return grpc.insecure_channel(tracing.address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(files.ca, files.key, files.certificate)
    return grpc.secure_channel(tracing.address, credentials, options=_OPTIONS)


def _tell(logger: Logger, endpoint: str, code: str | None) -> None:
    if code is None:
        logger.info("spans exported again", endpoint=endpoint)
    else:
        logger.warning("spans not exported", endpoint=endpoint, code=code)
