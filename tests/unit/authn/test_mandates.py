"""Mandates in a token: read whole or refused; nothing that was signed to narrow it is ever left out."""

from decimal import Decimal
from ipaddress import IPv4Network
from typing import Any

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.mandates import MOST_DETAILS, WIDE, Narrowing, narrowing_from
from ott_extauthz.model.daily_hours import window_from
from ott_extauthz.model.mandate import Budget, Constraints, Money, RateLimit, RequestBinding

IAT = 1_795_000_000
NIGHT = {"from": "22:00", "to": "06:00", "zone": "Europe/Malta"}
BUDGET = {"amount": {"value": "100", "currency": "EUR"}, "count": 10, "since": IAT - 60, "until": IAT + 3600}


def narrowing(*details: Any, **claims: Any) -> Narrowing:
    wanted = claims | ({"authorization_details": list(details)} if details else {})
    return narrowing_from({"iss": "i", "sub": "s", **wanted}, IAT * 1000)


def mandate(**members: Any) -> dict[str, Any]:
    return {"type": "mandate", "identifier": "m-1", **members}


def test_a_token_without_any_is_the_same_value_every_time() -> None:
    assert narrowing() is WIDE


def test_every_constraint_is_read() -> None:
    detail = mandate(
        brand=["A", "B"],
        region="EU",
        cidr=["10.0.0.0/8"],
        asn=[64500],
        time_of_day=[NIGHT],
        rate_limit={"count": 10, "per": "1m"},
        max_amount={"value": "5000", "currency": "EUR"},
        budget=BUDGET,
    )
    expected = Constraints(
        origin="authorization_details[0]",
        identifier="m-1",
        brand=frozenset("AB"),
        region=frozenset({"EU"}),
        cidr=(IPv4Network("10.0.0.0/8"),),
        asn=frozenset({64500}),
        time_of_day=(window_from(NIGHT),),
        rate_limit=RateLimit(10, 60_000),
        max_amount=Money(Decimal(5000), "EUR"),
        budget=Budget(
            identifier="m-1",
            since_ms=(IAT - 60) * 1000,
            until_ms=(IAT + 3600) * 1000,
            amount=Money(Decimal(100), "EUR"),
            count=10,
        ),
    )
    assert narrowing(detail) == Narrowing(mandates=(expected,))


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "payment_initiation"},
        {"type": "Mandate", "brand": "A"},
        mandate(brand="A", locations=["https://wallet.api"]),
        mandate(brand="A", actions=["read"]),
        mandate(brand="A", datatypes=["x"]),
        mandate(brand="A", privileges=["admin"]),
        mandate(brand="A", country="MT"),
        mandate(brand="A", Brand="B"),
    ],
)
def test_what_is_not_known_is_named_as_a_restriction(detail: dict[str, Any]) -> None:
    found = narrowing(mandate(region="EU"), detail | {"identifier": "m-2"})
    assert found.restrictions == ("authorization_details[1]",)


@pytest.mark.parametrize(
    "details",
    [
        None,
        {},
        "mandate",
        [],
        [None],
        ["mandate"],
        [{}],
        [{"type": None}],
        [{"type": ["mandate"]}],
        [{"type": "mandate"}],
        [mandate()],
        [mandate(brand="A", identifier="")],
        [mandate(brand="A", identifier=None)],
        [mandate(brand="A", identifier="x" * 129)],
        [mandate(brand="A", identifier="a b")],
        [mandate(brand=None)],
        [mandate(brand=[])],
        [mandate(region=None)],
        [mandate(cidr="10.0.0.1/8")],
        [mandate(cidr=None)],
        [mandate(asn="64500")],
        [mandate(asn=None)],
        [mandate(time_of_day=[])],
        [mandate(time_of_day=None)],
        [mandate(time_of_day="22:00-06:00")],
        [mandate(rate_limit=None)],
        [mandate(max_amount=None)],
        [mandate(max_amount={"value": 5.5, "currency": "EUR"})],
        [mandate(max_amount={"value": "5", "currency": "EUR", "tolerance": "1"})],
        [mandate(budget=None)],
        [{"type": "mandate", "rate_limit": {"count": 1, "per": "1m"}}],
        [{"type": "mandate", "budget": BUDGET}],
        [mandate(brand="A"), mandate(brand="B")],
        [{"type": "mandate", "brand": "A"}] * (MOST_DETAILS + 1),
    ],
)
def test_what_is_malformed_refuses_the_token(details: Any) -> None:
    with pytest.raises(ClaimsError, match="authorization_details"):
        narrowing(authorization_details=details)


