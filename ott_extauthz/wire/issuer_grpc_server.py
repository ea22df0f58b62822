"""How does the issuer's gRPC server live?  mTLS only, with health and reflection; it leaves without a lost token.

Leaving: say NOT_SERVING, end the streams between two requests, give what is running its grace.
"""

from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ott_extauthz.sections.server import Tls
from ott_extauthz.wire.health import Health
from ott_extauthz.wire.issuer_grpc import SERVICE, IssuerService
from ott_extauthz.wire.listening import restrict
from ott_extauthz.wire.stream_places import StreamPlaces
from ott_extauthz.wire.transports import listen

MAX_REQUEST_BYTES: Final = 64 * 1024
_MAX_CALLS: Final = 1024
_MOST_STREAMS: Final = 256  # of one workload; whoever gets none mints by calls
_CONNECTION_MS: Final = 3_600_000
_CONNECTION_GRACE_MS: Final = 30_000
_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),  # a client with an idle stream asks whether we live
    # A connection keeps what TLS verified at its start; a CA that is taken out counts for nobody after this.
    ("grpc.max_connection_age_ms", _CONNECTION_MS),
    ("grpc.max_connection_age_grace_ms", _CONNECTION_GRACE_MS),
]
_SERVED: Final = ("", SERVICE)


class IssuerServer:
    """One gRPC server on one address, with the ``Issuer`` service, health and reflection."""

    def __init__(self, *, service: IssuerService, address: str, tls: Tls, grace: float) -> None:
        """Bind the address.

        Raises:
            ListenError: it is taken, or a TLS file cannot be used.
        """
        self._service = service
        self._grace = grace
        self._health = Health()
        self._server = grpc.aio.server(
            options=_OPTIONS, maximum_concurrent_rpcs=_MAX_CALLS, interceptors=[StreamPlaces(_MOST_STREAMS)]
        )
        handlers = service.handlers()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        port = listen(self._server, address, tls, setting="issuer.grpc", tls_setting="issuer.tls")
        self.address = address if address.startswith("unix://") else f"{address.rpartition(':')[0]}:{port}"
        """The one really taken: with port 0 the system chose it."""

    async def start(self) -> None:
        """Take calls; ready as soon as this returns."""
        await self._server.start()
        restrict(self.address)
        await self._say(health_pb2.HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Drain and stop."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._service.leaving.set()
        await self._server.stop(self._grace)

    async def _say(self, status: "health_pb2.HealthCheckResponse.ServingStatus.ValueType") -> None:
        for service in _SERVED:
            await self._health.set(service, status)
