"""Which key a token is bound to: a proof good once, with our nonce, and never taken for granted (RFC 9449 §5, §8)."""

import asyncio
import secrets
from typing import Any

import pytest

from ott_extauthz.authn.dpop import DpopVerifier
from ott_extauthz.authn.nonces import Nonces
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.once import Once
from ott_extauthz.issuer.possession import Bound, DpopProofs, NoProofs
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.ports import SpendOutcome, UsedList
from ott_extauthz.stores.memory import MemoryUsedList
from tests.fakes.issuing import SetClock
from tests.fakes.proofs import TARGET, Prover
from tests.fakes.used_list import AnsweringUsedList, UnavailableUsedList

NOW_MS = 1_795_000_000_000
SLOT_MS = 60_000
NONCES = Nonces(secret=b"\5" * 32, slot_ms=SLOT_MS)
PROVER = Prover()


def client(more: str = "") -> Client:
    known = "client_id: rgs, authentication: tls_client_auth, certificate: {dns: a.b}"
    text = f"clients: [{{{known}, {more}audiences: {{w: {{scopes: [s]}}}}}}]"
    return clients_from(text, "clients.yaml")["rgs"]


def started(used_list: UsedList | None = None, *, nonces: Nonces | None = NONCES) -> DpopProofs:
    """With a list that has been running for a while."""
    running = used_list or MemoryUsedList(clock=SetClock(NOW_MS - 60_000), iat_lead_ms=500)
    once = Once(
        used_list=running, entropy=secrets.token_bytes, on_fault=lambda _: None, exp_leeway_ms=2000, max_skew_ms=500
    )
    return DpopProofs(verifier=DpopVerifier(nonces=nonces), once=once, endpoint=TARGET)


def bound(proofs: DpopProofs | NoProofs, *dpop: str, now_ms: int = NOW_MS, more: str = "") -> Bound | OAuthError:
    request = TokenRequest(form={}, certificate=None, dpop=dpop, now_ms=now_ms)
    return asyncio.run(proofs.bind(request, Requester(client=client(more))))


def proof(now_ms: int = NOW_MS, **changes: Any) -> str:
    return PROVER.proof(now_ms, **({"nonce": NONCES.current(now_ms)} | changes))


def test_a_good_proof_binds_to_its_key_and_needs_no_new_nonce() -> None:
    answer = bound(started(), proof())
    assert isinstance(answer, Bound)
    assert (answer.requester.jkt, answer.dpop_nonce) == (PROVER.jkt, None)


def test_without_a_proof_there_is_nothing_to_bind_to() -> None:
    answer = bound(started())
    assert isinstance(answer, Bound)
    assert answer.requester.jkt is None


def test_a_client_that_must_send_a_proof_gets_nothing_without() -> None:
    answer = bound(started(), more="dpop: required, ")
    assert isinstance(answer, OAuthError)
    assert (answer.error, answer.status) == ("invalid_dpop_proof", 400)
    assert isinstance(bound(started(), proof(), more="dpop: required, "), Bound)


def test_a_proof_twice() -> None:
    proofs, sent = started(), proof()
    assert isinstance(bound(proofs, sent), Bound)
    again = bound(proofs, sent, now_ms=NOW_MS + 1)
    assert isinstance(again, OAuthError)
    assert (again.error, again.status) == ("invalid_dpop_proof", 400)


def test_the_same_jti_signed_anew_is_a_replay() -> None:
    proofs = started()
    assert isinstance(bound(proofs, proof(jti="one")), Bound)
    assert isinstance(bound(proofs, proof(NOW_MS + 1000, jti="one"), now_ms=NOW_MS + 1000), OAuthError)


def test_nobody_uses_up_anothers_jti() -> None:
    proofs, thief = started(), Prover()
    assert isinstance(bound(proofs, thief.proof(NOW_MS, jti="one", nonce=NONCES.current(NOW_MS))), Bound)
    assert isinstance(bound(proofs, proof(jti="one")), Bound)


def test_a_refused_proof_uses_nothing_up() -> None:
    uses = AnsweringUsedList()
    for sent in (proof(htm="GET"), proof(nonce=None), proof() + "x"):
        assert isinstance(bound(started(uses), sent), OAuthError)
    assert uses.uses == []


def test_a_proof_is_remembered_past_its_last_acceptable_instant() -> None:
    uses = AnsweringUsedList()
    bound(started(uses), proof())
    (use,) = uses.uses
    assert use.keep_until_ms >= NOW_MS + 60_000 + 60_000


