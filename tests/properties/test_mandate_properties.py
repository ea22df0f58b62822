"""Mandates: reading raises the one typed fault and nothing else, and never yields a wider mandate than was written."""

from decimal import Decimal
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.fault import ClaimsError
from ott_extauthz.authn.mandates import NARROWING, Narrowing, narrowing_from
from ott_extauthz.model.body import Body
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.money import MINOR_DIGITS, minor_units
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.constraints.judgement import constrained
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.limits import NO_LIMITS, AmountSource, Limits
from ott_extauthz.policy.pointer import pointer_from
from tests.fakes.asked import asked, mandate, whole

IAT = 1_795_000_000
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["A", "B", "EU", "a,b", "", "\ud800"])
NETWORKS = st.sampled_from(["10.0.0.0/8", "::/0", "::ffff:1.2.3.4", "10.0.0.1/8", "x", "0.0.0.0/0"])
MONEY = st.fixed_dictionaries(
    {"value": st.sampled_from(["5", "5.001", "1e3", 5, 5.0]), "currency": st.sampled_from(["EUR", "JPY", "x"])}
)
MEMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["mandate", "mandate", "payment", 1])},
    optional={
        "identifier": st.sampled_from(["m-1", "m-2", "", None]),
        "brand": st.lists(NAMES, max_size=3) | NAMES | JSON,
        "region": NAMES | JSON,
        "cidr": st.lists(NETWORKS, max_size=3) | JSON,
        "asn": st.lists(st.integers(-1, 2**33), max_size=3) | JSON,
        "time_of_day": st.fixed_dictionaries(
            {
                "from": st.sampled_from(["22:00", "24:00", "x"]),
                "to": st.sampled_from(["06:00", "24:00", "23:59:60"]),
                "zone": st.sampled_from(["UTC", "Europe/Malta", "../x", "right/UTC"]),
            }
        )
        | JSON,
        "rate_limit": st.fixed_dictionaries({"count": st.integers(-1, 5), "per": st.sampled_from(["1m", "0s", "x"])})
        | JSON,
        "max_amount": MONEY | JSON,
        "budget": st.fixed_dictionaries(
            {"since": st.sampled_from([IAT, IAT + 1, "x"]), "until": st.just(IAT + 60)},
            optional={"amount": MONEY, "count": st.integers(-1, 5)},
        )
        | JSON,
        "actions": JSON,
    },
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "authorization_details": st.lists(MEMBERS, max_size=3) | JSON,
        "htm": JSON,
        "htp": JSON,
        "digest": JSON,
        "region": JSON,
    },
)


def read(claims: dict[str, Any]) -> Narrowing | None:
    try:
        return narrowing_from(claims, IAT * 1000)
    except ClaimsError:
        return None


@given(CLAIMS)
def test_reading_raises_only_its_own_fault_and_leaves_nothing_out(claims: dict[str, Any]) -> None:
    found = read(claims)
    if found is None:
        return
    details = claims.get("authorization_details", [])
    mandates = {one.origin: one for one in found.mandates}
    for index, detail in enumerate(details):
        origin = f"authorization_details[{index}]"
        if origin in found.restrictions:
            continue
        read_from = mandates[origin]
        assert all(getattr(read_from, name) is not None for name in detail.keys() - {"type"})
    assert ("region" in claims) == ("claim" in mandates)
    bound = {
        name: getattr(found.binding, part, None)
        for name, part in (("htm", "method"), ("htp", "path"), ("digest", "digest"))
    }
    assert all((name in claims) == (value is not None) for name, value in bound.items())
    assert bool(found.restrictions or found.mandates or found.binding) == bool(claims.keys() & set(NARROWING))


@given(st.lists(st.sampled_from("ABCDE"), min_size=1), st.sampled_from("ABCDEF"))
def test_a_region_that_is_not_written_is_not_allowed(written: list[str], here: str) -> None:
    found = constrained("r", Request(asked(mandate(region=written), region=here), NO_LIMITS))
    assert isinstance(found, tuple) == (here in written)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses())
def test_an_address_outside_the_written_network_is_not_allowed(base: IPv4Address, length: int, peer: Any) -> None:
    network = ip_network((int(base) >> (32 - length) << (32 - length), length))
    claims = mandate(cidr=str(network))
    for text in (str(peer), f"::ffff:{base}"):
        address = ip_address(text)
        plain = getattr(address, "ipv4_mapped", None) or address
        is_allowed = isinstance(constrained("r", Request(asked(claims, address=text), NO_LIMITS)), tuple)
        assert is_allowed == (plain.version == 4 and plain in network)


@given(st.decimals(0, 10**6, places=3), st.decimals(0, 10**6, places=2), st.booleans())
def test_an_amount_above_the_written_one_is_not_allowed(asked_for: Decimal, limit: Decimal, is_text: bool) -> None:  # noqa: FBT001
    claims = mandate(max_amount={"value": f"{limit:f}", "currency": "EUR"})
    body = whole(
        f'{{"a": {asked_for:f}}}'.replace(
            f"{asked_for:f}", f'"{asked_for:f}"' if is_text else f"{asked_for:f}"
        ).encode()
    )
    limits = Limits(amount=AmountSource(value=pointer_from("/a"), currency_is="EUR"))
    is_allowed = isinstance(constrained("r", Request(asked(claims, body=body), limits)), tuple)
    assert is_allowed == (asked_for <= limit and minor_units(asked_for, MINOR_DIGITS["EUR"]) is not None)


@given(st.binary(max_size=300) | st.text(alphabet='[]{}":,\\u0de1.-+ntf ', max_size=200).map(str.encode))
def test_a_body_is_read_or_refused_and_nothing_is_raised(raw: bytes) -> None:
    value = json_body(Body(raw, is_complete=True))
    assert value is Reason.BODY_MALFORMED or not isinstance(value, Reason)
