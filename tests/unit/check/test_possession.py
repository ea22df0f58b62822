"""DPoP at the Check, as an attacker tries it: with a stolen token, a stolen proof, both, and under another scheme."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.dpop import DPOP_ALGORITHMS, DpopVerifier
from ott_extauthz.authn.nonces import Nonces
from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.check.credentials.possession import Possession
from ott_extauthz.model.decision import Allow, Decision, Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection, TokenState
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Asks, CredentialKind
from ott_extauthz.stores.memory import MemoryUsedList
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk
from tests.fakes.issuer import AUDIENCE, NOW_MS, THUMBPRINT
from tests.fakes.proofs import Prover
from tests.fakes.used_list import AnsweringUsedList, UnavailableUsedList
from tests.unit.check.test_sealed_tokens import KEY, SEALER

POLICY = """
revision: "d1"
routes:
  - name: pay
    match: {hosts: [wallet.api], methods: [POST], path: /pay}
    credential: one_time_token
    audience: wallet.api
    bound_to: [dpop]
  - name: read
    match: {hosts: [wallet.api], methods: [POST, GET], path: "/read/{what}"}
    credential: access_token
    audience: wallet.api
    bound_to: [dpop]
  - name: acting
    match: {hosts: [wallet.api], methods: [POST], path: /acting}
    credential: mandate
    audience: wallet.api
    bound_to: [dpop]
  - name: bearer
    match: {hosts: [wallet.api], methods: [POST], path: /bearer}
    credential: access_token
    audience: wallet.api
  - name: unbound
    match: {hosts: [wallet.api], methods: [POST], path: /unbound}
    credential: one_time_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
  - name: both
    match: {hosts: [wallet.api], methods: [POST], path: /both}
    credential: access_token
    audience: wallet.api
    bound_to: [certificate, dpop]
  - name: either
    match: {hosts: [wallet.api], methods: [POST], path: /either}
    audience: wallet.api
    any_of:
      - {credential: access_token, bound_to: [dpop]}
      - {credential: access_token, bound_to: [certificate]}
  - name: kept
    match: {hosts: [wallet.api], methods: [POST], path: /kept}
    credential: access_token
    audience: wallet.api
    bound_to: [dpop]
    from: {keep: true}
  - name: filtered-twice
    match: {hosts: [wallet.api], methods: [POST], path: /filtered}
    credential: access_token
    audience: wallet.api
    bound_to: [dpop]
    reservation: true
    from: {keep: true}
