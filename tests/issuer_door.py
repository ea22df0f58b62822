"""An issuer over real gRPC with mutual TLS, beside its HTTPS."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import jwt

from ott_extauthz._proto.ott.issuer.v1.issuer_pb2 import MintRequest, MintResponse
from ott_extauthz.bootstrap.issuer_batches import batch_server
from ott_extauthz.bootstrap.issuer_desks import desks_of
from ott_extauthz.issuer.order import DEFAULT_RING
from ott_extauthz.issuer.trail import NoTrail
from ott_extauthz.ports import KeyRing, Signer
from ott_extauthz.wire.issuer_grpc_server import IssuerServer
from tests.fakes.certificates import Leaf
from tests.fakes.issuing import OneKey
from tests.issuer_bank import Bank

MINT = "/ott.issuer.v1.Issuer/Mint"
GOOD: dict[str, Any] = {"audience": "wallet.api", "count": 1}


def with_grpc(bank: Bank) -> Bank:
    """Have a prepared bank speak gRPC as well."""
    text = (bank.folder / "ott.yaml").read_text().replace("listen: ", "grpc: '127.0.0.1:0', listen: ")
    (bank.folder / "ott.yaml").write_text(text)
    return bank


class Door:
    """A bank whose issuer also speaks gRPC."""

    def __init__(self, bank: Bank, *, grace: float = 5) -> None:
        self.bank = bank
        self._grace = grace
        self.inputs = with_grpc(bank).inputs()
        self.endpoint = bank.endpoint(self.inputs)
        self.server: IssuerServer = self.new_server()

    @property
    def ring(self) -> KeyRing:
        return self.inputs.rings[DEFAULT_RING]

    def new_server(self) -> IssuerServer:
        bank = self.bank
        desks = desks_of(self.inputs, self.endpoint, iat_lead_ms=500)
        server = batch_server(
            self.inputs, lambda: desks, clock=bank.clock, observer=bank.observer, trail=NoTrail(), grace=self._grace
        )
        assert server is not None
        return server

    def sign_with(self, signer: Signer) -> None:
        self.endpoint.minter._rings = {DEFAULT_RING: OneKey(signer)}

    def channel(self, leaf: Leaf | None) -> grpc.aio.Channel:
        identity = (leaf.key_pem, leaf.pem) if leaf else (None, None)
        credentials = grpc.ssl_channel_credentials(self.bank.authority.pem, *identity)
        return grpc.aio.secure_channel(self.server.address, credentials)

    async def mint(self, leaf: Leaf | None, **fields: Any) -> MintResponse:
        async with self.channel(leaf) as channel:
            return await self.ask(channel, **fields)

    async def ask(self, channel: grpc.aio.Channel, **fields: Any) -> MintResponse:
        call: Any = channel.unary_unary(
            MINT, request_serializer=MintRequest.SerializeToString, response_deserializer=MintResponse.FromString
        )
        answer: MintResponse = await call(MintRequest(**GOOD | fields), timeout=10)
        return answer

    def claims(self, token: str) -> dict[str, Any]:
        key = jwt.PyJWKSet.from_json(self.ring.jwks.decode()).keys[0]
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
        found: dict[str, Any] = jwt.decode(token, key, algorithms=["EdDSA"], options=options)
        return found


@contextlib.asynccontextmanager
async def opened(bank: Bank, *, grace: float = 5) -> AsyncIterator[Door]:
    found = Door(bank, grace=grace)
    await found.server.start()
    yield found
    await found.server.leave()
