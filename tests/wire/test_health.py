"""The health service as an attacker watches it: with a connection that takes no answer."""

import asyncio
import struct
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ott_extauthz.wire.health import Health
from ott_extauthz.wire.transports import listen, new_server

STATES = health_pb2.HealthCheckResponse
HEADERS, DATA, SETTINGS = 1, 0, 4
INITIAL_WINDOW = 4
END_HEADERS, END_STREAM = 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


async def deaf_watcher(port: int) -> asyncio.StreamWriter:
    """Watch without any window for the answer; returns once the server has begun it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = {
        b":method": b"POST", b":scheme": b"http", b":path": b"/grpc.health.v1.Health/Watch", b":authority": b"a",
        b"content-type": b"application/grpc", b"te": b"trailers",
    }  # fmt: skip
    writer.write(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, 0))
        + frame(HEADERS, END_HEADERS, 1, b"".join(header(*each) for each in asked.items()))
        + frame(DATA, END_STREAM, 1, bytes(5))
    )
    kind = None
    while kind != HEADERS:
        head = await asyncio.wait_for(reader.readexactly(9), 60)
        kind = head[3]
        await reader.readexactly(int.from_bytes(head[:3], "big"))
    return writer


@pytest.fixture(params=["native", "grpcio"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Health, int]]:
    server, health = new_server("native" if request.param == "native" else "grpcio"), Health()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = listen(server, "127.0.0.1:0", None)
    await server.start()
    await health.set("", STATES.SERVING)
    yield health, port
    await server.stop(0)


async def test_a_watcher_that_takes_no_answer_keeps_nobody_from_leaving_or_watching(served: tuple[Health, int]) -> None:
    health, port = served
    deaf = await deaf_watcher(port)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watched = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await asyncio.wait_for(watched.read(), 10)).status == STATES.SERVING
        await asyncio.wait_for(health.set("", STATES.NOT_SERVING), 10)
        assert (await asyncio.wait_for(watched.read(), 10)).status == STATES.NOT_SERVING
        assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)).status == STATES.NOT_SERVING
        watched.cancel()
    deaf.transport.abort()


async def test_a_service_that_nobody_has_heard_of_is_unknown_until_it_is(served: tuple[Health, int]) -> None:
    health, port = served
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="later"))
        assert (await asyncio.wait_for(watched.read(), 10)).status == STATES.SERVICE_UNKNOWN
        await health.set("later", STATES.SERVING)
        assert (await asyncio.wait_for(watched.read(), 10)).status == STATES.SERVING
        watched.cancel()
