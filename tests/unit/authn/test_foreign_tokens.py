"""Access tokens of a foreign issuer: what counts as one, and what never passes for one."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, RSAKey

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.foreign_claims import MOST_AUDIENCES, ForeignTerms
from ott_extauthz.authn.jwks import issuer_from
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import MAX_TOKEN_BYTES, TokenKind, VerifiedToken
from tests.fakes.foreign import IDP, OTHER_IDP, PLAIN, FakeIdp, access_tokens_of
from tests.fakes.issuer import AUDIENCE, NOW_MS, THUMBPRINT, FakeIssuer

IDP_FAKE, OTHER, OWN = FakeIdp(), FakeIdp(OTHER_IDP, kid="other-1", seed=b"\5" * 32), FakeIssuer()
STRICT, SECONDS = ForeignTerms(), NOW_MS // 1000


def judged(text: str, terms: ForeignTerms = STRICT, audience: str = AUDIENCE) -> VerifiedToken | Rejection:
    judge = access_tokens_of({IDP: terms, OTHER_IDP: terms}, IDP_FAKE, OTHER)
    return judge.verify(text, audience=audience, now_ms=NOW_MS)


def believed(text: str, terms: ForeignTerms = STRICT) -> VerifiedToken:
    token = judged(text, terms)
    assert isinstance(token, VerifiedToken), token
    return token


def passes(text: str, terms: ForeignTerms = STRICT) -> bool:
    return refused(text, terms) is None


def refused(text: str, terms: ForeignTerms = STRICT, audience: str = AUDIENCE) -> Reason | None:
    found = judged(text, terms, audience)
    return found.reason if isinstance(found, Rejection) else None


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
def test_an_access_token_of_rfc_9068_is_believed(typ: str) -> None:
    token = believed(IDP_FAKE.access_token(type_=typ))
    assert (token.kind, token.is_for_one_use) == (TokenKind.ACCESS, False)
    assert (token.id.issuer, token.subject, token.client_id, token.audience) == (IDP, "player-7", "lobby", AUDIENCE)
    assert token.scope == {"wallet:read", "wallet:debit"}


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/JWT", None, ""])
def test_a_plain_token_passes_only_where_the_operator_said_so(typ: str | None) -> None:
    text = IDP_FAKE.plain_token(type_=typ)
    token = believed(text, PLAIN)
    assert (token.client_id, sorted(token.scope)) == ("lobby", ["wallet:read"])
    assert refused(text) is Reason.TOKEN_TYPE_REFUSED
    assert refused(IDP_FAKE.access_token(type_=typ)) is Reason.TOKEN_TYPE_REFUSED, "whatever else it says"


def test_a_plain_token_without_a_name_is_named_by_its_content() -> None:
    first, again, other = (believed(IDP_FAKE.plain_token(sub=sub), PLAIN) for sub in ("a", "a", "b"))
    assert first.id == again.id != other.id
    assert first.id.jti.startswith("sha-256:")
    assert refused(IDP_FAKE.access_token(jti=None)) is Reason.TOKEN_CLAIMS_INVALID, "RFC 9068 §2.2"


@pytest.mark.parametrize(
    "typ", ["ott+jwt", "txntoken+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "at+jwt ", "JWT "]
)
def test_no_other_kind_of_token_passes_for_an_access_token(typ: str) -> None:
    for terms in (STRICT, PLAIN):
        assert refused(IDP_FAKE.plain_token(type_=typ, client_id="lobby"), terms) is Reason.TOKEN_TYPE_REFUSED


ID_TOKENS: dict[str, dict[str, Any]] = {
    "for its client": {"aud": "lobby", "azp": "lobby"},
    "for its client, among others": {"aud": ["wallet.api", "lobby"], "azp": "lobby"},
    "for its client under another name": {"aud": ["wallet.api", "app-9"], "cid": "app-9"},
    "with a nonce": {"nonce": "n"},
    "with the access token's hash": {"at_hash": "h"},
    "with the code's hash": {"c_hash": "h"},
    "with the state's hash": {"s_hash": "h"},
    "without a scope": {"scp": None},  # of a mobile client, whose `aud` is the server's client and `azp` its own
    "without a client": {"azp": None, "aud": "wallet.api"},
    "that says so": {"token_use": "id"},
    "that says so otherwise": {"typ": "ID"},
    "that says so in a list": {"token_use": ["access"]},
    "a refresh token": {"typ": "Refresh"},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
}


@pytest.mark.parametrize("kind", ID_TOKENS)
def test_an_id_token_never_passes_for_a_plain_access_token(kind: str) -> None:
    assert refused(IDP_FAKE.plain_token(**ID_TOKENS[kind]), PLAIN) is Reason.TOKEN_TYPE_REFUSED


@pytest.mark.parametrize("said", [{"typ": "Bearer"}, {"typ": "DPoP"}, {"token_use": "access"}])
def test_an_issuers_own_word_for_access_tokens_is_taken(said: dict[str, Any]) -> None:
    assert passes(IDP_FAKE.plain_token(**said), PLAIN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"client_id": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"client_id": None, "azp": "lobby"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"client_id": ["lobby"]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": True}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": True}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": str(SECONDS + 60)}, Reason.TOKEN_CLAIMS_INVALID),
        ({"nbf": False}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": 7}, Reason.TOKEN_CLAIMS_INVALID),
        ({"cnf": {}}, Reason.TOKEN_CLAIMS_INVALID),
        ({"cnf": {"x5t#S256": "AAAA"}}, Reason.TOKEN_CLAIMS_INVALID),
        ({"act": {"client_id": "x"}}, Reason.TOKEN_CLAIMS_INVALID),
        ({"authorization_details": []}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": SECONDS - 60}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"exp": SECONDS - 60 + 86_401}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"iat": SECONDS - 600, "exp": SECONDS - 3}, Reason.TOKEN_EXPIRED),
        ({"iat": SECONDS + 1}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": SECONDS + 1}, Reason.TOKEN_NOT_YET_VALID),
        ({"auth_time": SECONDS + 1}, Reason.TOKEN_NOT_YET_VALID),
    ],
)
def test_what_an_access_token_must_say(changes: dict[str, Any], reason: Reason) -> None:
    assert refused(IDP_FAKE.access_token(**changes)) is reason


@pytest.mark.parametrize("changes", [{"iat": SECONDS - 0.5, "exp": SECONDS + 0.25}, {"exp": SECONDS - 60 + 86_400}])
def test_times_may_have_fractions_and_the_longest_life_is_counted_exactly(changes: dict[str, Any]) -> None:
    assert passes(IDP_FAKE.access_token(**changes))


def test_an_operator_may_allow_another_life() -> None:
    terms = ForeignTerms(max_lifetime_ms=60_000)
    assert passes(IDP_FAKE.access_token(iat=SECONDS, exp=SECONDS + 60), terms)
    assert refused(IDP_FAKE.access_token(iat=SECONDS, exp=SECONDS + 61), terms) is Reason.TOKEN_LIFETIME_TOO_LONG


AUDIENCES: list[tuple[Any, Reason | None]] = [
    ("wallet.api", None),
    (["wallet.api"], None),
    (["a", "wallet.api", "b"], None),
    ("Wallet.api", Reason.TOKEN_AUDIENCE_MISMATCH),
    ("wallet.api bank.api", Reason.TOKEN_AUDIENCE_MISMATCH),
    ("wallet.api.evil.example", Reason.TOKEN_AUDIENCE_MISMATCH),
    (["bank.api"], Reason.TOKEN_AUDIENCE_MISMATCH),
    ([], Reason.TOKEN_CLAIMS_INVALID),
    (None, Reason.TOKEN_CLAIMS_INVALID),
    ("", Reason.TOKEN_CLAIMS_INVALID),
    ([["wallet.api"]], Reason.TOKEN_CLAIMS_INVALID),
    ({"wallet.api": True}, Reason.TOKEN_CLAIMS_INVALID),
    (["wallet.api", None], Reason.TOKEN_CLAIMS_INVALID),
    (["wallet.api", 7], Reason.TOKEN_CLAIMS_INVALID),
    (["wallet.api"] * MOST_AUDIENCES, None),
    (["wallet.api"] * (MOST_AUDIENCES + 1), Reason.TOKEN_CLAIMS_INVALID),
]


@pytest.mark.parametrize(("aud", "reason"), AUDIENCES, ids=repr)
def test_whom_a_token_is_for(aud: Any, reason: Reason | None) -> None:
    assert refused(IDP_FAKE.access_token(aud=aud)) is reason


def test_an_issuer_that_knows_us_by_another_name_is_believed_under_that_one_alone() -> None:
    terms = ForeignTerms(audiences={AUDIENCE: frozenset({"api://wallet", "https://wallet.example/"})})
    assert believed(IDP_FAKE.access_token(aud=["x", "api://wallet"]), terms).audience == AUDIENCE
    assert refused(IDP_FAKE.access_token(aud=AUDIENCE), terms) is Reason.TOKEN_AUDIENCE_MISMATCH
    assert refused(IDP_FAKE.access_token(aud="api://wallet")) is Reason.TOKEN_AUDIENCE_MISMATCH
    assert refused(IDP_FAKE.access_token(aud="api://wallet"), terms, "bank.api") is Reason.TOKEN_AUDIENCE_MISMATCH


SCOPES: list[tuple[Any, set[str] | None]] = [
    (None, set()),
    ("a", {"a"}),
    ("a b", {"a", "b"}),
    (["a", "b"], {"a", "b"}),
    ([], set()),
    ("", None),
    (" a", None),
    ("a  b", None),
    ("a\tb", None),
    ("a\nwallet:admin", None),
    (["a wallet:admin"], None),
    (["a", ""], None),
    (["a", ["wallet:admin"]], None),
    (["a", None], None),
    ({"wallet:admin": 1}, None),
    (True, None),
    (["x"] * 257, None),
]


def _name(value: object) -> str:
    """Name a set alike in every process, which `repr` does not."""
    return repr(sorted(value)) if isinstance(value, set) else repr(value)


@pytest.mark.parametrize(("scope", "read"), SCOPES, ids=_name)
def test_a_scope_is_never_read_as_more_words_than_were_signed(scope: Any, read: set[str] | None) -> None:
    found = judged(IDP_FAKE.access_token(scope=scope))
    assert (found.scope if isinstance(found, VerifiedToken) else None) == read


def test_only_the_claim_that_is_configured_grants_anything() -> None:
    text = IDP_FAKE.access_token(scope="a", scp=["wallet:admin"], roles=["wallet:admin"])
    assert believed(text).scope == {"a"}
    assert believed(text, ForeignTerms(scope_claim="roles")).scope == {"wallet:admin"}


def test_what_binds_or_narrows_a_token_is_kept() -> None:
    token = believed(
        IDP_FAKE.access_token(
            cnf={"x5t#S256": encoded(THUMBPRINT)},
            authorization_details=[{"type": "payment"}, {"type": "mandate", "brand": "A"}],
            act={"sub": "jackpot"},
            auth_time=SECONDS - 10,
        )
    )
    assert token.confirmation.x5t_s256 == THUMBPRINT
    assert token.restrictions == ("authorization_details[0]",)
    assert [mandate.brand for mandate in token.mandates] == [frozenset({"A"})]
    assert (token.actor, token.auth_time_ms) == ("jackpot", (SECONDS - 10) * 1000)


# --- who signed it


def test_issuers_never_speak_for_each_other() -> None:
    claims = OTHER.access_claims(iss=IDP)
    assert refused(OTHER.token(claims, {"typ": "at+jwt"})) is Reason.TOKEN_KEY_UNKNOWN
    assert refused(OTHER.token(claims, {"typ": "at+jwt", "kid": "idp-1"})) is Reason.TOKEN_SIGNATURE_INVALID
    own = OTHER.token(OWN.claims(), {"typ": "at+jwt", "kid": OWN.kid})
    assert refused(own) is Reason.TOKEN_SIGNATURE_INVALID


@pytest.mark.parametrize("iss", [None, "", 7, [IDP], {"a": 1}, IDP + "/", IDP.upper(), "https://evil.example"])
def test_an_issuer_that_is_not_trusted_to_the_letter_is_none(iss: Any) -> None:
    assert refused(IDP_FAKE.access_token(iss=iss)) is Reason.TOKEN_ISSUER_UNKNOWN


def test_an_issuer_of_our_own_is_held_to_our_own_form() -> None:
    claims = OWN.claims(exp=SECONDS + 3600)
    assert refused(OWN.token(claims, {"typ": "at+jwt"})) is Reason.TOKEN_LIFETIME_TOO_LONG
    assert refused(OWN.token(OWN.claims(), {"typ": "JWT"}), PLAIN) is Reason.TOKEN_TYPE_REFUSED
    assert isinstance(judged(OWN.token(OWN.claims(), {"typ": "at+jwt"})), VerifiedToken)


def test_a_one_time_token_and_an_access_token_never_pass_for_each_other() -> None:
    one_time = OneTimeTokenVerifier(trust={IDP: IDP_FAKE.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)
    found = one_time.verify(IDP_FAKE.access_token(aud=AUDIENCE), audience=AUDIENCE, now_ms=NOW_MS)
    assert found == Rejection(Reason.TOKEN_TYPE_REFUSED)
    assert refused(IDP_FAKE.token(IDP_FAKE.claims()), PLAIN) is Reason.TOKEN_TYPE_REFUSED
    assert refused(OWN.token(OWN.claims()), PLAIN) is Reason.TOKEN_TYPE_REFUSED


def _confused(algorithm: str) -> str:
    """An HMAC keyed with the published key: whoever verifies by the token's own word believes it."""
    header = encoded(json.dumps({"alg": algorithm, "kid": "idp-1", "typ": "at+jwt"}).encode())
    body = f"{header}.{encoded(json.dumps(IDP_FAKE.access_claims()).encode())}"
    public = base64.urlsafe_b64decode(json.loads(IDP_FAKE.jwks())["keys"][0]["x"] + "=")
    return f"{body}.{encoded(hmac.new(public, body.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("algorithm", ["HS256", "none", "None", "ES256", "RS256"])