@pytest.mark.parametrize(
    "changes",
    [
        {"since": None},
        {"until": None},
        {"since": "2026"},
        {"until": True},
        {"since": IAT + 1},
        {"until": IAT - 60},
        {"until": IAT - 61},
        {"count": 0},
        {"count": None},
        {"amount": None},
        {"amount": "5"},
        {"refill": "1d"},
        {"since": float("nan")},
        {"until": 1e30},
    ],
)
def test_a_budget_that_is_malformed_refuses_the_token(changes: dict[str, Any]) -> None:
    with pytest.raises(ClaimsError, match=r"authorization_details|since|until"):
        narrowing(mandate(budget=BUDGET | changes))


@pytest.mark.parametrize("missing", ["since", "until"])
def test_a_budget_has_a_life(missing: str) -> None:
    with pytest.raises(ClaimsError, match=missing):
        narrowing(mandate(budget={name: value for name, value in BUDGET.items() if name != missing}))


def test_a_budget_of_nothing_is_none() -> None:
    with pytest.raises(ClaimsError):
        narrowing(mandate(budget={"since": IAT - 1, "until": IAT + 1}))


def test_a_budget_may_begin_with_its_token_and_not_after() -> None:
    assert narrowing(mandate(budget=BUDGET | {"since": IAT})).mandates[0].budget is not None


def test_the_longest_of_each_is_still_read() -> None:
    assert MOST_DETAILS == 8
    assert narrowing(mandate(brand="A", identifier="x" * 128)).mandates[0].identifier == "x" * 128
    binding = narrowing(htm="X" * 64, htp="/" + "a" * 4095).binding
    assert binding == RequestBinding(method="X" * 64, path="/" + "a" * 4095)


def test_as_many_mandates_as_the_bound_hold_together() -> None:
    assert len(narrowing(*({"type": "mandate", "brand": "A"} for _ in range(MOST_DETAILS))).mandates) == MOST_DETAILS


def test_a_region_of_the_token_itself_is_a_constraint_too() -> None:
    assert narrowing(region=["EU", "UK"]).mandates == (Constraints(origin="claim", region=frozenset({"EU", "UK"})),)
    wrong: tuple[object, ...] = (None, "", [], 1, {"EU": True})
    for value in wrong:
        with pytest.raises(ClaimsError, match="region"):
            narrowing(region=value)


def test_the_one_request_is_read() -> None:
    digest = bytes(range(32))
    found = narrowing(htm="POST", htp="/v1/wallets/{wallet}/debit", digest=encoded(digest))
    assert found == Narrowing(binding=RequestBinding("POST", "/v1/wallets/{wallet}/debit", digest))
    assert narrowing(htm="POST").binding == RequestBinding(method="POST")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("htm", value) for value in ("", "post", "POST ", "GET,POST", None, ["POST"], "X" * 65, "PO\nST")),
        *(
            ("htp", value)
            for value in ("", "v1", "/a b", "/a?b", "/a#b", "/\u00e9", None, ["/a"], "/" + "a" * 4096, "/a\n")
        ),
        *(
            ("digest", value)
            for value in (
                "",
                "x",
                encoded(bytes(31)),
                encoded(bytes(33)),
                encoded(bytes(32)) + "=",
                None,
                "sha-256=:" + encoded(bytes(32)) + ":",
                "B" * 43,
            )
        ),
    ],
)
def test_a_request_that_is_malformed_refuses_the_token(name: str, value: object) -> None:
    with pytest.raises(ClaimsError, match=name):
        narrowing(**{name: value})
