"""Whatever the text and whatever the request: an Outcome, no exception, and no ERROR that lets a request pass."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ott_extauthz.model.body import Body
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.money import MINOR_DIGITS
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.expressions.condition import Condition, Outcome, Truth, compiled
from ott_extauthz.policy.expressions.faults import ExpressionError
from ott_extauthz.policy.expressions.money import money_from
from ott_extauthz.policy.expressions.situation import (
    UNCLEAR,
    JsonBody,
    Mandate,
    Mesh,
    Peer,
    Request,
    Situation,
    Source,
    Token,
)
from ott_extauthz.policy.expressions.variables import VARIABLES

CONDITIONS = (
    "request.json.amount <= token.max_amount && request.path_params.wallet == token.sub",
    "money(request.json.amount, request.json.currency) <= token.max_amount",
    "ip(request.source.ip) in cidr(mandate.cidr) || request.source.asn in mandate.asn",
    "ip(request.json.ip) in cidr(request.json.net)",
    "local_time('Europe/Berlin').hour < 6 || local_time('America/New_York').weekday > 5",
    "request.json.items.all(x, x.amount <= token.max_amount)",
    "has(token.acr) && token.acr == 'x' || token.claims.tier > 3",
    "request.headers['a'] == request.query['a'][0] && 'b' in token.scope",
    "request.json != null && request.json.a[0].b == token.claims",
    "string(request.json.amount).matches('^[0-9]+$') && int(request.json.amount) > 0",
)
# Any code point, half surrogates and NUL among them.
text = st.text(st.characters(), max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(["amount", "currency", "items", "ip", "net", "a", "b", "tier", "wallet"])
mapping = st.dictionaries(members | text, anything, max_size=5)
instants = st.datetimes(min_value=datetime(1, 1, 1), timezones=st.just(UTC)) | st.datetimes()  # noqa: DTZ001


@st.composite
def bodies(draw: st.DrawFn) -> JsonBody | None:
    """A body through the reader, from values that JSON has and from those it has not."""
    try:
        raw = json.dumps(draw(mapping)).encode()
    except (TypeError, ValueError):
        return None
    read = json_body(Body(raw, is_complete=True))
    return None if isinstance(read, Reason) else JsonBody(read)


def built(kind: type, fields: tuple[str, ...], **always: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, **(dict.fromkeys(fields, anything | st.just(UNCLEAR)) | always))


situations = st.builds(
    Situation,
    request=built(
        Request,
        ("method", "host", "path", "path_params", "query", "headers"),
        time=instants,
        source=built(Source, ("ip", "asn")),
        json=bodies(),
    ),
    mesh=built(Mesh, ("policy_revision", "route", "region")),
    token=st.none()
    | built(
        Token,
        ("sub", "client_id", "iss", "aud", "id", "scope", "acr", "amr", "act"),
        claims=mapping,
        max_amount=st.none() | st.just(money_from("10", "EUR")),
    ),
    peer=st.none() | built(Peer, ("spiffe_id", "thumbprint")),
    mandate=st.none() | built(Mandate, ("brand", "cidr", "asn")),
)


@cache
def conditions() -> tuple[Condition, ...]:
    return tuple(map(compiled, (*CONDITIONS, *(f"{name} == {name}" for name in sorted(VARIABLES)))))


def is_sound(outcome: object) -> bool:
    return isinstance(outcome, Outcome) and (outcome.truth is not Truth.ERROR or not outcome.permits())


@settings(deadline=None)
@given(situations)
def test_no_situation_makes_a_condition_raise(where: Situation) -> None:
    for condition in conditions():
        outcome = condition.evaluate(where)
        assert is_sound(outcome)
        event(outcome.truth.value)


PIECES = (
    "has( ( ) [ ] { } , ? : . && || ! - in <= == all(x, exists(x, map(x, x 1 1u 1.5 'a' b'a' r'\\' null true dyn( "
    "money( ip( cidr( local_time( 'EUR' 'UTC' '10.0.0.0/8' timestamp( duration('1s') matches( size( //"
)
words = st.sampled_from([*VARIABLES, *CONDITIONS, *PIECES.split(), "\n"])


@settings(deadline=None)
@given(st.lists(words, max_size=12).map(" ".join) | text, situations)
def test_no_text_makes_the_compiler_raise_anything_else(source: str, where: Situation) -> None:
    try:
        condition = compiled(source)
    except ExpressionError as error:
        place = (error.line, error.column)
    else:
        event("compiled")
        place = (1, 1)
        assert is_sound(condition.evaluate(where))
    assert min(place) >= 1


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(sorted(MINOR_DIGITS)))
def test_money_has_the_order_of_its_minor_units(first: int, second: int, currency: str) -> None:
    digits = MINOR_DIGITS[currency]

    def written(units: int) -> str:
        whole, part = divmod(units, 10**digits)
        return f"{whole}.{part:0{digits}d}" if digits else str(whole)

    where = Situation(
        request=Request(method="GET", host="h", path="/", time=datetime(2026, 1, 1, tzinfo=UTC)),
        mesh=Mesh(policy_revision="1", route="r"),
        token=Token(
            sub=written(first), client_id="", iss="", aud="", id="", max_amount=money_from(written(second), currency)
        ),
    )
    condition = _subject_is_below()
    text_of_subject = Outcome(Truth.TRUE) if first <= second else Outcome(Truth.FALSE)
    assert condition.evaluate(where) == text_of_subject


@cache
def _subject_is_below() -> Condition:
    return compiled("money(token.sub, token.max_amount.currency) <= token.max_amount")
