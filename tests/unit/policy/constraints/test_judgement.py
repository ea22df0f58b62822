"""Both sides of every edge of every constraint, and the name under which each is refused."""

import json
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.constraint_forms import names_from
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.constraints.judgement import constrained
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.limits import NO_LIMITS, AmountSource, BrandSource, Limits
from ott_extauthz.policy.pointer import pointer_from
from tests.fakes.asked import asked, mandate, whole

MAJOR = AmountSource(value=pointer_from("/amount/value"), currency=pointer_from("/amount/currency"))
MINOR = AmountSource(value=pointer_from("/cents"), currency_is="EUR", is_minor=True)


def judged(claims: dict[str, Any], limits: Limits = NO_LIMITS, **request: Any) -> Reason | None:
    found = constrained("debit", Request(asked(claims, **request), limits))
    if isinstance(found, tuple):
        return None
    [name] = claims.get("authorization_details", [{}])[0].keys() - {"type", "identifier"}
    assert found.detail == f"authorization_details[0].{name}"
    return found.reason


def test_a_token_without_mandates_on_a_route_without_limits_charges_nothing() -> None:
    assert constrained("debit", Request(asked(), NO_LIMITS)) == ()


@pytest.mark.parametrize(
    ("allowed", "here", "reason"),
    [
        ("EU", "EU", None),
        (["UK", "EU"], "EU", None),
        ("EU", "UK", Reason.REGION_DENIED),
        ("EU", "eu", Reason.REGION_DENIED),
        ("EU", None, Reason.REGION_DENIED),
        ("EU", "", Reason.REGION_DENIED),
    ],
)
def test_region(allowed: object, here: str | None, reason: Reason | None) -> None:
    assert judged(mandate(region=allowed), region=here) is reason


def test_the_tokens_own_region_is_held_beside_the_mandates() -> None:
    both = mandate(region=["EU", "UK"]) | {"region": "EU"}
    assert constrained("debit", Request(asked(both, region="EU"), NO_LIMITS)) == ()
    assert constrained("debit", Request(asked(both, region="UK"), NO_LIMITS)) == Rejection(
        Reason.REGION_DENIED, detail="claim.region"
    )


@pytest.mark.parametrize(
    ("network", "address", "is_inside"),
    [
        ("10.0.0.0/8", "10.255.255.255", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("10.0.0.0/8", "9.255.255.255", False),
        ("10.0.0.7/32", "10.0.0.7", True),
        ("10.0.0.7/32", "10.0.0.8", False),
        ("10.0.0.7", "10.0.0.6", False),
        ("0.0.0.0/0", "255.255.255.255", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "2001:db8::1", True),
        ("::/0", "1.2.3.4", False),
        ("::/0", "::ffff:1.2.3.4", False),
        ("1.2.3.4/32", "::ffff:1.2.3.4", True),
        ("1.2.3.4/32", "::ffff:102:304", True),
        ("::ffff:1.2.3.4/128", "1.2.3.4", True),
        ("::ffff:0:0/96", "9.9.9.9", True),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::", False),
        ("1.2.3.4/32", "::1.2.3.4", False),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "localhost", False),
        ("0.0.0.0/0", "/run/envoy.sock", False),
        ("0.0.0.0/0", "1.2.3.4:80", False),
        ("0.0.0.0/0", "010.0.0.1", False),
        ("::/0", "fe80::1%eth0", False),
        ("0.0.0.0/0", "16909060", False),
        ("0.0.0.0/0", "1.2.3.4 ", False),
    ],
)
def test_cidr(network: str, address: str, is_inside: bool) -> None:  # noqa: FBT001
    expected = None if is_inside else Reason.ADDRESS_DENIED
    assert judged(mandate(cidr=network), address=address) is expected
    assert judged(mandate(cidr=["192.0.2.0/24", network]), address=address) is expected


