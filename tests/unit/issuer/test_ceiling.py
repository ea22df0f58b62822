"""What is within a ceiling, member by member; and what a ceiling writes into a token that says nothing."""

from typing import Any

import pytest

from ott_extauthz.issuer.audience_grant import AudienceGrant
from ott_extauthz.issuer.ceiling import exceeded
from ott_extauthz.issuer.details import Ceilinged, Span, joined, readable
from ott_extauthz.issuer.oauth_error import OAuthError

NOW_MS = 1_795_000_000_500
SPAN = Span(now_ms=NOW_MS, lifetime_ms=30_000)


def eur(value: str) -> dict[str, str]:
    return {"value": value, "currency": "EUR"}


def window(start: str, end: str, zone: str = "Europe/Malta") -> dict[str, str]:
    return {"from": start, "to": end, "zone": zone}


def budget(**parts: Any) -> dict[str, Any]:
    return {"since": 1_795_000_000, "until": 1_795_000_999, **parts}


def grant(**ceiling: Any) -> AudienceGrant:
    return AudienceGrant.model_validate({"scopes": ["a"], **ceiling})


def within(**ceiling: Any) -> Ceilinged:
    made = grant(**ceiling).ceiling
    return Ceilinged(ceiling=made, client_id="rgs", audience="wallet.api", new_identifier=lambda: "fresh-1")


def asked(**members: Any) -> dict[str, Any]:
    counts = {"identifier": "m-1"} if {"rate_limit", "budget"} & members.keys() else {}
    return {"type": "mandate", **counts, **members}


@pytest.mark.parametrize(
    ("ceiling", "member", "fine", "wide"),
    [
        ({"brands": ["A", "B"]}, "brand", ["A", ["A", "B"]], ["C", ["A", "C"], "a"]),
        ({"regions": "EU"}, "region", ["EU", ["EU"]], ["UK", ["EU", "UK"]]),
        (
            {"cidr": ["10.0.0.0/9", "10.128.0.0/9", "2001:db8::/32"]},
            "cidr",
            ["10.0.0.0/8", "10.1.2.3", ["10.3.0.0/16", "2001:db8:1::/48"], "::ffff:10.0.0.1"],
            ["0.0.0.0/0", "11.0.0.0/8", ["10.0.0.0/8", "192.0.2.1"], "::/0", "10.0.0.0/7"],
        ),
        ({"asn": [64500, 64501]}, "asn", [64500, [64500, 64501]], [64502, [64500, 64502]]),
        (
            {"time_of_day": [window("22:00", "06:00"), window("06:00", "07:00")]},
            "time_of_day",
            [window("22:00", "07:00"), [window("23:00", "24:00"), window("00:00", "06:30")]],
            [window("21:59", "23:00"), window("00:00", "24:00"), window("22:00", "06:00", "UTC"),
             window("06:00", "22:00")],
        ),
        (
            {"max_amount": eur("50")},
            "max_amount",
            [eur("50"), eur("49.99"), eur("0")],
            [eur("50.01"), {"value": "1", "currency": "USD"}],
        ),
        (
            {"rate_limit": {"count": 10, "per": "1m"}},
            "rate_limit",
            [{"count": 10, "per": "1m"}, {"count": 1, "per": "6s"}, {"count": 10, "per": "1h"}],
            [{"count": 11, "per": "1h"}, {"count": 1, "per": "5s"}, {"count": 10, "per": "59s"}],
        ),
        (
            {"budget": {"amount": eur("100"), "count": 5}},
            "budget",
            [budget(amount=eur("100"), count=5), budget(count=1), budget(amount=eur("1"))],
            [budget(count=6), budget(amount=eur("100.01")), budget(amount={"value": "1", "currency": "USD"})],
        ),
    ],
)  # fmt: skip
def test_each_member_is_compared_as_it_is_enforced(
    ceiling: dict[str, Any], member: str, fine: list[Any], wide: list[Any]
) -> None:
    limits = within(**ceiling)
    for value in fine:
        assert isinstance(joined([], [asked(**{member: value})], limits, SPAN), tuple), value
    for value in wide:
        found = joined([], [asked(**{member: value})], limits, SPAN)
        assert isinstance(found, OAuthError), value
        assert (found.error, member in found.description) == ("invalid_authorization_details", True)


