"""The floor: a servicer that allows everything without looking, on the transport named by the first argument."""

import asyncio
import sys
from pathlib import Path

import grpc
import uvloop
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, OkHttpResponse
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ott_extauthz.wire.authorization import SERVICE
from ott_extauthz.wire.transports import new_server


async def _allow(_: CheckRequest, __: object) -> CheckResponse:
    return CheckResponse(ok_response=OkHttpResponse())


async def main(transport: str) -> None:
    """Serve until killed."""
    server = new_server("native" if transport == "native" else "grpcio")
    handler = grpc.unary_unary_rpc_method_handler(
        _allow, request_deserializer=CheckRequest.FromString, response_serializer=CheckResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Check": handler}),))
    server.add_registered_method_handlers(SERVICE, {"Check": handler})
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{Path.cwd()}/check.sock")
    await server.start()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    await asyncio.sleep(600)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
