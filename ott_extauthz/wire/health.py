"""Does the server serve (grpc.health.v1)?  For whoever asks and whoever watches; no watcher holds up another, or us.

grpcio's own servicer writes to each watcher under a lock that telling a new state takes, too: one that opens no window
for its answer kept the server from ever saying that it leaves, and so from leaving.
"""

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Answer = health_pb2.HealthCheckResponse
_Context = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no stubs
    """Tells states; what a watcher takes of them is its own affair."""

    def __init__(self) -> None:
        self._states: dict[str, Any] = {"": _Answer.SERVING}
        self._changed = asyncio.Event()

    async def set(self, service: str, status: "health_pb2.HealthCheckResponse.ServingStatus.ValueType") -> None:
        """Have everybody know a service's state."""
        self._states[service] = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(  # noqa: N802 - the service's own name
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """Tell a service's state."""
        if request.service not in self._states:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return _Answer(status=self._states[request.service])

    async def Watch(  # noqa: N802 - the service's own name
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> None:
        """Tell a service's state, and each that follows, until the watcher goes."""
        told = None
        while True:
            changed = self._changed  # first: a state that comes while we write is one more turn
            state = self._states.get(request.service, _Answer.SERVICE_UNKNOWN)
            if state != told:
                await context.write(_Answer(status=state))
            told = state
            await changed.wait()