def test_a_proof_from_the_future_is_fenced_by_when_it_may_first_have_been_used() -> None:
    """Else a list that forgot would take its `iat` for later than the forgetting, and the proof twice."""
    uses = AnsweringUsedList()
    assert isinstance(bound(started(uses), proof(iat=NOW_MS / 1000 + 5)), Bound)
    assert uses.uses[0].issued_at_ms <= NOW_MS


def test_a_list_that_just_started_vouches_for_no_proof_that_may_be_older() -> None:
    fresh = MemoryUsedList(clock=SetClock(NOW_MS), iat_lead_ms=500)
    answer = bound(started(fresh), proof())
    assert isinstance(answer, OAuthError)
    assert (answer.error, answer.status) == ("temporarily_unavailable", 503)
    later_ms = NOW_MS + (answer.retry_after_ms or 0)
    assert isinstance(bound(started(fresh), proof(later_ms), now_ms=later_ms), Bound)


@pytest.mark.parametrize(
    ("used_list", "error"),
    [
        (UnavailableUsedList(), "temporarily_unavailable"),
        (AnsweringUsedList([SpendOutcome.FENCED]), "temporarily_unavailable"),
        (AnsweringUsedList([SpendOutcome.UNSAFE]), "temporarily_unavailable"),
        (AnsweringUsedList([SpendOutcome.NOT_PRIMARY]), "temporarily_unavailable"),
        (AnsweringUsedList([SpendOutcome.EXPIRED]), "invalid_dpop_proof"),
        (AnsweringUsedList([SpendOutcome.ALREADY_USED]), "invalid_dpop_proof"),
    ],
)
def test_a_list_that_cannot_vouch_is_no_yes(used_list: UsedList, error: str) -> None:
    answer = bound(started(used_list), proof())
    assert isinstance(answer, OAuthError)
    assert answer.error == error


def test_a_missing_or_stale_nonce_is_answered_with_a_good_one() -> None:
    for nonce in (None, "guess", NONCES.current(NOW_MS - 2 * SLOT_MS)):
        answer = bound(started(), proof(nonce=nonce))
        assert isinstance(answer, OAuthError)
        assert (answer.error, answer.status) == ("use_dpop_nonce", 400)
        assert isinstance(bound(started(), proof(nonce=answer.dpop_nonce)), Bound)


def test_a_nonce_that_runs_out_is_followed_by_the_next() -> None:
    answer = bound(started(), proof(nonce=NONCES.current(NOW_MS - SLOT_MS)))
    assert isinstance(answer, Bound)
    assert answer.dpop_nonce == NONCES.current(NOW_MS)


@pytest.mark.parametrize(
    ("used_list", "error"),
    [
        (UnavailableUsedList(), "temporarily_unavailable"),
        (AnsweringUsedList([SpendOutcome.ALREADY_USED]), "invalid_dpop_proof"),
    ],
    ids=["unavailable", "used"],
)
def test_whoever_comes_again_with_a_new_proof_knows_the_next_nonce(used_list: UsedList, error: str) -> None:
    """RFC 9449 §8.2: or the retry of a refused request is refused for its nonce, too."""
    answer = bound(started(used_list), proof(nonce=NONCES.current(NOW_MS - SLOT_MS)))
    assert isinstance(answer, OAuthError)
    assert (answer.error, answer.dpop_nonce) == (error, NONCES.current(NOW_MS))


def test_where_no_nonce_is_asked_for_none_is_given() -> None:
    answer = bound(started(nonces=None), proof(nonce=None))
    assert isinstance(answer, Bound)
    assert answer.dpop_nonce is None


def test_a_server_without_dpop_ignores_no_proof() -> None:
    assert isinstance(bound(NoProofs(), proof()), OAuthError)
    assert isinstance(bound(NoProofs(), more="dpop: required, "), OAuthError)
    assert isinstance(bound(NoProofs()), Bound)


def test_no_refusal_repeats_what_was_sent() -> None:
    for sent in (proof(htu="https://evil.example/"), "secret.secret.secret", proof(nonce="secret")):
        answer = bound(started(), sent)
        assert isinstance(answer, OAuthError)
        assert all(word not in answer.description for word in ("evil", "secret"))
        assert all(" " <= letter <= "~" and letter not in '"\\' for letter in answer.description)
