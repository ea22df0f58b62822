"""How does the Check server live?  Registered services, serving, and leaving without a failed call.

Leaving: say NOT_SERVING on the health service, wait until Envoy's health check has seen it, then stop taking calls and
give the running ones their grace.
"""

import asyncio
from typing import Final

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ott_extauthz.sections.server import Listen
from ott_extauthz.sections.serving import Drain
from ott_extauthz.wire.authorization import SERVICE, Authorization
from ott_extauthz.wire.health import Health
from ott_extauthz.wire.listening import ListenError, restrict
from ott_extauthz.wire.transports import listen, new_server

LIVENESS: Final = "liveness"
"""Health service name for liveness probes: SERVING as long as the process runs, also while it drains."""

_SERVED: Final = ("", SERVICE)


class CheckServer:
    """One gRPC server on one address, with Envoy's authorization service, health and reflection."""

    def __init__(self, *, authorization: Authorization, settings: Listen, address: str, drain: Drain) -> None:
        self._address = address
        self._drain = drain
        self._health = Health()
        self._server = new_server(settings.chosen_transport)
        _register(self._server, authorization, self._health)
        listen(self._server, address, settings.tls)
        self.is_serving = False

    async def start(self) -> None:
        """Take calls; ready as soon as this returns."""
        try:
            await self._server.start()
        except RuntimeError as error:  # the native transport's own socket for reflection: TMPDIR unwritable or too long
            raise ListenError(f"listen.check: the server does not start, look at TMPDIR: {error}") from None
        restrict(self._address)
        await self._health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        self.is_serving = True

    async def leave(self) -> None:
        """Drain and stop."""
        self.is_serving = False
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        await asyncio.sleep(self._drain.wait / 1000)
        await self._server.stop(self._drain.grace / 1000)

    async def _say(self, status: "health_pb2.HealthCheckResponse.ServingStatus.ValueType") -> None:
        for service in _SERVED:
            await self._health.set(service, status)


def _register(server: grpc.aio.Server, authorization: Authorization, servicer: Health) -> None:
    handlers = authorization.handlers()
    # Both calls, as grpcio's generated code makes them: the first serves grpc.aio, the second the native transport.
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
