"""What a route's author writes about constraints: compiled as meant, or told at its place."""

import re
from ipaddress import IPv4Network

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.constraint_forms import windows_from
from ott_extauthz.model.mandate import Constraints, RateLimit
from ott_extauthz.model.money import money_from
from ott_extauthz.policy.constraints.document import LimitedRoute
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.limits import NO_LIMITS, AmountSource, Bound, BrandSource, Limits
from ott_extauthz.policy.pointer import Pointer

ROUTE = """
revision: r1
routes:
  - name: debit
    match: {{path: "/v1/brands/{{brand}}/debit"}}
    credential: one_time_token
    audience: wallet.api
{more}
"""
NIGHT = {"from": "22:00", "to": "06:00", "zone": "Europe/Malta"}


def limits(*lines: str) -> Limits:
    text = ROUTE.format(more="\n".join(f"    {line}" for line in lines))
    [route] = policy_from(text, "p.yaml").table.routes
    return route.limits


def problem(*lines: str) -> str:
    with pytest.raises(DocumentError) as caught:
        limits(*lines)
    [found] = caught.value.problems
    return str(found)


def test_a_route_that_says_nothing_has_no_limits() -> None:
    assert limits() is NO_LIMITS


def test_everything_a_route_can_say() -> None:
    assert limits(
        "brand: {from: {path: brand}}",
        "amount: {value: /amount/value, currency: /amount/currency}",
        "bound_to_request: [method, path, body]",
        "allow_unbuffered_empty: true",
        "constraints:",
        "  brand: [A, B]",
        "  region: EU",
        "  cidr: [10.0.0.0/8]",
        "  asn: 64500",
        "  time_of_day: {from: 22:00, to: 06:00, zone: Europe/Malta}",
        "  rate_limit: {count: 10, per: 1m}",
        '  max_amount: {value: "5000", currency: EUR}',
    ) == Limits(
        brand=BrandSource(segment=2),
        amount=AmountSource(value=Pointer(("amount", "value")), currency=Pointer(("amount", "currency"))),
        bound_to_request=frozenset(Bound),
        allow_unbuffered_empty=True,
        constraints=Constraints(
            brand=frozenset("AB"),
            region=frozenset({"EU"}),
            cidr=(IPv4Network("10.0.0.0/8"),),
            asn=frozenset({64500}),
            time_of_day=windows_from(NIGHT),
            rate_limit=RateLimit(10, 60_000),
            max_amount=money_from({"value": "5000", "currency": "EUR"}),
        ),
    )


def test_the_other_places_of_brand_and_amount() -> None:
    assert limits("brand: {from: {header: x-brand}}").brand == BrandSource(header="x-brand")
    assert limits("brand: {from: {body: /brand}}").brand == BrandSource(pointer=Pointer(("brand",)))
    source = limits("amount: {value: /cents, currency_is: EUR, unit: minor}").amount
    assert source == AmountSource(value=Pointer(("cents",)), currency_is="EUR", is_minor=True)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["brand: {from: {}}"], "exactly one of header"),
        (["brand: {from: {header: x-brand, body: /brand}}"], "exactly one of header"),
        (["brand: {from: {header: X-Brand}}"], "match pattern"),
        (["brand: {from: {header: x_brand}}"], "match pattern"),
        (["brand: {from: {path: wallet}}"], "no parameter"),
        (["brand: {from: {body: brand}}"], "JSON pointer starts with /"),
        (["amount: {value: /amount}"], "exactly one of currency"),
        (["amount: {value: /amount, currency: /currency, currency_is: EUR}"], "exactly one of currency"),
        (["amount: {value: /amount, currency_is: euro}"], "ISO 4217"),
        (["amount: {value: /amount, currency_is: EUR, unit: cents}"], "'major' or 'minor'"),
        (["constraints: {}"], "constrains nothing"),
        (["constraints: {brand: A}"], "needs brand"),
        (["constraints: {max_amount: {value: 5, currency: EUR}}"], "needs amount"),
        (["constraints: {budget: {count: 5}}"], "unknown key"),
        (["constraints: {country: MT}"], "unknown key"),
        (["constraints: {region: []}"], "list of 1 to"),
        (["constraints: {cidr: 10.0.0.1/8}"], "behind the prefix"),
        (["constraints: {asn: AS64500}"], "integer"),
        (["constraints: {time_of_day: {from: 22:00, to: 23:59:60, zone: UTC}}"], "leap second"),
        (["constraints: {time_of_day: {from: 22:00, to: 06:00, zone: Malta}}"], "zone"),
        (["constraints: {rate_limit: {count: 10, per: 60}}"], "per"),
        (
            ["amount: {value: /a, currency_is: EUR}", "constraints: {max_amount: {value: 5.001, currency: EUR}}"],
            "value",
        ),
        (
            ["amount: {value: /a, currency_is: EUR}", "constraints: {max_amount: {value: 5, currency: JPY}}"],
            "two currencies",
        ),
        (["bound_to_request: []"], "at least 1"),
        (["bound_to_request: [query]"], "'method', 'path' or 'body'"),
        (["bound_to_request:"], "no value"),
    ],
)
def test_a_mistake_is_told(lines: list[str], message: str) -> None:
    assert re.search(message, problem(*lines))


def test_a_rest_of_the_path_is_no_brand() -> None:
    text = ROUTE.format(more="    brand: {from: {path: rest}}").replace("{brand}/debit", "{rest**}")
    with pytest.raises(DocumentError, match="no parameter"):
        policy_from(text, "p.yaml")


@pytest.mark.parametrize(
    "line",
    [
        "brand: {from: {header: x-brand}}",
        "amount: {value: /a, currency_is: EUR}",
        "constraints: {region: EU}",
        "bound_to_request: [method]",
        "allow_unbuffered_empty: true",
    ],
)
def test_a_public_route_would_only_look_guarded(line: str) -> None:
    text = (
        ROUTE.format(more=f"    {line}").replace("one_time_token", "public").replace("    audience: wallet.api\n", "")
    )
    with pytest.raises(DocumentError, match="public route"):
        policy_from(text, "p.yaml")


def test_every_key_is_described() -> None:
    schema = LimitedRoute.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        assert all(field.get("description") for field in model["properties"].values()), model["title"]
