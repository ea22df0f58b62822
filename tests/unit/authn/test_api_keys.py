"""Whose key is it?  Attacks with keys that are nearly right."""

import hmac
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from ott_extauthz.authn import api_keys as room
from ott_extauthz.authn.api_key_form import NewKey, digest_of, new_key
from ott_extauthz.authn.api_keys import ApiKey, api_keys_of, key_behind, token_of
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenKind
from tests.fakes.api_keys import kept, made
from tests.fakes.issuer import NOW_MS

MINE, THEIRS = made(1), made(2)
KEYS = api_keys_of([kept(MINE), kept(THEIRS, client_id="shop")])


def reason_of(text: str, keys: Any = KEYS, now_ms: int = NOW_MS) -> Reason:
    found = key_behind(text, keys, now_ms)
    assert isinstance(found, Rejection)
    return found.reason


def with_id_of(key: NewKey, id_of: NewKey, prefix: str = "ottkey") -> str:
    """A well-formed key with one key's id and another's secret."""
    values = iter([bytes([1]) * 8, bytes([9]) * 32])
    forged = new_key(prefix, lambda _: next(values))
    assert forged.id == id_of.id
    assert forged.text != key.text
    return forged.text


def test_a_key_is_its_clients() -> None:
    for key, client in ((MINE, "rgs"), (THEIRS, "shop")):
        found = key_behind(key.text, KEYS, NOW_MS)
        assert isinstance(found, ApiKey)
        token = token_of(found, "wallet.api")
        assert (token.kind, token.subject, token.client_id) == (TokenKind.API_KEY, client, client)
        assert not token.is_for_one_use
        assert token.audience == "wallet.api"


def test_an_id_that_exists_and_one_that_does_not_get_the_same_answer() -> None:
    assert reason_of(with_id_of(MINE, MINE)) is Reason.API_KEY_UNKNOWN
    assert reason_of(made(7).text) is Reason.API_KEY_UNKNOWN


def test_both_take_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """One digest and one comparison in constant time, whether the id is known or not."""
    done: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            done.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(room, "digest_of", noted("digest", digest_of))
    monkeypatch.setattr(hmac, "compare_digest", noted("compare", hmac.compare_digest))
    for text in (with_id_of(MINE, MINE), made(7).text, MINE.text):
        done.clear()
        key_behind(text, KEYS, NOW_MS)
        assert done == ["digest", "compare"]


def test_the_secret_under_another_prefix_is_not_the_key() -> None:
    assert reason_of(made(1, prefix="acme").text) is Reason.API_KEY_UNKNOWN


def test_another_keys_secret_is_not_this_ones() -> None:
    assert reason_of(MINE.text, {MINE.id: kept(THEIRS)}) is Reason.API_KEY_UNKNOWN


def test_a_malformed_key_is_never_looked_up() -> None:
    class Untouched(dict[str, ApiKey]):
        def get(self, *_: Any) -> Any:
            raise AssertionError("looked up")

    assert reason_of(MINE.text[:-1], Untouched()) is Reason.API_KEY_MALFORMED


def test_a_key_ends_at_the_very_instant() -> None:
    keys = api_keys_of([kept(MINE, expires_at_ms=NOW_MS)])
    assert isinstance(key_behind(MINE.text, keys, NOW_MS - 1), ApiKey)
    assert reason_of(MINE.text, keys, NOW_MS) is Reason.API_KEY_EXPIRED


def test_only_who_has_the_secret_learns_that_a_key_has_ended() -> None:
    keys = api_keys_of([kept(MINE, expires_at_ms=NOW_MS - 1)])
    assert reason_of(with_id_of(MINE, MINE), keys) is Reason.API_KEY_UNKNOWN


def test_a_hash_of_zeros_in_the_file_opens_nothing() -> None:
    zeros = MappingProxyType({MINE.id: kept(NewKey(MINE.id, "", bytes(32)))})
    assert reason_of(MINE.text, zeros) is Reason.API_KEY_UNKNOWN


def test_no_key_shows_in_what_is_kept_of_it() -> None:
    found = key_behind(MINE.text, KEYS, NOW_MS)
    assert isinstance(found, ApiKey)
    for text in (repr(found), repr(token_of(found, ""))):
        assert MINE.text not in text
        assert MINE.digest.hex() not in text
        assert repr(MINE.digest) not in text


def test_two_keys_of_a_client_are_one_account_and_two_names() -> None:
    first, second = (token_of(kept(key), "") for key in (MINE, THEIRS))
    assert first.account == second.account
    assert first.public_id != second.public_id
