"""Situations to evaluate conditions in: a complete one, and what a test changes of it."""

import json
from datetime import UTC, datetime
from typing import Any

from ott_extauthz.model.body import Body
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.expressions.money import money_from
from ott_extauthz.policy.expressions.situation import JsonBody, Mandate, Mesh, Peer, Request, Situation, Source, Token

INSTANT = datetime(2026, 7, 1, 22, 30, 15, tzinfo=UTC)
"""A Wednesday in UTC, and in Berlin Thursday, half past midnight."""


def body(value: object) -> JsonBody:
    read = json_body(Body(value if isinstance(value, bytes) else json.dumps(value).encode(), is_complete=True))
    assert not isinstance(read, Reason), read
    return JsonBody(read)


def request(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "method": "POST",
        "host": "wallet.api",
        "path": "/v1/wallets/alice/debit",
        "time": INSTANT,
        "path_params": {"wallet": "alice"},
        "query": {"tag": ["a", "b"]},
        "headers": {"x-brand": "A"},
        "source": Source(ip="10.1.2.3", asn=64500),
        "json": body({"amount": 12.5, "currency": "EUR", "none": None, "text": "x", "items": [1, 2, 3]}),
    }
    return Request(**(fields | changes))


def token(**changes: Any) -> Token:
    fields: dict[str, Any] = {
        "sub": "alice",
        "client_id": "rgs",
        "iss": "https://issuer.bank.example",
        "aud": "wallet.api",
        "id": "shown",
        "scope": ["wallet:debit"],
        "max_amount": money_from("5000", "EUR"),
        "claims": {"tier": 3, "nothing": None},
    }
    return Token(**(fields | changes))


def situation(**changes: Any) -> Situation:
    fields: dict[str, Any] = {
        "request": request(),
        "mesh": Mesh(policy_revision="r1", route="wallet-debit", region="EU"),
        "token": token(),
        "peer": Peer(spiffe_id="spiffe://bank.example/rgs", trust_domain="bank.example"),
        "mandate": Mandate(brand=["A"], cidr=["10.0.0.0/8", "2001:db8::/32"], asn=[64500]),
    }
    return Situation(**(fields | changes))


def empty() -> Situation:
    """Only what every request has: no token, no peer, no mandate, no body."""
    bare = Request(method="GET", host="h", path="/", time=INSTANT, query=None)
    return Situation(request=bare, mesh=Mesh(policy_revision="r1", route="r"))
