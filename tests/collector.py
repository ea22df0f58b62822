"""A collector for tests: takes spans over OTLP/gRPC, as a real one does, and keeps them and their raw bytes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from ott_extauthz._proto.ott.otlp.v1.spans_pb2 import ExportRequest, ExportResponse, PartialSuccess, Span

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass
class Collector:
    """What came, and how to answer: ``refuses`` is the code that every batch is answered with."""

    address: str = ""
    refuses: grpc.StatusCode | None = None
    rejects: int = 0
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    batches: list[int] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    """Batches wait while it is cleared."""

    def take(self, request: bytes, context: grpc.ServicerContext) -> ExportResponse:
        self.held.wait(30)
        self.raw += request
        self.metadata.append(dict(context.invocation_metadata()))
        if self.refuses is not None:
            context.abort(self.refuses, "the collector's own words")
        batch = ExportRequest.FromString(request)
        found = [span for each in batch.resource_spans for scope in each.scope_spans for span in scope.spans]
        self.resources += [
            {pair.key: pair.value.string_value for pair in each.resource.attributes} for each in batch.resource_spans
        ]
        self.batches.append(len(found))
        self.spans += found
        return ExportResponse(partial_success=PartialSuccess(rejected_spans=self.rejects))

    def named(self, prefix: str) -> list[Span]:
        """The spans whose name begins so."""
        return [span for span in self.spans if span.name.startswith(prefix)]

    def children(self, parent: Span) -> dict[str, Span]:
        """The spans directly below one."""
        return {span.name: span for span in self.spans if span.parent_span_id == parent.span_id}


def attributes(span: Span) -> dict[str, str]:
    """A span's attributes."""
    return {pair.key: pair.value.string_value for pair in span.attributes}


@contextmanager
def collecting(credentials: grpc.ServerCredentials | None = None, port: int = 0) -> Iterator[Collector]:
    """Run one on loopback."""
    collector = Collector()
    collector.held.set()
    handler: grpc.RpcMethodHandler[bytes, ExportResponse] = grpc.unary_unary_rpc_method_handler(
        collector.take, response_serializer=ExportResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT, {"Export": handler}),))
    wanted = f"127.0.0.1:{port}"
    taken = server.add_insecure_port(wanted) if credentials is None else server.add_secure_port(wanted, credentials)
    collector.address = f"127.0.0.1:{taken}"
    server.start()
    try:
        yield collector
    finally:
        collector.held.set()
        server.stop(0).wait()
