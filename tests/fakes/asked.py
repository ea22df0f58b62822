"""A verified token and a request with it, as the rules of a policy see them."""

from collections.abc import Mapping
from typing import Any

from ott_extauthz.authn.claims import token_from
from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.facts import Facts, Peer
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.asked import Asked
from ott_extauthz.policy.target import canonical_target
from ott_extauthz.ports import AsnLookup
from tests.fakes.issuer import NOW_MS, FakeIssuer

JSON_TYPE = (("content-type", "application/json"),)


def whole(raw: bytes) -> Body:
    return Body(raw, is_complete=True)


def asked(
    claims: Mapping[str, Any] | None = None,
    *,
    method: str = "POST",
    path: str = "/v1/wallets/7/debit",
    headers: tuple[tuple[str, str], ...] = JSON_TYPE,
    address: str = "10.0.0.7",
    body: Body = NO_BODY,
    now_ms: int = NOW_MS,
    region: str | None = None,
    asn_of: AsnLookup | None = None,
) -> Asked:
    collected: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        collected[name] = (*collected.get(name, ()), value)
    peer = Peer(address=address, port=4, principal="", certificate=Reason.CERTIFICATE_MISSING)
    target = canonical_target(method, "https", "wallet.api", path)
    assert not isinstance(target, Rejection)
    facts = Facts(
        method=method, scheme="https", host="wallet.api", path=path, headers=collected, peer=peer,
        stream_id="1", started_at_us=1, context_extensions={}, body=body,
    )  # fmt: skip
    return Asked(
        facts=facts,
        target=target,
        token=token_from(FakeIssuer().claims(**(claims or {}))),
        now_ms=now_ms,
        policy_revision="r1",
        region=region,
        asn_of=asn_of,
    )


def mandate(**members: Any) -> dict[str, Any]:
    """Claims with one mandate; ``identifier`` None leaves it out."""
    detail = {"type": "mandate", "identifier": "m-1"} | members
    return {"authorization_details": [{name: value for name, value in detail.items() if value is not None}]}