"""
PROVER, THIEF, RSA = Prover(), Prover(), Prover("RS256")
X5T = encoded(THUMBPRINT)
ALGS = " ".join(DPOP_ALGORITHMS)
NONCES = Nonces(secret=b"n" * 32, slot_ms=60_000)
WITH_NONCES = Possession(verifier=DpopVerifier(nonces=NONCES))
MANDATE = [{"type": "mandate", "cidr": ["10.0.0.0/8"]}]


def desk_of(used_list: Any = None, **how: Any) -> Desk:
    desk = Desk(used_list, policy=POLICY, **how)
    desk.clock.advance(10_000)  # the used-list vouches for proofs that come `lead` before their time
    return desk


def ath(token: str) -> str:
    return encoded(hashlib.sha256(token.encode()).digest())


def one_time(desk: Desk, cnf: Mapping[str, Any] | None = None, **claims: Any) -> str:
    return desk.token(cnf=cnf or {"jkt": encoded(PROVER.jkt)}, **claims)


def access(desk: Desk, cnf: Mapping[str, Any] | None = None, **claims: Any) -> str:
    changes = {"cnf": cnf or {"jkt": encoded(PROVER.jkt)}, "jti": desk.entropy(16).hex()} | claims
    return desk.issuer.token(desk.issuer.claims(desk.clock.now_ms(), **changes), {"typ": "at+jwt"})


def proof(desk: Desk, token: str | None, path: str, *, prover: Prover = PROVER, **changes: Any) -> str:
    bound = {"htu": f"https://wallet.api{path}", "ath": None if token is None else ath(token)}
    return prover.proof(desk.clock.now_ms(), **(bound | changes))


def under(desk: Desk, token: str, path: str, *proofs: str, scheme: str | None = "DPoP", **request: Any) -> Facts:
    carrier = ("x-ott", token) if scheme is None else ("authorization", f"{scheme} {token}")
    return desk.facts(carrier, *(("dpop", each) for each in proofs), path=path, **request)


async def read(desk: Desk, token: str, *proofs: str, path: str = "/read/a", **request: Any) -> Decision:
    return await desk.ask(under(desk, token, path, *proofs, **request))


def refused(decision: Decision, reason: Reason, detail: str | None = None) -> Deny:
    assert isinstance(decision, Deny), decision
    assert (decision.reason, decision.detail) == (reason, detail)
    return decision


def challenges(decision: Decision) -> list[str]:
    assert isinstance(decision, Deny)
    return [str(challenge) for challenge in decision.challenges]


# --- what holds


@pytest.mark.parametrize("prover", [PROVER, RSA, Prover("Ed25519")], ids=["ES256", "RS256", "Ed25519"])
async def test_a_token_with_a_proof_for_this_request_passes_and_neither_reaches_the_upstream(prover: Prover) -> None:
    desk = desk_of()
    cnf = {"jkt": encoded(prover.jkt)}
    token = access(desk, cnf)
    decision = await read(desk, token, proof(desk, token, "/read/a", prover=prover))
    assert isinstance(decision, Allow)
    assert {"authorization", "dpop"} <= set(decision.headers_to_remove)
    assert decision.response_headers == ()
    spent = one_time(desk, cnf)
    decision = await desk.ask(under(desk, spent, "/pay", proof(desk, spent, "/pay", prover=prover), scheme=None))
    assert isinstance(decision, Allow)
    assert {"x-ott", "dpop"} <= set(decision.headers_to_remove)


async def test_a_proof_stays_beside_a_credential_that_is_kept_for_a_second_filter() -> None:
    desk = desk_of()
    token = access(desk)
    decision = await read(desk, token, proof(desk, token, "/kept"), path="/kept")
    assert isinstance(decision, Allow)
    assert decision.headers_to_keep == ("authorization",)
    assert "dpop" not in decision.headers_to_remove


async def test_a_mandate_comes_again_with_a_new_proof_each_time() -> None:
    desk = desk_of()
    token = access(desk, authorization_details=MANDATE)
    for _ in range(3):
        assert isinstance(await read(desk, token, proof(desk, token, "/acting"), path="/acting"), Allow)


async def test_the_scheme_in_any_letter_case() -> None:
    desk = desk_of()
    for scheme in ("dpop", "DPOP"):
        token = access(desk)
        assert isinstance(await read(desk, token, proof(desk, token, "/read/a"), scheme=scheme), Allow)


# --- a stolen token


async def test_a_stolen_token_without_its_key_is_worth_nothing() -> None:
    desk = desk_of()
    token = access(desk)
    missing = refused(await read(desk, token), Reason.DPOP_PROOF_MISSING)
    assert missing.token_state is TokenState.UNSPENT
    assert challenges(missing) == [f'DPoP realm="wallet.api", error="invalid_dpop_proof", algs="{ALGS}"']
    stolen = await read(desk, token, proof(desk, token, "/read/a", prover=THIEF))
    assert challenges(refused(stolen, Reason.DPOP_KEY_MISMATCH)) == [
        f'DPoP realm="wallet.api", error="invalid_token", algs="{ALGS}"'
    ]
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a")), Allow)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_a_token_bound_to_a_key_never_works_as_a_bearer_token(scheme: str) -> None:
    """RFC 9449 §7.2: neither where DPoP is asked for, nor where Bearer is; proof or no proof, certificate or none."""
    desk = desk_of()
    for cnf in ({"jkt": encoded(PROVER.jkt)}, {"jkt": encoded(PROVER.jkt), "x5t#S256": X5T}):
        for path, accepted in (("/read/a", "DPoP"), ("/bearer", "Bearer")):
            token = access(desk, cnf)
            for sent in ((), (proof(desk, token, path),)):
                decision = await read(desk, token, *sent, path=path, scheme=scheme)
                refused(decision, Reason.CREDENTIAL_SCHEME_REFUSED)
                assert challenges(decision)[0].startswith(f'{accepted} realm="wallet.api", error="invalid_token"')


async def test_where_both_schemes_are_taken_a_downgrade_is_told_of_both() -> None:
    desk = desk_of()
    for cnf in ({"jkt": encoded(PROVER.jkt)}, {"jkt": encoded(PROVER.jkt), "x5t#S256": X5T}):
        decision = await read(desk, access(desk, cnf), path="/either", scheme="Bearer")
        assert challenges(refused(decision, Reason.CREDENTIAL_SCHEME_REFUSED)) == [
            'Bearer realm="wallet.api", error="invalid_token"',
            f'DPoP realm="wallet.api", algs="{ALGS}"',
        ]
    nothing = await desk.ask(desk.facts(path="/either"))
    assert challenges(nothing) == [f'DPoP realm="wallet.api", algs="{ALGS}"', 'Bearer realm="wallet.api"']


async def test_each_scheme_works_for_its_own_tokens_where_both_are_taken() -> None:
    desk = desk_of()
    proven, certified = access(desk), access(desk, {"x5t#S256": X5T})
    assert isinstance(await read(desk, proven, proof(desk, proven, "/either"), path="/either"), Allow)
    assert isinstance(await read(desk, certified, path="/either", scheme="Bearer"), Allow)
    refused(await read(desk, certified, proof(desk, certified, "/either"), path="/either"), Reason.TOKEN_UNBOUND)


async def test_a_token_that_is_bound_to_no_key_is_none_for_a_route_that_asks_for_one() -> None:
    desk = desk_of()
    for cnf in ({"x5t#S256": X5T}, None):
        token = access(desk, cnf) if cnf else desk.issuer.token(desk.issuer.claims(cnf=None), {"typ": "at+jwt"})
        refused(await read(desk, token, proof(desk, token, "/read/a")), Reason.TOKEN_UNBOUND)
    token = desk.token()
    sent = under(desk, token, "/pay", proof(desk, token, "/pay"), scheme=None)
    refused(await desk.ask(sent), Reason.TOKEN_UNBOUND)


async def test_a_token_bound_to_a_key_needs_its_proof_on_a_route_that_asks_for_no_binding() -> None:
    desk = desk_of()
    token = one_time(desk)
    missing = refused(await desk.ask(under(desk, token, "/unbound", scheme=None)), Reason.DPOP_PROOF_MISSING)
    assert challenges(missing) == [f'DPoP realm="wallet.api", error="invalid_dpop_proof", algs="{ALGS}"']
    assert isinstance(
        await desk.ask(under(desk, token, "/unbound", proof(desk, token, "/unbound"), scheme=None)), Allow
    )


async def test_a_token_bound_to_key_and_certificate_needs_both() -> None:
    desk = desk_of()
    cnf = {"jkt": encoded(PROVER.jkt), "x5t#S256": X5T}
    for path in ("/both", "/read/a"):
        token = access(desk, cnf)
        other = await read(desk, token, proof(desk, token, path), path=path, certificate=b"\xff" * 32)
        refused(other, Reason.CERTIFICATE_MISMATCH)
        none = await read(desk, token, proof(desk, token, path), path=path, certificate=Reason.CERTIFICATE_MISSING)
        refused(none, Reason.CERTIFICATE_MISSING)
        refused(await read(desk, token, path=path), Reason.DPOP_PROOF_MISSING)
        stolen = await read(desk, token, proof(desk, token, path, prover=THIEF), path=path)
        refused(stolen, Reason.DPOP_KEY_MISMATCH)
        assert isinstance(await read(desk, token, proof(desk, token, path), path=path), Allow)
    half = access(desk)
    refused(await read(desk, half, proof(desk, half, "/both"), path="/both"), Reason.TOKEN_UNBOUND)


def test_the_scheme_dpop_takes_no_unbound_token_even_where_a_route_forgot_to_ask() -> None:
    desk = desk_of()
    asks = Asks(credential=CredentialKind.ACCESS_TOKEN, header="authorization", scheme="DPoP")
    for kind, cnf in ((CredentialKind.ACCESS_TOKEN, {"x5t#S256": X5T}), (CredentialKind.MANDATE, None)):
        token = desk.verifier.verify(desk.token(cnf=cnf), audience=AUDIENCE, now_ms=desk.clock.now_ms())
        assert isinstance(token, VerifiedToken)
        found = Possession().shown(
            token, "text", asks=replace(asks, credential=kind), facts=desk.facts(path="/x"), now_ms=NOW_MS
        )
        assert isinstance(found, Rejection)
        assert found.reason is Reason.TOKEN_UNBOUND


# --- a proof for something else


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"htm": "GET"}, "htm"),
        ({"htm": "post"}, "htm"),
        ({"htm": None}, "htm"),
        ({"htu": "https://ledger.api/read/a"}, "htu"),
        ({"htu": "https://wallet.api/read/b"}, "htu"),
        ({"htu": "https://wallet.api/read/A"}, "htu"),
        ({"htu": "https://wallet.api/read/a/"}, "htu"),
        ({"htu": "http://wallet.api/read/a"}, "htu"),
        ({"htu": "https://wallet.api:8443/read/a"}, "htu"),
        ({"htu": "https://wallet.api@evil.example/read/a"}, "htu"),
        ({"htu": "https://wallet.api"}, "htu"),
        ({"htu": "/read/a"}, "htu"),
        ({"htu": ["https://wallet.api/read/a"]}, "htu"),
        ({"htu": None}, "htu"),
        ({"ath": None}, "ath"),
        ({"ath": ath("another token")}, "ath"),
        ({"iat": NOW_MS / 1000 - 3600}, "iat"),
        ({"iat": NOW_MS / 1000 + 3600}, "iat"),
        ({"iat": None}, "claims"),
        ({"exp": NOW_MS / 1000 - 1}, "iat"),
        ({"jti": None}, "claims"),
        ({"jti": ""}, "claims"),
        ({"jti": 7}, "claims"),
        ({"header": {"typ": "JWT"}}, "typ"),
        ({"header": {"typ": "at+jwt"}}, "typ"),
        ({"header": {"alg": "none"}}, "alg"),
        ({"header": {"alg": "HS256"}}, "alg"),
        ({"header": {"alg": "ES384"}}, "alg"),
        ({"header": {"alg": "EdDSA"}}, "jwk"),
        ({"header": {"jwk": None}}, "jwk"),
        ({"header": {"jwk": {"kty": "oct", "k": "AAAA"}}}, "jwk"),
        ({"header": {"jwk": PROVER.key.as_dict(private=True)}}, "jwk"),
        ({"header": {"jwk": THIEF.public}}, "signature"),
    ],
)
async def test_a_proof_that_does_not_hold_for_this_request_leaves_the_token_unspent(
    changes: dict[str, Any], detail: str
) -> None:
    used_list = UnavailableUsedList()
    desk = desk_of(used_list)
    for token, path, scheme in ((access(desk), "/read/a", "DPoP"), (one_time(desk), "/unbound", None)):
        of_route: dict[str, Any] = {
            name: value.replace("/read/a", path) if isinstance(value, str) else value for name, value in changes.items()
        }
        decision = await desk.ask(under(desk, token, path, proof(desk, token, path, **of_route), scheme=scheme))
        denied = refused(decision, Reason.DPOP_PROOF_INVALID, detail)
        assert denied.token_state is TokenState.UNSPENT
        assert challenges(denied) == [f'DPoP realm="wallet.api", error="invalid_dpop_proof", algs="{ALGS}"']
    assert used_list.uses == []


async def test_a_proof_for_one_method_is_none_for_another() -> None:
    desk = desk_of()
    token = access(desk)
    refused(await read(desk, token, proof(desk, token, "/read/a"), method="GET"), Reason.DPOP_PROOF_INVALID, "htm")
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a", htm="GET"), method="GET"), Allow)


async def test_two_proofs_and_two_in_one_are_none() -> None:
    desk = desk_of()
    token = access(desk)
    one, two = proof(desk, token, "/read/a"), proof(desk, token, "/read/a")
    for sent in ((one, two), (f"{one},{two}",), (f"{one}, {two}",), (one, one), ("",), (f"{one} ",)):
        refused(await read(desk, token, *sent), Reason.DPOP_PROOF_INVALID, "malformed")


async def test_the_query_is_no_part_of_the_target_and_spellings_of_one_target_are_one() -> None:
    desk = desk_of()
    for path, htu in (
        ("/read/a?x=1", "https://wallet.api/read/a"),
        ("/read/a?x=1", "https://wallet.api/read/a?x=2"),
        ("/read/a", "HTTPS://WALLET.API:443/read/%61"),
        ("/read/%61", "https://wallet.api/x/../read/a"),
    ):
        token = access(desk)
        assert isinstance(await read(desk, token, proof(desk, token, "", htu=htu), path=path), Allow)


async def test_the_scheme_of_the_target_is_configured_and_no_header_changes_it() -> None:
    token_at = "http://wallet.api/read/a"
    forwarded = ("x-forwarded-proto", "http")
    desk = desk_of()
    token = access(desk)
    sent = desk.facts(
        ("authorization", f"DPoP {token}"), ("dpop", proof(desk, token, "", htu=token_at)), forwarded, path="/read/a"
    )
    refused(await desk.ask(sent), Reason.DPOP_PROOF_INVALID, "htu")
    desk = desk_of(possession=Possession(scheme="http"))
    token = access(desk)
    assert isinstance(await read(desk, token, proof(desk, token, "", htu=token_at)), Allow)
    desk = desk_of(possession=Possession(scheme=None))
    token = access(desk)
    refused(await read(desk, token, proof(desk, token, "", htu=token_at)), Reason.DPOP_PROOF_INVALID, "htu")
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a")), Allow)


async def test_a_proof_is_for_the_text_that_was_presented_the_sealed_one_where_it_is_sealed() -> None:
    desk = desk_of(unseal=lambda text, is_demanded: plain_from(text, {"k1": KEY}, is_demanded=is_demanded))
    plain = one_time(desk)
    sealed = SEALER.seal(AUDIENCE, plain)
    stripped = await desk.ask(under(desk, plain, "/pay", proof(desk, sealed, "/pay"), scheme=None))
    refused(stripped, Reason.DPOP_PROOF_INVALID, "ath")
    inner = await desk.ask(under(desk, sealed, "/pay", proof(desk, plain, "/pay"), scheme=None))
    refused(inner, Reason.DPOP_PROOF_INVALID, "ath")
    assert isinstance(await desk.ask(under(desk, sealed, "/pay", proof(desk, sealed, "/pay"), scheme=None)), Allow)


# --- a stolen request: token and proof, sent again


async def test_a_proof_is_good_once_for_a_token_that_comes_again() -> None:
    desk = desk_of()
    token = access(desk)
    sent = proof(desk, token, "/read/a")
    assert isinstance(await read(desk, token, sent), Allow)
    again = refused(await read(desk, token, sent), Reason.DPOP_PROOF_REPLAYED)
    assert again.token_state is TokenState.UNSPENT  # the token is good, with a new proof
    assert challenges(again) == [f'DPoP realm="wallet.api", error="invalid_dpop_proof", algs="{ALGS}"']
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a")), Allow)


async def test_a_jti_comes_once_for_its_key_on_all_routes_and_for_all_tokens_together() -> None:
    desk = desk_of()
    token, mandate = access(desk), access(desk, authorization_details=MANDATE)
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a", jti="j-1")), Allow)
    for path, of in (("/read/b", token), ("/either", token), ("/acting", mandate)):
        refused(await read(desk, of, proof(desk, of, path, jti="j-1"), path=path), Reason.DPOP_PROOF_REPLAYED)


async def test_nobody_uses_up_anothers_jti() -> None:
    desk = desk_of()
    other = Prover("Ed25519")
    theirs, ours = access(desk, {"jkt": encoded(other.jkt)}), access(desk)
    assert isinstance(await read(desk, theirs, proof(desk, theirs, "/read/a", prover=other, jti="j-1")), Allow)
    assert isinstance(await read(desk, ours, proof(desk, ours, "/read/a", jti="j-1")), Allow)


async def test_a_proof_that_one_worker_took_is_used_for_all_of_them() -> None:
    clock = FakeClock(now_ms=NOW_MS)
    shared = MemoryUsedList(clock=clock, iat_lead_ms=500)
    clock.advance(12_000)
    first, second = desk_of(shared), desk_of(shared)
    token = access(first)
    sent = proof(first, token, "/read/a")
    assert isinstance(await read(first, token, sent), Allow)
    refused(await read(second, token, sent), Reason.DPOP_PROOF_REPLAYED)


async def test_a_second_filter_that_asks_about_the_same_request_is_no_replay_and_another_request_is() -> None:
    desk = desk_of()
    token = access(desk)
    sent = proof(desk, token, "/filtered")
    for _ in range(2):
        assert isinstance(await read(desk, token, sent, path="/filtered"), Allow)
    refused(await read(desk, token, sent, path="/filtered", stream_id="7"), Reason.DPOP_PROOF_REPLAYED)


async def test_a_one_time_token_and_its_proof_are_used_up_together() -> None:
    """No memory of the proof is needed: ``ath`` ties it to one token, and that is spent."""
    used_list = AnsweringUsedList()
    desk = desk_of(used_list)
    token, other = one_time(desk), one_time(desk)
    sent = proof(desk, token, "/pay")
    assert isinstance(await desk.ask(under(desk, token, "/pay", sent, scheme=None)), Allow)
    spent = desk.verifier.verify(token, audience=AUDIENCE, now_ms=desk.clock.now_ms())
    assert isinstance(spent, VerifiedToken)
    assert [use.key for use in used_list.uses] == [spent.digest]
    decision = await desk.ask(under(desk, other, "/pay", sent, scheme=None))
    refused(decision, Reason.DPOP_PROOF_INVALID, "ath")


async def test_a_one_time_token_sent_again_with_a_new_proof_is_a_replay() -> None:
    desk = desk_of()
    token = one_time(desk)
    for expected in (None, Reason.TOKEN_REPLAYED):
        decision = await desk.ask(under(desk, token, "/pay", proof(desk, token, "/pay"), scheme=None))
        assert (decision.reason if isinstance(decision, Deny) else None) is expected


async def test_a_call_that_is_refused_for_something_else_keeps_its_proof() -> None:
    desk = desk_of()
    token = access(desk, {"jkt": encoded(PROVER.jkt), "x5t#S256": X5T})
    sent = proof(desk, token, "/both")
    refused(await read(desk, token, sent, path="/both", certificate=b"\0" * 32), Reason.CERTIFICATE_MISMATCH)
    assert isinstance(await read(desk, token, sent, path="/both"), Allow)


async def test_without_a_store_nobody_can_say_whether_a_proof_is_new() -> None:
    desk = desk_of(UnavailableUsedList())
    token = access(desk)
    refused(await read(desk, token, proof(desk, token, "/read/a")), Reason.STORE_UNAVAILABLE)


async def test_a_store_that_forgot_refuses_every_proof_that_it_may_have_seen() -> None:
    desk = Desk(policy=POLICY)
    token = access(desk)
    fenced = refused(await read(desk, token, proof(desk, token, "/read/a")), Reason.STORE_EPOCH)
    assert fenced.retry_after_seconds == 5  # `lead`: a proof could have been used so long before its own time
    desk.clock.advance(5_500)
    token = access(desk)
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a")), Allow)


async def test_the_used_list_remembers_a_proof_for_longer_than_anyone_takes_it() -> None:
    used_list = AnsweringUsedList()
    desk = desk_of(used_list)
    token = access(desk)
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a", jti="j-1")), Allow)
    (use,) = used_list.uses
    issued_at_ms = desk.clock.now_ms() // 1000 * 1000
    assert use.issued_at_ms == issued_at_ms - 5_000
    assert use.keep_until_ms > issued_at_ms + 60_000 + 500
    assert b"j-1" not in use.key


# --- nonces


@pytest.mark.parametrize(
    "nonce",
    [
        None,
        "",
        "x",
        Nonces(secret=b"another secret, of another server", slot_ms=60_000).current(NOW_MS + 12_000),
        NONCES.current(NOW_MS - 120_000),
        NONCES.current(NOW_MS + 120_000),
    ],
    ids=["missing", "empty", "made up", "foreign", "old", "future"],
)
async def test_a_nonce_that_is_missing_foreign_or_old_is_answered_with_a_good_one(nonce: str | None) -> None:
    desk = desk_of(possession=WITH_NONCES)
    token = access(desk)
    decision = await read(desk, token, proof(desk, token, "/read/a", nonce=nonce))
    denied = refused(decision, Reason.DPOP_NONCE_REQUIRED)
    assert challenges(denied) == [f'DPoP realm="wallet.api", error="use_dpop_nonce", algs="{ALGS}"']
    assert denied.dpop_nonce == NONCES.current(desk.clock.now_ms())
    again = await read(desk, token, proof(desk, token, "/read/a", nonce=denied.dpop_nonce))
    assert isinstance(again, Allow)
    assert again.response_headers == ()


async def test_a_nonce_that_runs_out_brings_the_next_one() -> None:
    desk = desk_of(possession=WITH_NONCES)
    token, old = access(desk), NONCES.current(desk.clock.now_ms() - 60_000)
    decision = await read(desk, token, proof(desk, token, "/read/a", nonce=old))
    assert isinstance(decision, Allow)
    assert decision.response_headers == (("dpop-nonce", NONCES.current(desk.clock.now_ms())),)


async def test_workers_that_share_the_secret_take_each_others_nonces() -> None:
    first = Nonces(secret=b"s" * 32, slot_ms=60_000)
    desk = desk_of(possession=Possession(verifier=DpopVerifier(nonces=Nonces(secret=b"s" * 32, slot_ms=60_000))))
    token = access(desk)
    nonce = first.current(desk.clock.now_ms())
    assert isinstance(await read(desk, token, proof(desk, token, "/read/a", nonce=nonce)), Allow)


async def test_a_nonce_is_handed_to_nobody_whose_proof_is_bad() -> None:
    desk = desk_of(possession=WITH_NONCES)
    token = access(desk)
    denied = refused(await read(desk, token, proof(desk, token, "/read/b")), Reason.DPOP_PROOF_INVALID, "htu")
    assert denied.dpop_nonce is None


async def test_nothing_of_a_proof_is_in_what_is_told() -> None:
    desk = desk_of(possession=WITH_NONCES)
    token = access(desk)
    sent = proof(desk, token, "/read/a", jti="secret-jti", nonce=NONCES.current(NOW_MS))
    decision = await read(desk, token, sent)
    told = repr((decision, desk.audit.records, desk.observer))
    assert "secret-jti" not in told
    assert sent.partition(".")[2] not in repr(decision)