def test_asn() -> None:
    seen: list[object] = []

    def asn_of(address: IPv4Address | IPv6Address) -> int | None:
        seen.append(address)
        return 64500 if address == IPv4Address("10.0.0.7") else None

    assert judged(mandate(asn=[64500, 64501]), asn_of=asn_of) is None
    assert judged(mandate(asn=[64500]), asn_of=asn_of, address="::ffff:10.0.0.7") is None
    assert judged(mandate(asn=64501), asn_of=asn_of) is Reason.NETWORK_DENIED
    assert judged(mandate(asn=64500), asn_of=asn_of, address="10.0.0.8") is Reason.NETWORK_DENIED
    assert judged(mandate(asn=64500), asn_of=asn_of, address="nowhere") is Reason.NETWORK_DENIED
    assert judged(mandate(asn=64500)) is Reason.NETWORK_DENIED  # this server has no table of networks
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("second", "reason"),
    [(0, None), (-1, Reason.TIME_DENIED), (3599, None), (3600, Reason.TIME_DENIED)],
)
def test_time_of_day(second: int, reason: Reason | None) -> None:
    nine_utc = 1_795_078_800_000
    window = {"from": "09:00", "to": "10:00", "zone": "UTC"}
    assert judged(mandate(time_of_day=window), now_ms=nine_utc + second * 1000) is reason
    night = {"from": "22:00", "to": "04:00", "zone": "UTC"}
    assert judged(mandate(time_of_day=[night, window]), now_ms=nine_utc + second * 1000) is reason


HEADER, SEGMENT = BrandSource(header="x-brand"), BrandSource(segment=2)
IN_BODY = BrandSource(pointer=pointer_from("/brand"))
JSON = ("content-type", "application/json")


@pytest.mark.parametrize(
    ("source", "request_", "reason"),
    [
        (HEADER, {"headers": (("x-brand", "A"),)}, None),
        (HEADER, {"headers": (("x-brand", "B"),)}, Reason.BRAND_DENIED),
        (HEADER, {"headers": (("x-brand", "a"),)}, Reason.BRAND_DENIED),
        (HEADER, {"headers": (("x-brand", "A,B"),)}, Reason.BRAND_DENIED),
        (HEADER, {"headers": (("x-brand", "A"), ("x-brand", "A"))}, Reason.BRAND_DENIED),
        (HEADER, {"headers": (("x-brand", "A"), ("x_brand", "B"))}, Reason.BRAND_DENIED),
        (HEADER, {"headers": (("x-brand", ""),)}, Reason.BRAND_DENIED),
        (HEADER, {"headers": ()}, Reason.BRAND_DENIED),
        (SEGMENT, {"path": "/v1/brands/A/debit"}, None),
        (SEGMENT, {"path": "/v1/brands/B/debit"}, Reason.BRAND_DENIED),
        (SEGMENT, {"path": "/v1/brands/A;b=B/debit"}, Reason.BRAND_DENIED),
        (SEGMENT, {"path": "/v1/brands/%2541/debit"}, Reason.BRAND_DENIED),
        (SEGMENT, {"path": "/v1/brands/D;x/debit"}, Reason.BRAND_DENIED),
        (SEGMENT, {"path": "/v1/brands/D%20/debit"}, Reason.BRAND_DENIED),
        (SEGMENT, {"path": "/v1/brands"}, Reason.BRAND_DENIED),
        (IN_BODY, {"body": whole(b'{"brand": "A"}')}, None),
        (IN_BODY, {"body": whole(b'{"brand": "B"}')}, Reason.BRAND_DENIED),
        (IN_BODY, {"body": whole(b'{"brand": ["A"]}')}, Reason.BRAND_DENIED),
        (IN_BODY, {"body": whole(b'{"brand": null}')}, Reason.BRAND_DENIED),
        (IN_BODY, {"body": whole(b'{"brand": 7}')}, Reason.BRAND_DENIED),
        (IN_BODY, {"body": whole(b"{}")}, Reason.BRAND_DENIED),
        (IN_BODY, {"body": whole(b'{"brand": "A", "brand": "B"}')}, Reason.BODY_MALFORMED),
        (IN_BODY, {"body": NO_BODY}, Reason.BODY_INCOMPLETE),
        (BrandSource(), {"headers": (("x-brand", "A"),)}, Reason.BRAND_DENIED),
        (None, {"headers": (("x-brand", "A"), ("brand", "A")), "body": whole(b'{"brand": "A"}')}, Reason.BRAND_DENIED),
    ],
)
def test_brand(source: BrandSource | None, request_: dict[str, Any], reason: Reason | None) -> None:
    assert judged(mandate(brand=["A", "D;x", "D%20", "7"]), Limits(brand=source), **request_) is reason


