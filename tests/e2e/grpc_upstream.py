"""A gRPC service behind Envoy: answers every unary method with the bytes it got and writes down the metadata."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

Metadata = tuple[tuple[str, str | bytes], ...]


class GrpcUpstream(grpc.GenericRpcHandler):
    """Serves any method; ``deliveries`` holds (method, metadata) in order of arrival."""

    def __init__(self) -> None:
        self.port = 0
        self.deliveries: list[tuple[str, Metadata]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        method = handler_call_details.method
        metadata = tuple((key, value) for key, value in handler_call_details.invocation_metadata or ())
        self.deliveries.append((method, metadata))
        return grpc.unary_unary_rpc_method_handler(_echoed)

    @contextmanager
    def running(self) -> Iterator["GrpcUpstream"]:
        server = grpc.server(ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((self,))
        self.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield self
        finally:
            server.stop(0).wait(10)


def _echoed(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return request
