"""Does a case's token say what the case says?"""

import hashlib
import json
from typing import Any

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.rehearsal.cases import TokenCase
from ott_extauthz.rehearsal.tokens import Mint, certificate_named

NOW_MS = 1_795_428_000_000


def claims(**case: Any) -> dict[str, Any]:
    text = Mint().token(TokenCase(**case), NOW_MS).split(".")[1]
    raw = decoded(text)
    assert raw is not None
    found = json.loads(raw)
    assert isinstance(found, dict)
    return found


def test_a_login_is_as_long_ago_as_the_case_says() -> None:
    assert claims(auth_age="5m")["auth_time"] == NOW_MS / 1000 - 300
    assert "auth_time" not in claims()


def test_a_claim_that_is_written_out_stands() -> None:
    found = claims(auth_age="5m", digest_of="x", claims={"auth_time": 7, "digest": None})
    assert (found["auth_time"], "digest" in found) == (7, False)


def test_a_digest_is_of_the_bytes_that_a_request_would_bring() -> None:
    for body, text in (("a=1", b"a=1"), ({"a": 1, "b": "\u00e4"}, b'{"a": 1, "b": "\\u00e4"}')):
        assert decoded(claims(digest_of=body)["digest"]) == hashlib.sha256(text).digest()


def test_a_name_stands_for_a_certificate_and_a_digest_for_a_real_one() -> None:
    assert certificate_named("rgs") != certificate_named("thief")
    assert certificate_named("0a" * 32).hex() == "0a" * 32
