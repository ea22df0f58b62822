"""Whatever a request says of its client, it is read or refused, and proves nobody."""

import asyncio
import secrets

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.keys import Ed25519Key
from ott_extauthz.issuer.attempt import JWT_BEARER, Attempt, Mechanism, attempt_from
from ott_extauthz.issuer.client_secret import SecretHashes, new_secret
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.once import Once
from ott_extauthz.issuer.private_key_jwt import PrivateKeyJwt
from ott_extauthz.issuer.request import TokenRequest
from ott_extauthz.issuer.shared_secret import SharedSecret
from tests.fakes.used_list import AnsweringUsedList

CLIENTS = clients_from(
    """
clients:
  - {client_id: jot, authentication: private_key_jwt, jwks: x, audiences: {a: {scopes: [a]}}}
  - {client_id: app, authentication: client_secret_basic, secret: x, audiences: {a: {scopes: [a]}}}
""",
    "clients.yaml",
)
KEY = SigningKey(b"k" * 32)
SECRET, HASH = new_secret(secrets.token_bytes)
ONCE = Once(
    used_list=AnsweringUsedList(), entropy=secrets.token_bytes, on_fault=print, exp_leeway_ms=2000, max_skew_ms=500
)
ASSERTIONS = PrivateKeyJwt(
    keys={name: {"k": Ed25519Key(KEY.verify_key)} for name in CLIENTS},
    audiences=frozenset({"https://i.example"}),
    once=ONCE,
    iat_lead_ms=500,
    exp_leeway_ms=2000,
)
SECRETS = SharedSecret({name: SecretHashes((HASH,)) for name in CLIENTS})
NOW = 1_795_000_000
GOOD = {"iss": "jot", "sub": "jot", "aud": "https://i.example", "jti": "x", "exp": NOW + 60}

_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text(), max_size=2))


def signed(claims: dict[str, object]) -> str:

    head = encoded(b'{"alg":"EdDSA","kid":"k"}') + "." + encoded(msgspec.json.encode(claims))
    return f"{head}.{encoded(KEY.sign(head.encode()).signature)}"


def attempted(assertion: str) -> Attempt:
    form = {"client_assertion": [assertion], "client_assertion_type": [JWT_BEARER]}
    found = attempt_from(TokenRequest(form=form, certificate=None, now_ms=NOW * 1000))
    assert isinstance(found, Attempt)
    return found


def proven(assertion: str) -> bool:
    attempt = attempted(assertion)
    request = TokenRequest(form={}, certificate=None, now_ms=NOW * 1000)
    client = CLIENTS.get(attempt.client_id or "")
    return not isinstance(asyncio.run(ASSERTIONS.prove(attempt, client, request)), OAuthError)


@given(st.dictionaries(st.text(), st.lists(st.text(), max_size=2)), st.lists(st.text(), max_size=2))
def test_whatever_is_said_is_one_attempt_or_a_refusal(form: dict[str, list[str]], headers: list[str]) -> None:
    names = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
    form |= {name: list(form)[:1] for name in names if len(form) > 1}
    found = attempt_from(TokenRequest(form=form, certificate=None, authorization=tuple(headers), now_ms=0))
    assert isinstance(found, Attempt | OAuthError)


def test_a_good_assertion_proves_its_client() -> None:
    assert proven(signed(GOOD))


@given(st.sampled_from(sorted(GOOD)), _values)
def test_a_claim_of_any_other_kind_proves_nobody(name: str, value: object) -> None:
    if value == GOOD[name] or (name == "jti" and isinstance(value, str) and value):
        return
    if name == "aud" and value == [GOOD["aud"]]:
        return
    if name == "exp" and type(value) in (int, float) and NOW - 2 < float(str(value)) <= NOW + 301:
        return
    assert not proven(signed(GOOD | {name: value}))


@given(st.integers(0, 400), st.integers(0, 63))
def test_a_spoiled_assertion_proves_nobody(place: int, letter: int) -> None:
    good = signed(GOOD)
    place %= len(good)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spoiled = good[:place] + alphabet[letter] + good[place + 1 :]
    assert proven(spoiled) == (spoiled == good)


def test_a_client_of_another_method_is_not_proven_even_by_its_own_key_and_secret() -> None:
    """Its entry says how it authenticates; a key or secret that lies about for it opens no second way."""
    assert not proven(signed(GOOD | {"iss": "app", "sub": "app"}))
    request = TokenRequest(form={}, certificate=None, now_ms=0)
    for name, is_proven in (("app", True), ("jot", False)):
        attempt = Attempt(mechanism=Mechanism.SECRET, client_id=name, secret=SECRET)
        found = asyncio.run(SECRETS.prove(attempt, CLIENTS[name], request))
        assert isinstance(found, OAuthError) != is_proven
