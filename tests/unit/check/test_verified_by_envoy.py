"""`verified_by: envoy` at the desk: only that route takes Envoy's word, and everything else is as ever."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from tests.fakes.desk import CALLER, Desk
from tests.unit.authn.test_verified_payload import metadata

POLICY = """
revision: "r1"
routes:
  - name: verified
    match: {hosts: [wallet.api], methods: [POST], path: "/verified"}
    credential: one_time_token
    audience: wallet.api
    verified_by: envoy
  - name: usual
    match: {hosts: [wallet.api], methods: [POST], path: "/usual"}
    credential: one_time_token
    audience: wallet.api
"""


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(decoded(token.split(".")[1]) or b"")
    return claims


async def asked(
    desk: Desk,
    token: str,
    path: str = "/verified",
    told: Mapping[str, Mapping[str, Any]] | None = None,
    certificate: Thumbprint = CALLER,
) -> Decision:
    facts = desk.facts(("x-ott", token), path=path, certificate=certificate)
    return await desk.ask(replace(facts, metadata=metadata(claims_of(token)) if told is None else told))


def reason(decision: Decision) -> Reason:
    assert isinstance(decision, Deny)
    return decision.reason


def forged(token: str) -> str:
    return token[:-8] + "AAAAAAAA"


async def test_envoys_word_is_taken_where_the_route_takes_it_and_nowhere_else() -> None:
    desk = Desk(policy=POLICY)
    token = desk.token()
    assert reason(await asked(desk, forged(token), "/usual")) is Reason.TOKEN_SIGNATURE_INVALID
    assert reason(await asked(desk, token, told={})) is Reason.VERIFIED_PAYLOAD_MISSING
    assert isinstance(await asked(desk, token), Allow)


async def test_the_token_is_spent_once_for_both_kinds_of_route() -> None:
    desk = Desk(policy=POLICY)
    token = desk.token()
    assert isinstance(await asked(desk, token), Allow)
    assert reason(await asked(desk, token)) is Reason.TOKEN_REPLAYED
    assert reason(await asked(desk, token, "/usual")) is Reason.TOKEN_REPLAYED


async def test_the_binding_is_ours_to_judge() -> None:
    desk = Desk(policy=POLICY)
    found = await asked(desk, desk.token(), certificate=Thumbprint(b"\x09" * 32))
    assert reason(found) is Reason.CERTIFICATE_MISMATCH


async def test_the_token_leaves_the_request() -> None:
    desk = Desk(policy=POLICY)
    found = await asked(desk, desk.token())
    assert isinstance(found, Allow)
    assert "x-ott" in found.headers_to_remove
