"""Whatever is asked: nothing wider than the grant and the subject token comes out of a token exchange."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.mandates import narrowing_from
from ott_extauthz.issuer.ceiling import exceeded
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.exchange import TOKEN_EXCHANGE, TokenExchange
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MintOrder, check_narrowing
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.issuer.subject_tokens import ForeignRules, SubjectTokens
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import TokenKind
from tests.exchange_bank import CLIENTS, LOGIN, TYPE, eur, mandate, name_of
from tests.fakes.issuer import NOW_MS, FakeIssuer

OURS = FakeIssuer("https://issuer.bank.example", "k1", b"\5" * 32)
KNOWN = clients_from(CLIENTS, "clients.yaml")
GRANT = TokenExchange(
    issuer=OURS.issuer,
    clients=KNOWN,
    lifetime_ms=30_000,
    tokens=SubjectTokens(
        own=OURS.trusted,
        trust={LOGIN.issuer: LOGIN.trusted()},
        rules={
            LOGIN.issuer: ForeignRules(
                audience="casino", token_types=frozenset({"id_token", "access_token"}), prefix="p:"
            )
        },
        iat_lead_ms=500,
    ),
)
TYPES = tuple(TYPE + name for name in ("access_token", "jwt", "txn_token", "id_token"))
SCOPES = ("wallet:credit", "wallet:read", "ledger:write", "wallet:credit wallet:read", "wallet:debit")
TARGETS = ("wallet.api", "open.api", "ledger.api", "quiet.api", "casino.example")
SERVICES = ("jackpot", "wallet", "rival", "gateway")
DETAILS = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("mandate"), "brand": st.sampled_from(["aurora", ["aurora", "borealis"], "aurora", "other"])},
        optional={
            "max_amount": st.sampled_from(["1", "4999.99", "5000", "5000.01", "90000"]).map(eur),
            "cidr": st.sampled_from(["10.0.0.0/8", "0.0.0.0/0"]),
            "identifier": st.sampled_from(["m-1", "m-2"]),
        },
    ),
    min_size=1,
    max_size=2,
)
COUNTING = mandate(identifier="m-3", rate_limit={"count": 1, "per": "1m"})
# Requests that are granted, as: service, issuer, its type, presented as, of client, for, asked for, as
GRANTED = (
    ("jackpot", LOGIN.issuer, "JWT", "id_token", None, "casino", "wallet.api", "access_token"),
    ("jackpot", LOGIN.issuer, "at+jwt", "access_token", None, "casino", "open.api", "jwt"),
    ("jackpot", LOGIN.issuer, "JWT", "id_token", None, "casino", "quiet.api", "access_token"),
    ("jackpot", LOGIN.issuer, "JWT", "id_token", None, "casino", "casino.example", "txn_token"),
    ("jackpot", OURS.issuer, "at+jwt", "access_token", "jackpot", "wallet.api", "wallet.api", "jwt"),
    ("wallet", OURS.issuer, "at+jwt", "jwt", "jackpot", "wallet.api", "ledger.api", "jwt"),
    ("wallet", OURS.issuer, "txntoken+jwt", "txn_token", "jackpot", "casino.example", "casino.example", "txn_token"),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Requests that would be granted, but for a few things each."""
    service, issuer, typ, presented, client, audience, target, kind = draw(st.sampled_from(GRANTED))

    def mostly(good: Any, *others: Any) -> Any:
        return draw(st.sampled_from(others)) if draw(st.integers(0, 9)) == 9 else good

    subject = {
        "iss": mostly(issuer, OURS.issuer, LOGIN.issuer),
        "typ": mostly(typ, "at+jwt", "JWT", "ott+jwt", "txntoken+jwt"),
        "client_id": mostly(client, *SERVICES),
        "aud": mostly(audience, *TARGETS, "casino", ["casino", "open.api"]),
        "sub": mostly("u-1", name_of("jackpot"), "jackpot"),
        "scope": mostly("wallet:credit wallet:read", None, *SCOPES),
        "exp": NOW_MS / 1000 + mostly(20, -1, 0, 0.5, 1, 5000),
        "act": draw(st.sampled_from([None, {"sub": "a"}, {"sub": "b", "act": {"sub": "a"}}, *_actors(), {}, "a"])),
        "may_act": mostly(None, {"sub": name_of(service)}, {"sub": "x"}),
        "holder": mostly(service, None, *SERVICES),
        "authorization_details": draw(st.none() | DETAILS) or mostly(None, [COUNTING]),
    }
    form = {
        "subject_token_type": TYPE + mostly(presented, "id_token", "access_token", "txn_token"),
        "audience": mostly(target, *TARGETS),
        "requested_token_type": mostly(TYPE + kind, *TYPES),
        "scope": mostly("wallet:credit", *SCOPES),
    }
    if draw(st.booleans()):
        form["authorization_details"] = draw(DETAILS.map(json.dumps) | st.text(max_size=4))
    return mostly(service, *SERVICES), subject, {name: value for name, value in form.items() if value}


