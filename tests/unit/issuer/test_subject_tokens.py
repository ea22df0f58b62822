"""Tokens that are to be exchanged: whose keys count, for what, and how a user is named."""

from pathlib import Path

import pytest

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.issuer_inputs import issuer_inputs
from ott_extauthz.bootstrap.rings import NobodyListens
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.kinds import TokenTypeUri
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.own_keys import own_issuer
from ott_extauthz.issuer.subject import Subject
from ott_extauthz.issuer.subject_tokens import ForeignRules, SubjectTokens
from ott_extauthz.settings import load
from ott_extauthz.stores.signing import new_key, signer_from
from tests.exchange_bank import CLIENTS, LOGIN, SETTINGS, Casino
from tests.fakes.issuer import NOW_MS, FakeIssuer
from tests.fakes.issuing import OneKey, SetClock

OURS = FakeIssuer()
RULES = ForeignRules(audience="casino", token_types=frozenset({"id_token"}))


def tokens(trust: dict[str, TrustedIssuer], rules: dict[str, ForeignRules]) -> SubjectTokens:
    return SubjectTokens(own=OURS.trusted, trust=trust, rules=rules, iat_lead_ms=500)


def verified(found: SubjectTokens, alg: str = "EdDSA") -> Subject | OAuthError:
    token = LOGIN.token(LOGIN.claims(NOW_MS, aud="casino", cnf=None), {"typ": "JWT", "alg": alg})
    return found.verified(token, TokenTypeUri.ID_TOKEN, NOW_MS)


def test_an_issuer_counts_only_with_keys_and_with_rules() -> None:
    trust, rules = {LOGIN.issuer: LOGIN.trusted()}, {LOGIN.issuer: RULES}
    assert isinstance(verified(tokens(trust, rules)), Subject)
    assert isinstance(verified(tokens({}, rules)), OAuthError)
    assert isinstance(verified(tokens(trust, {})), OAuthError)


def test_an_algorithm_allowed_for_an_issuer_is_still_not_one_for_any_key_of_it() -> None:
    keys = LOGIN.trusted().keys
    trust = {LOGIN.issuer: TrustedIssuer(LOGIN.issuer, frozenset({"EdDSA", "ES256"}), keys)}
    assert isinstance(verified(tokens(trust, {LOGIN.issuer: RULES})), Subject)
    assert isinstance(verified(tokens(trust, {LOGIN.issuer: RULES}), "ES256"), OAuthError)


def test_our_own_keys_are_those_of_every_ring_as_it_is_now() -> None:
    signer = signer_from(new_key("EdDSA"), "EdDSA")
    assert signer is not None
    other = FakeIssuer(kid="k2", seed=b"\7" * 32)
    rings = {"": OneKey(signer, OURS.jwks()), "uk": OneKey(signer, other.jwks())}
    found = own_issuer("https://issuer.bank.example", rings)
    assert (set(found.keys), found.algorithms) == ({"k1", "k2"}, frozenset({"EdDSA", "Ed25519"}))
    rings["uk"] = OneKey(signer, OURS.jwks())
    assert set(own_issuer("https://issuer.bank.example", rings).keys) == {"k1"}


def problems(folder: Path, *, settings: str = SETTINGS, clients: str = CLIENTS) -> str:
    Casino(folder, clients=clients).prepare()
    (folder / "ott.yaml").write_text(settings)
    with pytest.raises(DocumentError) as caught:
        issuer_inputs(load(folder / "ott.yaml", {}), clock=SetClock(), listener=NobodyListens())
    return "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize(
    ("one", "other"), [("player:", "play"), ("play", "player:"), ("player:", "player:"), ("", "partner:"), ("", "")]
)
def test_two_users_of_two_issuers_never_have_one_name(tmp_path: Path, one: str, other: str) -> None:
    settings = SETTINGS.replace('"player:"', f'"{one}"').replace('"partner:"', f'"{other}"')
    assert "give each issuer a subject_prefix" in problems(tmp_path, settings=settings)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("https://partner.example", "https://login.example", "an issuer stands twice"),
        ("https://partner.example", "https://issuer.bank.example", "is this one"),
        ("partner.json", "nowhere.json", "nowhere.json: cannot be read"),
        (
            "[casino.example, annex.example]",
            "[annex.example]",
            "has casino.example: transaction_token is for a trust domain",
        ),
        (
            "[casino.example, annex.example]",
            "[casino.example, annex.example, open.api]",
            "has open.api: transaction_token is for a trust domain",
        ),
        ("[access_token, jwt]", "[refresh_token]", "token_types"),
        ("[access_token, jwt]", "[]", "token_types"),
        ("issuer: https://partner.example", "issuer: https://other.example", "which is none of them"),
        ('subject_prefix: "partner:"', 'subject_prefix: "a b"', "subject_prefix"),
    ],
)
def test_what_the_settings_cannot_say(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in problems(tmp_path, settings=SETTINGS.replace(old, new))


def test_a_delegation_for_a_client_that_there_is_not_is_a_mistake(tmp_path: Path) -> None:
    clients = CLIENTS.replace("client: jackpot, targets: [ledger", "client: jackpott, targets: [ledger")
    assert "delegates for jackpott, which is no client" in problems(tmp_path, clients=clients)


def test_a_token_is_over_at_its_very_end() -> None:
    found = tokens({LOGIN.issuer: LOGIN.trusted()}, {LOGIN.issuer: RULES})
    token = LOGIN.token(LOGIN.claims(NOW_MS, aud="casino", cnf=None, exp=NOW_MS / 1000 + 5), {"typ": "JWT"})
    assert isinstance(found.verified(token, TokenTypeUri.ID_TOKEN, NOW_MS + 4_999), Subject)
    over = found.verified(token, TokenTypeUri.ID_TOKEN, NOW_MS + 5_000)
    assert isinstance(over, OAuthError)
    assert "expired" in over.description