def test_the_token_never_chooses_the_algorithm(algorithm: str) -> None:
    assert refused(_confused(algorithm)) is Reason.TOKEN_ALGORITHM_REFUSED


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
def test_keys_that_a_token_brings_along_are_not_looked_at(member: str) -> None:
    thief = FakeIdp(seed=b"\6" * 32)
    brought = {"jku": "https://evil.example/jwks", "jwk": json.loads(thief.jwks())["keys"][0]}.get(member, "x")
    header = {"typ": "at+jwt", member: brought}
    assert refused(thief.token(thief.access_claims(), header)) is Reason.TOKEN_SIGNATURE_INVALID
    assert passes(IDP_FAKE.token(IDP_FAKE.access_claims(), header))


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ('{"alg":"EdDSA","kid":"idp-1","typ":"at+jwt","typ":"JWT"}', None),
        (None, '{"aud":"bank.api","aud":"wallet.api"}'),
        (None, '{"scope":"a","scope":"wallet:admin"}'),
    ],
)
def test_a_member_that_stands_twice_is_refused(header: str | None, payload: str | None) -> None:
    head = header or '{"alg":"EdDSA","kid":"idp-1","typ":"at+jwt"}'
    body = json.dumps(IDP_FAKE.access_claims())
    both = body if payload is None else f"{body[:-1]}, {payload[1:]}"
    assert refused(IDP_FAKE.sign(head.encode(), both.encode())) is Reason.TOKEN_MALFORMED