@pytest.mark.parametrize(
    ("limit", "amount", "reason"),
    [
        (("5000", "EUR"), {"value": 5000, "currency": "EUR"}, None),
        (("5000", "EUR"), {"value": "5000.00", "currency": "EUR"}, None),
        (("5000", "EUR"), {"value": "5000.01", "currency": "EUR"}, Reason.AMOUNT_EXCEEDED),
        (("5000", "EUR"), {"value": "4999.99", "currency": "EUR"}, None),
        (("5000", "EUR"), {"value": 0, "currency": "EUR"}, None),
        (("5000", "EUR"), {"value": "5000.001", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "0.001", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "JPY"), {"value": "5000", "currency": "JPY"}, None),
        (("5000", "JPY"), {"value": "5001", "currency": "JPY"}, Reason.AMOUNT_EXCEEDED),
        (("5000", "JPY"), {"value": "4999.5", "currency": "JPY"}, Reason.AMOUNT_UNREADABLE),
        (("1.001", "BHD"), {"value": "1.001", "currency": "BHD"}, None),
        (("1.001", "BHD"), {"value": "1.002", "currency": "BHD"}, Reason.AMOUNT_EXCEEDED),
        (("5000", "EUR"), {"value": 1, "currency": "JPY"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": 1, "currency": "eur"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": 1, "currency": ["EUR"]}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": 1}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": -1, "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "-1", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": " 1", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "1e1", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "1,00", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "0x10", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "NaN", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": "", "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": True, "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": None, "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": [1], "currency": "EUR"}, Reason.AMOUNT_UNREADABLE),
        (("5000", "EUR"), {"value": 10**30, "currency": "EUR"}, Reason.AMOUNT_EXCEEDED),
        (("0", "EUR"), {"value": "0.00", "currency": "EUR"}, None),
        (("0", "EUR"), {"value": "0.01", "currency": "EUR"}, Reason.AMOUNT_EXCEEDED),
    ],
)
def test_max_amount(limit: tuple[str, str], amount: dict[str, object], reason: Reason | None) -> None:
    body = whole(json.dumps({"amount": amount}).encode())
    claims = mandate(max_amount={"value": limit[0], "currency": limit[1]})
    assert judged(claims, Limits(amount=MAJOR), body=body) is reason


EUR5 = mandate(max_amount={"value": "5", "currency": "EUR"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5.00", None),
        ("5.01", Reason.AMOUNT_EXCEEDED),
        ("5.000", None),
        ("5.0000000000000000000001", Reason.AMOUNT_UNREADABLE),
        ("5e0", Reason.AMOUNT_UNREADABLE),
        ("5E-1", Reason.AMOUNT_UNREADABLE),
        ("0.5e1", Reason.AMOUNT_UNREADABLE),
        ("-0.0", Reason.AMOUNT_UNREADABLE),
        ("-5.00", Reason.AMOUNT_UNREADABLE),
        ("NaN", Reason.BODY_MALFORMED),
        ("Infinity", Reason.BODY_MALFORMED),
        ("1" * 65, Reason.BODY_MALFORMED),
        ("4.999999999999999999", Reason.AMOUNT_UNREADABLE),
    ],
)
def test_a_json_number_is_read_exactly(text: str, reason: Reason | None) -> None:
    body = whole(b'{"amount": {"value": %s, "currency": "EUR"}}' % text.encode())
    assert judged(EUR5, Limits(amount=MAJOR), body=body) is reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("500", None),
        ("501", Reason.AMOUNT_EXCEEDED),
        ('"500"', None),
        ("500.0", None),
        ("499.5", Reason.AMOUNT_UNREADABLE),
    ],
)
def test_an_amount_in_minor_units(text: str, reason: Reason | None) -> None:
    assert judged(EUR5, Limits(amount=MINOR), body=whole(b'{"cents": %s}' % text.encode())) is reason
    yen = mandate(max_amount={"value": "5000", "currency": "JPY"})
    assert judged(yen, Limits(amount=MINOR), body=whole(b'{"cents": 1}')) is Reason.AMOUNT_UNREADABLE


