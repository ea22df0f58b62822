"""What a condition sees: the proven values, each under its own name, and nothing where there are two readings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.asked import Asked
from ott_extauthz.policy.expressions import situation as seen
from ott_extauthz.policy.expressions.variables import VARIABLES
from ott_extauthz.policy.situations import situation_of
from tests.fakes.asked import asked
from tests.fakes.issuer import NOW_MS

ALL = frozenset(VARIABLES)
EUR = {"value": "50", "currency": "EUR"}


def situation(of: Asked | None = None, names: frozenset[str] = ALL, **parameters: int) -> seen.Situation:
    return situation_of(of or asked(), route="debit", parameters=parameters, names=names, body=None)


def called_by(principal: str, certificate: Thumbprint | Reason = Reason.CERTIFICATE_MISSING) -> Asked:
    request = asked()
    peer = replace(request.facts.peer, principal=principal, certificate=certificate)
    return replace(request, facts=replace(request.facts, peer=peer))


def token(claims: dict[str, Any]) -> seen.Token:
    found = situation(asked(claims)).token
    assert found is not None
    return found


def test_the_request_is_seen_in_its_canonical_spelling() -> None:
    body = seen.JsonBody({"amount": 1})
    of = asked(method="PUT", path="/v1/wallets/%37/debit?a=1", headers=(("x-a", "1"),), region="EU")
    found = situation_of(of, route="debit", parameters={"wallet": 2}, names=ALL, body=body)
    assert found.request == seen.Request(
        method="PUT",
        host="wallet.api",
        path="/v1/wallets/7/debit",
        time=datetime.fromtimestamp(NOW_MS // 1000, UTC),
        path_params={"wallet": "7"},
        query={"a": ["1"]},
        headers={"x-a": "1"},
        source=seen.Source(ip="10.0.0.7"),
        json=body,
    )
    assert found.mesh == seen.Mesh(policy_revision="r1", route="debit", region="EU")


def test_the_time_is_the_one_of_the_decision_to_the_millisecond() -> None:
    assert situation(asked(now_ms=1)).request.time == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("path", "wallet"),
    [("/v1/wallets/caf%C3%A9/x", "caf\u00e9"), ("/v1/wallets/a%20b/x", "a b")],
)
def test_a_path_parameter_is_seen_as_a_server_decodes_it_once(path: str, wallet: str) -> None:
    assert situation(asked(path=path), wallet=2, last=3).request.path_params == {"wallet": wallet, "last": "x"}


def test_a_header_that_came_twice_is_unclear() -> None:
    """Whichever of the two a condition compared, the upstream may take the other."""
    found = situation(asked(headers=(("x-role", "user"), ("x-role", "admin"), ("x-a", "1")))).request
    assert found.headers["x-a"] == "1"
    assert isinstance(found.headers["x-role"], seen.Unclear)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        ("a", {"a": [""]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("&&a=1&", {"a": ["1"]}),
        ("a+b=c+d%2Be", {"a b": ["c d+e"]}),
        ("%61=%C3%A9", {"a": ["\u00e9"]}),
        ("a=%2531", {"a": ["%31"]}),
    ],
)
def test_a_query_is_read_as_a_form(query: str, expected: dict[str, list[str]]) -> None:
    assert situation(asked(path=f"/?{query}")).request.query == expected


@pytest.mark.parametrize("query", ["a=1&b=%FF", "%C0%AF=1"])
def test_a_query_that_is_no_text_is_unclear(query: str) -> None:
    assert isinstance(situation(asked(path=f"/?{query}")).request.query, seen.Unclear)


def test_what_no_condition_names_is_not_worked_out() -> None:
    of = asked(path="/?a=1", asn_of=lambda _: pytest.fail("looked up"))
    found = situation(of, frozenset({"request.path"})).request
    assert (found.query, found.headers, found.source) == ({}, {}, seen.Source(ip="10.0.0.7"))


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.0.0.7", seen.Source(ip="10.0.0.7", asn=64500)),
        ("::ffff:10.0.0.7", seen.Source(ip="10.0.0.7", asn=64500)),
        ("10.0.0.8", seen.Source(ip="10.0.0.8")),
        ("fe80::1%eth0", seen.Source()),
        ("/run/envoy.sock", seen.Source()),
    ],
)
def test_the_source_is_one_address_in_one_spelling(address: str, source: seen.Source) -> None:
    of = asked(address=address, asn_of=lambda found: 64500 if str(found) == "10.0.0.7" else None)
    assert situation(of).request.source == source


@pytest.mark.parametrize(
    ("principal", "spiffe_id", "trust_domain"),
    [
        ("spiffe://bank.example/rgs", "spiffe://bank.example/rgs", "bank.example"),
        ("spiffe://bank.example/spiffe://evil/b", "spiffe://bank.example/spiffe://evil/b", "bank.example"),
        ("bank.example", None, None),
        ("x-spiffe://bank.example/rgs", None, None),
        ("https://bank.example/rgs", None, None),
        ("", None, None),
    ],
)  # fmt: skip
def test_only_a_spiffe_id_is_one(principal: str, spiffe_id: str | None, trust_domain: str | None) -> None:
    """Envoy falls back to a DNS name or the subject, which others may choose."""
    assert situation(called_by(principal)).peer == seen.Peer(spiffe_id=spiffe_id, trust_domain=trust_domain)


def test_the_certificate_is_seen_by_its_thumbprint_and_a_fault_in_reading_it_is_none() -> None:
    found = situation(called_by("", Thumbprint(b"\xff" * 32))).peer
    assert found == seen.Peer(thumbprint=encoded(b"\xff" * 32))
    assert situation(called_by("")).peer == seen.Peer()


def test_a_token_is_seen_claim_by_claim() -> None:
    own = {
        "sub": "alice", "client_id": "c", "aud": "a", "iss": "https://i", "scope": "b a", "txn": "t",
        "auth_time": 1.5, "acr": "high", "amr": ["pwd", "otp"], "sid": "s", "act": {"sub": "x"}, "tier": 3,
    }  # fmt: skip
    of = asked(own)
    assert situation(of).token == seen.Token(
        sub="alice",
        client_id="c",
        iss="https://i",
        aud="a",
        id=of.token.public_id,
        scope=["a", "b"],
        txn="t",
        auth_time=datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC),
        acr="high",
        amr=["pwd", "otp"],
        sid="s",
        act={"sub": "x"},
        claims=of.token.claims,
    )
    assert of.token.claims["tier"] == 3


def test_a_claim_that_is_not_there_is_absent() -> None:
    found = token({"txn": None})
    assert (found.txn, found.auth_time, found.acr, found.amr, found.sid, found.act) == (None,) * 6


def mandates(*details: dict[str, Any]) -> dict[str, Any]:
    return {"authorization_details": [{"type": "mandate", **detail} for detail in details]}


FULL = {
    "identifier": "m-1",
    "brand": ["B", "A"],
    "region": ["UK", "EU"],
    "cidr": ["10.0.0.0/8", "192.0.2.0/24"],
    "asn": [7, 3],
    "max_amount": EUR,
    "budget": {
        "amount": {"value": "9", "currency": "EUR"},
        "since": NOW_MS // 1000,
        "until": NOW_MS // 1000 + 9,
    },
}


def test_the_one_mandate_is_seen_whole() -> None:
    of = asked(mandates(FULL))
    [held] = of.token.mandates
    assert held.budget is not None
    found = situation(of)
    assert found.mandate == seen.Mandate(
        identifier="m-1",
        brand=["A", "B"],
        region=["EU", "UK"],
        cidr=["10.0.0.0/8", "192.0.2.0/24"],
        asn=[3, 7],
        max_amount=held.max_amount,
        budget=held.budget.amount,
    )
    assert found.token is not None
    assert found.token.max_amount == held.max_amount is not None


def test_what_a_mandate_does_not_have_is_absent() -> None:
    assert situation(asked(mandates({"brand": "A"}))).mandate == seen.Mandate(brand=["A"])
    assert situation(asked(mandates({"region": "EU"}))).mandate == seen.Mandate(region=["EU"])


def test_a_workload_that_is_not_proven_has_no_name_in_conditions() -> None:
    of = called_by("spiffe://bank.example/rgs")
    peer = replace(of.facts.peer, is_proven=False)
    found = situation(replace(of, facts=replace(of.facts, peer=peer)))
    assert found.peer is not None
    assert (found.peer.spiffe_id, found.peer.trust_domain) == (None, None)