def test_what_is_too_large_is_not_read() -> None:
    assert refused(IDP_FAKE.access_token(groups=["g" * 40] * 300)) is Reason.TOKEN_TOO_LARGE
    assert len(IDP_FAKE.access_token(groups=["g" * 40] * 100)) < MAX_TOKEN_BYTES
    assert passes(IDP_FAKE.access_token(groups=["g" * 40] * 100))


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.b.c.d", "..", "v4.public.AAAA"])
def test_what_is_no_jws_is_refused(text: str) -> None:
    assert refused(text) is Reason.TOKEN_MALFORMED


# --- tokens that other programs made


@pytest.mark.parametrize("maker", ["PyJWT", "joserfc"])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_tokens_of_other_libraries_are_believed(maker: str, algorithm: str) -> None:
    kind = ECKey if algorithm == "ES256" else RSAKey
    key = kind.generate_key("P-256" if algorithm == "ES256" else 2048, {"kid": "k", "use": "sig"})  # type: ignore[arg-type]
    document = json.dumps({"keys": [key.as_dict(private=False)]}).encode()
    judge = access_tokens_of({IDP: STRICT})
    judge.foreign.trust._trust[IDP] = issuer_from(IDP, frozenset({algorithm}), document)  # type: ignore[attr-defined]
    claims, header = IDP_FAKE.access_claims(), {"alg": algorithm, "kid": "k", "typ": "at+jwt"}
    if maker == "PyJWT":
        text = jwt.encode(claims, key.as_pem(private=True), algorithm, header)
    else:
        text = joserfc_jwt.encode(header, claims, key, algorithms=[algorithm])
    token = judge.verify(text, audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(token, VerifiedToken), token
