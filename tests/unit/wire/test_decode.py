"""Every CheckRequest becomes facts or a named refusal; nothing is guessed, nothing raises."""

from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.model.body import whole_of
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.decode import JWT_AUTHN, MAX_METADATA_BYTES, facts_from, request_or_none
from ott_extauthz.wire.peer import PeerCertificates
from tests.fakes.requests import check_request

PEER = PeerCertificates(ClientCertificate())


def decoded(request: CheckRequest | None) -> Facts | Malformed:
    return facts_from(request, PEER)


def facts(request: CheckRequest) -> Facts:
    result = decoded(request)
    assert isinstance(result, Facts)
    return result


def reason(request: CheckRequest | None) -> Reason:
    result = decoded(request)
    assert isinstance(result, Malformed)
    return result.reason


@pytest.mark.parametrize("merged", [False, True])
def test_both_header_modes_are_read(*, merged: bool) -> None:
    found = facts(check_request(headers=[("x-ott", "t"), (":path", "/evil"), ("accept", "*/*")], merged=merged))
    assert found.headers == {"x-ott": ("t",), "accept": ("*/*",)}
    assert found.path == "/v1/wallets/7/debit", "pseudo headers never override Envoy's own fields"


def test_repeated_headers_stay_apart_in_raw_mode() -> None:
    found = facts(check_request(headers=[("x-ott", "a"), ("x-ott", "b")]))
    assert found.headers["x-ott"] == ("a", "b")


def test_bytes_that_are_not_utf8_survive_cve_2024_23324() -> None:
    found = facts(check_request(headers=[("x-name", b"\xff\xfe\x00")]))
    assert found.headers["x-name"] == ("\xff\xfe\x00",)


def test_text_values_are_read_as_their_bytes() -> None:
    found = facts(check_request(headers=[("x-name", "jörg")], merged=True))
    assert found.headers["x-name"][0].encode("latin-1") == "jörg".encode()


@pytest.mark.parametrize(
    ("lengths", "found"),
    [((), b""), (("0",), b""), (("3",), Reason.BODY_INCOMPLETE), (("0", "3"), Reason.BODY_INCOMPLETE)],
    ids=["none", "zero", "three", "two-of-them"],
)
def test_a_body_that_nobody_buffered_is_not_empty_where_the_request_says_how_long_it_is(
    lengths: tuple[str, ...], found: bytes | Reason
) -> None:
    """A signature over nothing must not let a body through, on a route that Envoy does not buffer."""
    body = facts(check_request(headers=[("content-length", length) for length in lengths])).body
    assert whole_of(body, may_be_unseen=True) == found


def test_garbage_on_the_wire_is_none_not_an_error() -> None:
    assert request_or_none(b"\xff\xff\xff") is None
    assert reason(None) is Reason.REQUEST_MALFORMED


@pytest.mark.parametrize("name", ["http", "attributes"])
def test_a_request_without_http_attributes_is_malformed(name: str) -> None:
    request = check_request()
    if name == "http":
        request.attributes.request.ClearField("http")
    else:
        request.ClearField("attributes")
    assert reason(request) is Reason.REQUEST_MALFORMED


def test_two_header_maps_are_two_readings() -> None:
    request = check_request(headers=[("x-ott", "a")])
    request.attributes.request.http.headers["x-ott"] = "b"
    assert reason(request) is Reason.REQUEST_MALFORMED


def test_two_values_in_one_entry_are_two_readings() -> None:
    request = check_request()
    entry = HeaderValue(key="x-ott", value="a", raw_value=b"b")
    request.attributes.request.http.header_map.headers.append(entry)
    assert reason(request) is Reason.REQUEST_MALFORMED


def test_two_bodies_are_two_readings() -> None:
    request = check_request()
    request.attributes.request.http.body, request.attributes.request.http.raw_body = "a", b"b"
    assert reason(request) is Reason.REQUEST_MALFORMED


@pytest.mark.parametrize("name", ["", "X-Upper", "a b", "a:b", "a\n", "é", "x" * 257, "a\0"])
def test_a_name_that_is_no_lower_case_token_is_refused(name: str) -> None:
    assert reason(check_request(headers=[(name, "v")])) is Reason.HEADER_MALFORMED


