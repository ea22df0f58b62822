"""How do spans leave without ever being in the way?  Queued within bounds, sent by a thread of their own, or dropped.

The SDK batches; the sending is ours, so that no ``OTEL_…`` variable has a say, the collector's word is counted, and
leaving ends in time.  An error's details are the collector's text and might quote a header: only its code is told.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from ott_extauthz._proto.ott.otlp.v1.spans_pb2 import ExportRequest, ExportResponse
from ott_extauthz.model.dropped_spans import Dropped
from ott_extauthz.wire.otlp import METHOD, export_request

Headers = tuple[tuple[str, str], ...]


class Counts(Protocol):
    """Counts what becomes of spans, from any thread."""

    def exported(self, spans: int) -> None:
        """Count spans that the collector took."""
        ...

    def dropped(self, spans: int, why: Dropped) -> None:
        """Count spans that nobody will see."""
        ...


class _Way:
    """One channel to the collector, and what is sent along with every batch."""

    def __init__(self, channel: grpc.Channel, headers: Headers) -> None:
        self.channel = channel
        self._export: grpc.UnaryUnaryMultiCallable[ExportRequest, ExportResponse] = channel.unary_unary(
            METHOD, request_serializer=ExportRequest.SerializeToString, response_deserializer=ExportResponse.FromString
        )
        self._headers = headers

    def send(self, request: ExportRequest, timeout: float) -> ExportResponse:
        """Send one batch.

        Raises:
            grpc.RpcError: the collector did not take it.
        """
        answer: ExportResponse = self._export(request, timeout=timeout, metadata=self._headers, wait_for_ready=True)
        return answer


class Collector(SpanExporter):
    """Sends batches to one collector; ``tell`` hears the code of the first failure, and of the next success."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        headers: Headers,
        timeout: float,
        counts: Counts,
        tell: Callable[[str | None], None],
    ) -> None:
        self._way = _Way(channel, headers)
        self._newer: _Way | None = None
        self._is_closed = False
        self._timeout = timeout
        self._counts = counts
        self._tell = tell
        self._is_failing = False
        self._lock = threading.Lock()
        self._waiting = 0

    def expect(self, spans: int, most: int) -> bool:
        """Whether so many more may wait; if not they are counted as dropped."""
        with self._lock:
            if self._waiting + spans > most:
                self._counts.dropped(spans, Dropped.QUEUE_FULL)
                return False
            self._waiting += spans
            return True

    def use(self, channel: grpc.Channel, headers: Headers) -> None:
        """Send what comes next over another channel; the one in use ends with its batch."""
        with self._lock:
            unused, self._newer = self._newer, _Way(channel, headers)
            is_closed = self._is_closed
        if unused is not None:
            unused.channel.close()
        if is_closed:
            channel.close()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, within the timeout; it is gone then, one way or the other."""
        try:
            request = export_request(spans)
            answer = self._latest_way().send(request, self._timeout)
        except grpc.RpcError as error:
            self._failed(len(spans), error.code().name)
            return SpanExportResult.FAILURE
        except Exception as error:  # noqa: BLE001 - of a closed channel, or a fault of ours: never the Checks' trouble
            self._failed(len(spans), type(error).__name__)
            return SpanExportResult.FAILURE
        finally:
            with self._lock:
                self._waiting -= len(spans)
        rejected = max(0, min(answer.partial_success.rejected_spans, len(spans)))
        self._counts.exported(len(spans) - rejected)
        if rejected:
            self._counts.dropped(rejected, Dropped.REJECTED)
        if self._is_failing:
            self._is_failing = False
            self._tell(None)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Let go of the connection; a call that still waits ends."""
        with self._lock:
            self._is_closed, newer = True, self._newer
        self._way.channel.close()
        if newer is not None:
            newer.channel.close()

    def _latest_way(self) -> "_Way":
        """Return how to send; only the one thread that sends calls this."""
        with self._lock:
            newer, self._newer = self._newer, None
            before, self._way = self._way, newer or self._way
        if newer is not None:
            before.channel.close()
        return self._way

    def _failed(self, spans: int, code: str) -> None:
        self._counts.dropped(spans, Dropped.EXPORT_FAILED)
        if not self._is_failing:
            self._is_failing = True
            self._tell(code)


class SpanQueue:
    """Takes spans from the Checks, at once, and has the collector sent them in batches."""

    def __init__(self, collector: Collector, *, most: int, batch: int, every_ms: int) -> None:
        self._collector = collector
        self._most = most
        self._processor = BatchSpanProcessor(
            collector,
            max_queue_size=most,
            max_export_batch_size=batch,
            schedule_delay_millis=every_ms,
            export_timeout_millis=1,  # not used by the SDK: a batch's timeout is the collector's
        )

    def put(self, spans: Sequence[ReadableSpan]) -> None:
        """Have a trace's spans sent, all of them or none."""
        if self._collector.expect(len(spans), self._most):
            for span in spans:
                self._processor.on_end(span)

    async def aclose(self, seconds: float) -> None:
        """Send what waits, for so long at most."""
        leaving = threading.Thread(target=self._processor.shutdown, name="spans-leaving", daemon=True)
        leaving.start()
        await asyncio.to_thread(leaving.join, seconds)
        self._collector.shutdown()
