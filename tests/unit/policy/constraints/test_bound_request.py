"""A token for one request is refused with every other: another method, path or body, or one that nobody saw."""

import hashlib
from typing import Any

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.model.body import NO_BODY, Body
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.constraints.judgement import constrained
from ott_extauthz.policy.constraints.request import Request
from ott_extauthz.policy.limits import NO_LIMITS, Bound, Limits
from tests.fakes.asked import asked, whole

MISMATCH = Reason.REQUEST_MISMATCH


def judged(claims: dict[str, Any], limits: Limits = NO_LIMITS, **request: Any) -> tuple[Reason, str | None] | None:
    found = constrained("debit", Request(asked(claims, **request), limits))
    return (found.reason, found.detail) if isinstance(found, Rejection) else None


def digest(raw: bytes) -> dict[str, str]:
    return {"digest": encoded(hashlib.sha256(raw).digest())}


@pytest.mark.parametrize(("method", "is_it"), [("POST", True), ("PUT", False), ("GET", False), ("HEAD", False)])
def test_the_method(method: str, is_it: bool) -> None:  # noqa: FBT001
    assert judged({"htm": "POST"}, method=method) == (None if is_it else (MISMATCH, "htm"))


@pytest.mark.parametrize(
    ("bound", "path", "is_it"),
    [
        ("/v1/wallets/7/debit", "/v1/wallets/7/debit", True),
        ("/v1/wallets/7/debit", "/v1/wallets/7/debit?x=1", True),
        ("/v1/wallets/7/debit", "/v1/wallets/8/debit", False),
        ("/v1/wallets/7/debit", "/v1/wallets/7/debit/", False),
        ("/v1/wallets/7/debit", "/v1/wallets/7/Debit", False),
        ("/v1/wallets/7/debit", "/v1/wallets/7", False),
        ("/v1/wallets/7/debit", "/v1/wallets/%37/debit", True),
        ("/v1/wallets/7/debit", "/v1/wallets/7;x/debit", False),
        ("/v1/wallets/7/debit", "/v1/wallets/%2537/debit", False),
        ("/v1/wallets/7;x/debit", "/v1/wallets/7;x/debit", False),
        ("/v1/wallets/%2537/debit", "/v1/wallets/%2537/debit", False),
        ("/a%20b", "/a%20b", True),
        ("/v1/wallets/%37/debit", "/v1/wallets/7/debit", False),
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8/debit", True),
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8;x/debit", True),
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8/credit", False),
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8/debit/", False),
        ("/v1/wallets/{wallet}/debit/", "/v1/wallets/8/debit/", True),
        ("/v1/wallets/{wallet}/debit/", "/v1/wallets/8/debit", False),
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8/debit%3Bx", False),  # or `debit`, to some
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8/%64ebit", True),
        ("/v1/wallets/{wallet}/debit", "/v1/wallets/8/9/debit", False),
        ("/v1/wallets/{wallet}", "/v1/wallets/8", True),
        ("/v1/wallets/{wallet}", "/v1/wallets/", False),
        ("/files/{rest**}", "/files/a/b", True),
        ("/files/{rest**}", "/files/a/", True),
        ("/files/{rest**}", "/files/", False),
        ("/files/{rest**}", "/files", False),
        ("/files/{rest**}", "/file/a", False),
        ("/v1/{wal", "/v1/x", False),
        ("/v1/{a}/{a}", "/v1/x/x", False),
        ("/", "/", True),
    ],
)
def test_the_path(bound: str, path: str, is_it: bool) -> None:  # noqa: FBT001
    assert judged({"htp": bound}, path=path) == (None if is_it else (MISMATCH, "htp"))


@pytest.mark.parametrize(
    ("bound", "body", "reason"),
    [
        (b"abc", whole(b"abc"), None),
        (b"abc", whole(b"abd"), MISMATCH),
        (b"abc", whole(b"abc\n"), MISMATCH),
        (b"abc", whole(b""), MISMATCH),
        (b"", whole(b""), None),
        (b"\xff\xfe", whole(b"\xff\xfe"), None),
        (b"abc", Body(b"abc", is_complete=False), Reason.BODY_INCOMPLETE),
        (b"abc", Body(b"ab", is_complete=False), Reason.BODY_INCOMPLETE),
        (b"abc", NO_BODY, Reason.BODY_INCOMPLETE),
        (b"", NO_BODY, Reason.BODY_INCOMPLETE),
        (b"a!c", Body(b"a!c", is_complete=True, is_binary_safe=False), Reason.BODY_NOT_BINARY_SAFE),
    ],
)
def test_the_body(bound: bytes, body: Body, reason: Reason | None) -> None:
    assert judged(digest(bound), body=body) == (None if reason is None else (reason, "digest"))


def test_a_body_that_nobody_saw_is_empty_only_on_the_routes_own_word() -> None:
    limits = Limits(allow_unbuffered_empty=True)
    assert judged(digest(b""), limits, body=NO_BODY) is None
    assert judged(digest(b"abc"), limits, body=NO_BODY) == (MISMATCH, "digest")
    assert judged(digest(b""), limits, body=Body(b"x", is_complete=False)) == (Reason.BODY_INCOMPLETE, "digest")


@pytest.mark.parametrize("part", list(Bound))
def test_a_route_may_ask_for_each_part(part: Bound) -> None:
    claims = {"htm": "POST", "htp": "/v1/wallets/7/debit", **digest(b"abc")}
    limits = Limits(bound_to_request=frozenset(Bound))
    assert judged(claims, limits, body=whole(b"abc")) is None
    name = {Bound.METHOD: "htm", Bound.PATH: "htp", Bound.BODY: "digest"}[part]
    without = claims | {name: None}
    assert judged(without, limits, body=whole(b"abc")) == (Reason.TOKEN_UNBOUND, f"bound_to_request.{part}")
    assert judged({}, Limits(bound_to_request=frozenset({part}))) == (Reason.TOKEN_UNBOUND, f"bound_to_request.{part}")