@pytest.mark.parametrize(
    "name",
    ["x_ott_subject", "x-ott_subject", "x_ott", "x_forwarded_client_cert", "x_api_key", "content_type", "client_cert"],
)
def test_lookalikes_of_protected_headers_are_refused(name: str) -> None:
    """CGI and WSGI servers read `_` and `-` as the same."""
    assert reason(check_request(headers=[(name, "v")])) is Reason.HEADER_LOOKALIKE


def test_other_underscores_are_fine() -> None:
    assert facts(check_request(headers=[("my_header", "v")])).headers["my_header"] == ("v",)


@pytest.mark.parametrize(
    "name", ["authorization", "dpop", "content-type", "x-api-key", "idempotency-key", "client-cert"]
)
def test_a_security_header_twice_is_refused_cve_2021_32777(name: str) -> None:
    assert reason(check_request(headers=[(name, "a"), (name, "b")])) is Reason.HEADER_DUPLICATED


def test_a_comma_in_authorization_is_two_credentials() -> None:
    request = check_request(headers=[("authorization", "Bearer good,Bearer evil")], merged=True)
    assert reason(request) is Reason.HEADER_DUPLICATED


def test_two_content_types_are_joined_by_envoy_and_refused() -> None:
    assert reason(check_request(headers=[("content-type", "a/a,b/b")])) is Reason.HEADER_DUPLICATED
    quoted = 'multipart/mixed; boundary="a,b"'
    assert facts(check_request(headers=[("content-type", quoted)])).headers["content-type"] == (quoted,)


def test_headers_beyond_the_limit_are_refused() -> None:
    assert reason(check_request(headers=[("x-a", "v" * 131_073)])) is Reason.HEADER_MALFORMED


def test_a_target_beyond_the_limit_is_refused() -> None:
    assert reason(check_request(path="/" + "a" * 17_000)) is Reason.REQUEST_MALFORMED


@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    request = request_or_none(raw)
    assert isinstance(decoded(request), Facts | Malformed)


@given(
    st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=40)), max_size=8),
    st.text(max_size=60),
    st.text(max_size=60),
)
def test_no_header_path_or_host_raises(headers: list[tuple[str, bytes]], path: str, host: str) -> None:
    assert isinstance(decoded(check_request(headers=headers, path=path, host=host)), Facts | Malformed)


def _with_metadata(namespace: str, members: dict[str, object]) -> CheckRequest:
    request = check_request()
    request.attributes.metadata_context.filter_metadata[namespace].update(members)
    return request


def test_what_a_filter_left_is_read_as_plain_values() -> None:
    members = {"text": "zoë", "number": 1.5, "none": None, "yes": True, "no": False, "deep": {"list": [1, {"a": []}]}}
    found = facts(_with_metadata(JWT_AUTHN, members)).metadata
    assert found == {JWT_AUTHN: members}
    deep: Any = found[JWT_AUTHN]["deep"]
    assert type(deep["list"][0]) is float
    assert found[JWT_AUTHN]["yes"] is True


def test_other_namespaces_and_headers_of_that_name_are_not_read() -> None:
    assert facts(_with_metadata("envoy.lb", {"ott_payload": {"sub": "admin"}})).metadata == {}
    assert facts(check_request(headers=[(JWT_AUTHN, "{}"), ("ott_payload", "{}")])).metadata == {}
    extended = check_request(extensions={JWT_AUTHN: "{}"})
    assert facts(extended).metadata == {}
    routed = check_request()
    routed.attributes.route_metadata_context.filter_metadata[JWT_AUTHN].update({"ott_payload": {}})
    assert facts(routed).metadata == {}, "an operator's word about a route is not a filter's about a request"


def test_the_namespace_is_the_operators_choice() -> None:
    request = _with_metadata("other", {"a": "b"})
    found = facts_from(request, PEER, "other")
    assert isinstance(found, Facts)
    assert found.metadata == {"other": {"a": "b"}}


def test_metadata_larger_than_a_request_could_bring_is_not_read() -> None:
    assert facts(_with_metadata(JWT_AUTHN, {"a": "x" * MAX_METADATA_BYTES})).metadata == {}