def _actors() -> list[dict[str, Any]]:
    return [{"sub": name_of(service), "client_id": service} for service in ("jackpot", "wallet")]


def digest_of(service: str) -> bytes:
    return service.encode().ljust(32, b".")


def requester(service: str) -> Requester:
    shown = PresentedCertificate(
        sha256=Thumbprint(digest_of(service)), uris=(name_of(service),), dns=(), subject_dn="", not_after_ms=NOW_MS + 1
    )
    return Requester(client=KNOWN[service], certificate=shown)


def signed(subject: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    said = dict(subject)
    typ, holder = said.pop("typ"), said.pop("holder")
    issuer = OURS if said["iss"] == OURS.issuer else LOGIN
    cnf = None if holder is None else {"x5t#S256": encoded(digest_of(holder))}
    context = {"req_wl": "w", "tctx": {"a": 1}} if typ == "txntoken+jwt" else {}
    claims = issuer.claims(NOW_MS, cnf=cnf, **context, **said)
    return issuer.token(claims, {"typ": typ}), claims


def judged(
    service: str, subject: dict[str, Any], form: dict[str, str]
) -> tuple[MintOrder | OAuthError, dict[str, Any]]:
    token, claims = signed(subject)
    fields = {name: [text] for name, text in form.items()}
    request = TokenRequest(
        form=fields | {"grant_type": [TOKEN_EXCHANGE], "subject_token": [token]}, certificate=None, now_ms=NOW_MS
    )
    return asyncio.run(GRANT.judge(request, requester(service))), claims


@settings(max_examples=500, deadline=None)
@given(requests())
def test_nothing_wider_than_the_grant_and_the_subject_token(asked: tuple[str, dict[str, Any], dict[str, str]]) -> None:
    service, subject, form = asked
    order, claims = judged(service, subject, form)
    if isinstance(order, OAuthError):
        assert order.status == 400
        assert order.description.isascii()
        return
    client = KNOWN[service]
    grant = client.audiences[order.audience]
    check_narrowing(order.narrowing, NOW_MS)
    is_foreign = claims["iss"] == LOGIN.issuer
    # whose it is, and for whom
    assert order.subject == ("p:" if is_foreign else "") + claims["sub"]
    assert order.kind in {token.kind for token in grant.tokens}
    audiences = {claims["aud"]} if isinstance(claims["aud"], str) else set(claims["aud"])
    holds = claims.get("cnf") in (None, {"x5t#S256": encoded(digest_of(service))})
    is_mine = is_foreign or claims["client_id"] == service
    assert (holds and is_mine) or audiences & set(client.is_audience)
    assert subject["typ"] != "ott+jwt"
    # how much
    assert order.scope <= frozenset(grant.scopes)
    assert order.scope <= frozenset(claims["scope"].split(" "))
    assert NOW_MS + order.lifetime_ms <= claims["exp"] * 1000
    assert order.not_after_ms is not None
    assert order.not_after_ms <= claims["exp"] * 1000
    details = order.narrowing.get("authorization_details", [])
    assert [detail for detail in claims.get("authorization_details", ()) if detail not in details] == []
    kept = claims.get("authorization_details", [])
    for detail in details:
        if detail not in kept:
            (added,) = narrowing_from({"authorization_details": [detail]}, NOW_MS).mandates
            assert exceeded(added, grant.ceiling) is None
    if grant.ceiling.max_amount is not None:
        mandates = narrowing_from(order.narrowing, NOW_MS).mandates
        limits = [mandate.max_amount for mandate in mandates if mandate.max_amount is not None]
        assert min(limit.value for limit in limits) <= grant.ceiling.max_amount.value
    # who acts
    me = {"sub": name_of(service), "client_id": service}
    if "act" in claims:
        assert order.act in (claims["act"], me | {"act": claims["act"]})
    elif order.act is None:
        assert grant.impersonates or order.subject == name_of(service)
    else:
        assert order.act == me
    assert order.may_act == claims.get("may_act")
    assert claims.get("may_act", {"sub": name_of(service)}) == {"sub": name_of(service)}
    # to what it is bound
    assert (order.thumbprint is None) == (order.kind is TokenKind.TRANSACTION)


@pytest.mark.parametrize("request_", GRANTED)
def test_what_the_property_starts_from_is_granted(request_: tuple[Any, ...]) -> None:
    service, issuer, typ, presented, client, audience, target, kind = request_
    subject = {
        "iss": issuer, "typ": typ, "client_id": client, "aud": audience, "sub": "u-1", "scope": "wallet:credit",
        "exp": NOW_MS / 1000 + 20, "act": {"sub": "a"}, "may_act": None, "holder": service,
        "authorization_details": None,
    }  # fmt: skip
    form = {"subject_token_type": TYPE + presented, "audience": target, "requested_token_type": TYPE + kind}
    order, _ = judged(service, subject, form | {"scope": "wallet:credit"})
    assert isinstance(order, MintOrder)