def test_brand_and_amount_come_from_the_same_body() -> None:
    claims = mandate(brand="A", max_amount={"value": "5", "currency": "EUR"})
    limits = Limits(brand=IN_BODY, amount=MINOR)
    assert constrained("debit", Request(asked(claims, body=whole(b'{"brand": "A", "cents": 500}')), limits)) == ()
    found = constrained("debit", Request(asked(claims, body=whole(b'{"brand": "A", "cents": 501}')), limits))
    assert found == Rejection(Reason.AMOUNT_EXCEEDED, detail="authorization_details[0].max_amount")


GOOD = whole(b'{"cents": 1}')


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"body": GOOD}, None),
        ({"body": GOOD, "headers": (("content-type", "Application/JSON; charset=UTF-8"),)}, None),
        ({"body": GOOD, "headers": (("content-type", "application/vnd.bank+json"),)}, None),
        ({"body": GOOD, "headers": (JSON, ("content-encoding", "identity"))}, None),
        ({"body": GOOD, "headers": (JSON, ("content-encoding", "gzip"))}, Reason.BODY_MALFORMED),
        ({"body": GOOD, "headers": (JSON, *(("content-encoding", "identity"),) * 2)}, Reason.BODY_MALFORMED),
        ({"body": whole(b'{"cents": 1, "Cents": 900}')}, Reason.AMOUNT_UNREADABLE),
        ({"body": GOOD, "headers": ()}, Reason.BODY_MALFORMED),
        ({"body": GOOD, "headers": (JSON, JSON)}, Reason.BODY_MALFORMED),
        ({"body": GOOD, "headers": (("content-type", "application/x-www-form-urlencoded"),)}, Reason.BODY_MALFORMED),
        ({"body": GOOD, "headers": (("content-type", "application/json; charset=utf-16"),)}, Reason.BODY_MALFORMED),
        ({"body": GOOD, "headers": (("content-type", "text/plain; application/json"),)}, Reason.BODY_MALFORMED),
        ({"body": NO_BODY}, Reason.BODY_INCOMPLETE),
        ({"body": Body(b'{"cents": 1}', is_complete=False)}, Reason.BODY_INCOMPLETE),
        ({"body": Body(b'{"cents": 1}', is_complete=True, is_binary_safe=False)}, Reason.BODY_NOT_BINARY_SAFE),
        ({"body": whole(b"cents=1")}, Reason.BODY_MALFORMED),
        ({"body": whole(b'{"cents": 1, "cents": 900}')}, Reason.BODY_MALFORMED),
    ],
)
def test_an_amount_is_read_from_a_whole_json_body_alone(request_: dict[str, Any], reason: Reason | None) -> None:
    assert judged(EUR5, Limits(amount=MINOR), **request_) is reason


def test_an_amount_on_a_route_that_does_not_say_where_it_stands_is_refused() -> None:
    assert judged(EUR5, body=GOOD) is Reason.AMOUNT_UNREADABLE


def test_every_mandate_and_the_route_itself_hold_together() -> None:
    wide, narrow = {"type": "mandate", "region": ["EU", "UK"]}, {"type": "mandate", "region": "EU"}
    limits = Limits(constraints=Constraints(region=names_from(["UK", "MT"])))

    def detail(region: str, *details: dict[str, Any], limits: Limits = NO_LIMITS) -> str | None:
        claims = {"authorization_details": list(details)} if details else {}
        found = constrained("debit", Request(asked(claims, region=region), limits))
        return found.detail if isinstance(found, Rejection) else None

    assert detail("UK", wide) is None
    assert detail("UK", wide, narrow) == "authorization_details[1].region"
    assert detail("EU", wide, narrow) is None
    assert detail("EU", wide, narrow, limits=limits) == "constraints.region"
    assert detail("UK", wide, limits=limits) is None
    assert detail("EU", limits=limits) == "constraints.region"