WHOLE: dict[str, Any] = {
    "brands": ["B", "A"],
    "regions": "EU",
    "cidr": "10.0.0.0/8",
    "asn": [64501, 64500],
    "time_of_day": window("22:00", "24:00"),
    "max_amount": {"value": 50, "currency": "EUR"},
    "rate_limit": {"count": 3, "per": "31d"},
    "budget": {"amount": eur("100"), "count": 5},
}


def test_a_ceiling_writes_all_that_nobody_mentioned_and_the_check_server_reads_it_as_it_was_meant() -> None:
    found = joined([], [], within(**WHOLE), SPAN)
    assert not isinstance(found, OAuthError)
    plain, rate, total = found
    assert plain == {
        "type": "mandate", "brand": ["A", "B"], "region": ["EU"], "cidr": ["10.0.0.0/8"], "asn": [64500, 64501],
        "time_of_day": [window("22:00", "24:00")], "max_amount": eur("50"),
    }  # fmt: skip
    assert rate["rate_limit"] == {"count": 3, "per": "2678400s"}
    assert total == {
        "type": "mandate",
        "identifier": "fresh-1",
        "budget": {"since": 1_795_000_000, "until": 1_795_000_031, "amount": eur("100"), "count": 5},
    }
    mandates = readable(list(found), NOW_MS)
    assert mandates is not None
    ceiling = grant(**WHOLE).ceiling
    assert all(exceeded(mandate, ceiling) is None for mandate in mandates)
    assert mandates[0].time_of_day == ceiling.time_of_day
    assert mandates[1].rate_limit == ceiling.rate_limit


def test_a_rate_in_odd_milliseconds_is_written_as_it_is() -> None:
    found = joined([], [], within(rate_limit={"count": 3, "per": "1500ms"}), SPAN)
    assert not isinstance(found, OAuthError)
    assert found[0]["rate_limit"] == {"count": 3, "per": "1500ms"}


@pytest.mark.parametrize("part", ["amount", "count"])
def test_a_budget_of_one_part_is_written_with_that_part(part: str) -> None:
    found = joined([], [], within(budget={part: WHOLE["budget"][part]}), SPAN)
    assert not isinstance(found, OAuthError)
    assert found[0]["budget"].keys() == {"since", "until", part}


@pytest.mark.parametrize("part", ["amount", "count"])
def test_a_budget_that_leaves_a_part_open_does_not_stand_for_the_ceilings(part: str) -> None:
    mine = asked(budget=budget(**{part: WHOLE["budget"][part]}))
    found = joined([], [mine], within(budget=WHOLE["budget"]), SPAN)
    assert not isinstance(found, OAuthError)
    assert [detail["identifier"] for detail in found] == ["m-1", "fresh-1"]


def test_the_ceiling_is_written_beside_a_kept_mandate_that_is_wider_and_not_beside_one_within() -> None:
    limits = within(max_amount=eur("50"))
    narrow, wide = asked(max_amount=eur("49")), asked(max_amount=eur("51"))
    assert joined([narrow], [], limits, SPAN) == (narrow,)
    assert joined([wide], [], limits, SPAN) == (wide, asked(max_amount=eur("50")))
    assert joined([wide], [narrow], limits, SPAN) == (wide, narrow)


def test_what_a_subject_token_brings_may_be_asked_for_again_and_stands_once() -> None:
    wide = asked(max_amount=eur("51"), brand="A")
    assert joined([wide], [wide], within(), SPAN) == (wide,)


def test_the_rate_of_a_grant_differs_by_client_and_audience_and_never_by_token() -> None:
    def name(client_id: str, audience: str) -> object:
        ceiling = grant(rate_limit={"count": 3, "per": "1m"}).ceiling
        limits = Ceilinged(ceiling=ceiling, client_id=client_id, audience=audience, new_identifier=lambda: "x")
        found = joined([], [], limits, SPAN)
        assert not isinstance(found, OAuthError)
        kept = joined(found, [], limits, SPAN)  # a token that is exchanged by its own client
        assert kept == found
        return found[0]["identifier"]

    assert name("rgs", "a") == name("rgs", "a")
    assert len({name("rgs", "a"), name("rgs", "b"), name("batch", "a")}) == 3


def test_more_details_than_a_token_may_have_are_refused() -> None:
    many = [asked(brand=f"b-{number}") for number in range(8)]
    assert joined(many, [], within(), SPAN) == tuple(many)
    for found in (joined(many, [asked(brand="c")], within(), SPAN), joined(many, [], within(regions="EU"), SPAN)):
        assert isinstance(found, OAuthError)
        assert found.error == "invalid_authorization_details"
