"""Spans leave in time or are counted as dropped, and are never in anybody's way."""

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags
from prometheus_client import CollectorRegistry

from ott_extauthz.observe.span_counts import SpanCounts
from ott_extauthz.wire.span_export import Collector, SpanQueue
from tests import collector as receiver
from tests.processes import free_port

SECRET = "collector-hunter2-credential"


def spans(count: int) -> list[ReadableSpan]:
    context = SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return [
        ReadableSpan(name=f"s{number}", context=context, resource=Resource({}), start_time=1, end_time=2)
        for number in range(count)
    ]


@dataclass
class Sending:
    """A queue to a collector, and what became of spans."""

    address: str
    most: int = 1000
    batch: int = 10
    every_ms: int = 20
    timeout: float = 5.0
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    told: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.collector = Collector(
            grpc.insecure_channel(self.address), headers=(("authorization", SECRET),), timeout=self.timeout,
            counts=SpanCounts(self.registry), tell=self.told.append,
        )  # fmt: skip
        self.queue = SpanQueue(self.collector, most=self.most, batch=self.batch, every_ms=self.every_ms)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"ott_spans_{name}_total", labels) or 0

    async def until(self, name: str, count: float, **labels: str) -> None:
        async with asyncio.timeout(30):
            while self.counted(name, **labels) < count:  # noqa: ASYNC110 - threads of the SDK count
                await asyncio.sleep(0.01)


@pytest.fixture
def collector() -> Iterator[receiver.Collector]:
    with receiver.collecting() as running:
        yield running


async def test_spans_leave_in_batches_with_the_headers(collector: receiver.Collector) -> None:
    sending = Sending(collector.address)
    sending.queue.put(spans(25))
    await sending.until("exported", 25)
    assert [span.name for span in collector.spans] == [f"s{number}" for number in range(25)]
    assert max(collector.batches) <= 10
    assert collector.metadata[0]["authorization"] == SECRET
    await sending.queue.aclose(5)


async def test_leaving_sends_what_waits(collector: receiver.Collector) -> None:
    sending = Sending(collector.address, every_ms=60_000)
    sending.queue.put(spans(3))
    await sending.queue.aclose(20)
    assert (len(collector.spans), sending.counted("exported")) == (3, 3)


async def test_a_collector_that_hangs_does_not_hold_up_leaving(collector: receiver.Collector) -> None:
    collector.held.clear()
    sending = Sending(collector.address, timeout=60)
    sending.queue.put(spans(25))
    before = time.monotonic()
    await sending.queue.aclose(0.2)
    assert time.monotonic() - before < 10
    await sending.until("dropped", 25, why="export_failed")


async def test_a_queue_that_is_full_takes_no_more_and_counts_it(collector: receiver.Collector) -> None:
    collector.held.clear()
    sending = Sending(collector.address, most=64, batch=10, every_ms=10)
    for _ in range(100):
        sending.queue.put(spans(10))
    assert sending.counted("dropped", why="queue_full") == 940
    collector.held.set()
    await sending.until("exported", 60)
    sending.queue.put(spans(10))
    await sending.until("exported", 70)
    await sending.queue.aclose(5)


async def test_putting_never_waits_for_a_collector_that_is_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    patient = Sending(f"127.0.0.1:{free_port()}", timeout=60)
    before = time.monotonic()
    patient.queue.put(spans(10))
    assert time.monotonic() - before < 30
    await patient.queue.aclose(0)
    sending = Sending(f"127.0.0.1:{free_port()}", timeout=0.1)
    sending.queue.put(spans(10))
    await sending.until("dropped", 10, why="export_failed")
    await sending.queue.aclose(1)
    assert sending.told == ["DEADLINE_EXCEEDED"]
    assert SECRET not in caplog.text


async def test_failing_is_told_once_and_so_is_its_end(collector: receiver.Collector) -> None:
    sending = Sending(collector.address)
    collector.refuses = grpc.StatusCode.PERMISSION_DENIED
    sending.queue.put(spans(30))
    await sending.until("dropped", 30, why="export_failed")
    collector.refuses = None
    sending.queue.put(spans(5))
    await sending.until("exported", 5)
    await sending.queue.aclose(5)
    assert sending.told == ["PERMISSION_DENIED", None], "the collector's own words may quote a header: not told"


async def test_a_span_that_cannot_be_encoded_is_dropped_and_the_next_leaves(collector: receiver.Collector) -> None:
    sending = Sending(collector.address, batch=1)
    [broken] = spans(1)

    broken._context = None
    good = spans(1)
    sending.queue._processor._batch_processor.emit(broken)
    await sending.until("dropped", 1, why="export_failed")
    sending.queue.put(good)
    await sending.until("exported", 1)
    await sending.queue.aclose(5)


async def test_spans_that_the_collector_rejects_are_dropped(collector: receiver.Collector) -> None:
    collector.rejects = 3
    sending = Sending(collector.address)
    sending.queue.put(spans(10))
    await sending.until("exported", 7)
    assert sending.counted("dropped", why="rejected") == 3
    await sending.queue.aclose(5)


async def test_another_channel_and_other_headers_count_from_the_next_batch_on(collector: receiver.Collector) -> None:
    with receiver.collecting() as other:
        sending = Sending(collector.address)
        before = sending.collector._way.channel
        sending.queue.put(spans(3))
        await sending.until("exported", 3)
        for name in ("unused", "renewed"):
            sending.collector.use(grpc.insecure_channel(other.address), (("x-key", name),))
        sending.queue.put(spans(4))
        await sending.until("exported", 7)
        assert (len(collector.spans), len(other.spans)) == (3, 4)
        assert [other.metadata[0].get(name) for name in ("x-key", "authorization")] == ["renewed", None]
        assert is_closed(before)
        await sending.queue.aclose(5)


async def test_a_batch_under_way_is_not_cut_off_by_a_change(collector: receiver.Collector) -> None:
    collector.held.clear()
    sending = Sending(collector.address, timeout=60)
    sending.queue.put(spans(10))
    await until_under_way(sending)
    sending.collector.use(grpc.insecure_channel(collector.address), ())
    collector.held.set()
    await sending.until("exported", 10)
    await sending.queue.aclose(5)
    assert sending.counted("dropped", why="export_failed") == 0


async def test_what_comes_after_leaving_is_left_open_nowhere(collector: receiver.Collector) -> None:
    sending = Sending(collector.address)
    sending.collector.use(waiting := grpc.insecure_channel(collector.address), ())
    await sending.queue.aclose(5)
    assert is_closed(waiting)
    sending.collector.use(late := grpc.insecure_channel(collector.address), ())
    assert is_closed(late)


def is_closed(channel: grpc.Channel) -> bool:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/x")
    with pytest.raises((ValueError, grpc.RpcError)) as caught:
        call(b"", timeout=0.1)
    return caught.type is ValueError  # a closed channel takes no call


async def until_under_way(sending: Sending) -> None:
    """Wait until a batch has left the queue; the collector holds it."""
    async with asyncio.timeout(30):
        while sending.queue._processor._batch_processor._queue:  # noqa: ASYNC110 - the SDK tells nobody
            await asyncio.sleep(0.01)
