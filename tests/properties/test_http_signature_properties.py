"""HTTP message signatures: nothing a client sends raises, what is signed is taken, and what is changed is not."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.http_signatures.base import signature_base, signature_parameters
from ott_extauthz.authn.http_signatures.content_digest import is_digest_of
from ott_extauthz.authn.http_signatures.offered import OfferError, input_of, offers_in
from ott_extauthz.authn.http_signatures.query import decoded, encoded, single_parameters
from ott_extauthz.authn.http_signatures.verifying import Signed, Wanted, verified
from ott_extauthz.model.message_component import Component, component_from
from ott_extauthz.model.rejection import Rejection
from tests.fakes.signed_requests import CREATED, partner, request, signed

ANY_VALUE = st.text(st.characters(max_codepoint=255), max_size=60)
# Pieces of the grammar in any order come closer to it than random characters do.
PIECES = st.lists(
    st.sampled_from([
        "sig", "a", "=", "(", ")", " ", ";", ",", '"', ":", "AAAA", "?1", "?0", "1", "1.5", "-", "@1", '%"', "*", "\\",
        '"@method"', '"@path"', '"x"', '"content-digest"', "bs", "sf", "key", "name", "created", "keyid", '"ed25519"',
        "nonce", "expires", "alg", "tag", "sha-256", "999999999999999", "\xff", "\n", "\t",
    ]),
    max_size=24,
).map("".join)  # fmt: skip
FIELDS = PIECES | ANY_VALUE
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip)
PARTNER = partner()


@given(FIELDS, FIELDS, FIELDS, FIELDS, st.text(max_size=40))
def test_nothing_in_the_headers_or_the_target_raises(
    given_input: str, value: str, digest: str, other: str, tail: str
) -> None:
    headers = {
        "signature-input": (given_input,),
        "signature": (value,),
        "content-digest": (digest,),
        "x": (other, other),
    }
    message = request(f"/{tail}", headers=headers)
    assert isinstance(verified(message, b"", [PARTNER], Wanted()), Rejection)
    is_digest_of(digest, b"")
    try:
        for offer in offers_in(headers):
            input_of(offer)
    except OfferError:
        pass


@given(PIECES | st.text(max_size=30), FIELDS, st.text(max_size=30))
def test_a_component_has_a_value_or_none_and_no_value_has_a_line_break(text: str, field: str, query: str) -> None:
    try:
        component = component_from(text)
    except ValueError:
        return
    assert component_from(str(component)) == component
    value = request(f"/?{query}", headers={"x": field, "content-digest": field}).value(component)
    assert value is None or (value.isascii() and "\n" not in value and "\r" not in value)


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), st.integers(-(10**14), 10**14))
def test_parameters_are_read_as_they_were_written(texts: dict[str, str], created: int) -> None:
    told: dict[str, Any] = dict(zip(("keyid", "nonce", "alg", "tag"), texts.values(), strict=False)) | {
        "created": created
    }
    components = [Component("@method"), Component("x", (("key", "a b"),))]
    text = signature_parameters(components, told)
    (offer,) = offers_in({"signature-input": (f"l={text}",), "signature": ("l=:AAAA:",)})
    found = input_of(offer)
    assert found.parameters_text == text
    assert list(found.components) == components
    assert (found.created, found.nonce, found.tag) == (created, told.get("nonce"), told.get("tag"))


@given(
    st.text(st.sampled_from("abAB09-._~%2F/"), max_size=12),
    st.text(st.sampled_from("ab=&%20+?"), max_size=12) | st.none(),
    VALUES,
    st.binary(max_size=40),
    TEXTS,
)
def test_what_is_signed_is_taken_and_only_as_it_was_signed(
    path: str, query: str | None, header: str, content: bytes, nonce: str
) -> None:
    target = f"/{path}" if query is None else f"/{path}?{query}"
    covered = ("@method", "@authority", "@path", "@query", "content-digest", "x")
    sent = signed(*covered, message=request(target, headers={"x": header}), content=content, nonce=nonce)
    assert isinstance(verified(sent.message, content, [PARTNER], Wanted()), Signed)
    later = sent.message.headers["signature-input"][0].replace(f"created={CREATED}", f"created={CREATED + 1}")
    for changed, body in (
        (sent, content + b"x"),
        (sent.with_(target=f"{target}x"), content),
        (sent.with_headers(x=f"{header}x"), content),
        (sent.with_headers(x=(header, header)), content),
        (sent.with_(method="GET"), content),
        (sent.with_headers(signature_input=later), content),
    ):
        assert isinstance(verified(changed.message, body, [PARTNER], Wanted()), Rejection)


@given(VALUES, VALUES, VALUES, VALUES)
def test_two_requests_never_share_a_base(a: str, b: str, c: str, d: str) -> None:
    components = [Component("a"), Component("b")]
    first, second = (base_of(components, a, b), base_of(components, c, d))
    assert (first == second) == ((a, b) == (c, d))


def base_of(components: list[Component], a: str, b: str) -> bytes | None:
    return signature_base(request(headers={"a": a, "b": b}), components, "()")


@given(st.text(max_size=20))
def test_a_parameter_of_the_query_is_encoded_in_one_way(text: str) -> None:
    assert decoded(encoded(text)) == text
    assert single_parameters(f"{encoded('a' + text)}={encoded(text)}") == {"a" + text: text}


@given(st.text(st.sampled_from("ab=&%+;41"), max_size=40))
def test_a_query_never_raises_and_a_name_stands_once(query: str) -> None:
    found = single_parameters(query)
    names = [decoded(part.partition("=")[0]) for part in query.split("&") if part]
    assert all(names.count(name) == 1 for name in found)
