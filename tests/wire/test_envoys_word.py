"""`envoy_payload`: the place that the operator names is the place that is read, and no other."""

import asyncio
import json
from pathlib import Path

import grpc.aio
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.demo.pki import Authority
from tests.fakes.issuer import FakeIssuer
from tests.wire.conftest import POLICY, Configure, Desk, served

PLACE = "envoy_payload: {namespace: acme, payload: p, header: h}\nexpose_reasons: true\n"
ELSEWHERE = "envoy.filters.http.jwt_authn"


def told(request: CheckRequest, token: str, namespace: str, payload: str = "p", header: str = "h") -> CheckRequest:
    first, second, _ = token.split(".")
    members = request.attributes.metadata_context.filter_metadata[namespace]
    members.update({header: json.loads(decoded(first) or b""), payload: json.loads(decoded(second) or b"")})
    return request


def reason(response: CheckResponse) -> str | None:
    found = [each.header.value for each in response.denied_response.headers if each.header.key == "x-ott-reason"]
    return found[0] if found else None


async def test_the_operators_place_is_read_and_no_other(configured: Configure, tmp_path: Path) -> None:
    settings = configured("native", PLACE)
    taking = POLICY.replace("    audience: wallet.api\n", "    audience: wallet.api\n    verified_by: envoy\n")
    (tmp_path / "policy.yaml").write_text(taking)
    identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
    address = f"unix:{tmp_path}/check.sock"
    async with served(settings, f"unix://{tmp_path}/check.sock") as app, grpc.aio.insecure_channel(address) as channel:
        await asyncio.sleep(0.01)  # past the fence of a list that was just made
        desk = Desk(app, channel, FakeIssuer(), identity)
        token = desk.token()
        for request in (
            desk.request(("x-ott", token)),
            told(desk.request(("x-ott", token)), token, ELSEWHERE),
            told(desk.request(("x-ott", token)), token, ELSEWHERE, "ott_payload", "ott_header"),
            told(desk.request(("x-ott", token)), token, "acme", "ott_payload", "ott_header"),
        ):
            assert reason(await desk.check(request)) == "verified_payload_missing"
        response = await desk.check(told(desk.request(("x-ott", token)), token, "acme"))
        assert response.HasField("ok_response")
        assert "x-ott" in response.ok_response.headers_to_remove
