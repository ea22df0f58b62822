"""Many tokens at once: one judgement, that of the token endpoint, and never wider than what was asked for."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ott_extauthz.issuer.batch import LARGEST_BATCH, Batch, BatchDesk, BatchRequest
from ott_extauthz.issuer.binding import Binding
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.grants import ClientCredentials, Grant
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.issuer.request import Requester, TokenRequest
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.stores.signing import new_key, signer_from
from tests.exchange_bank import claims_of
from tests.fakes.issuing import OneKey, SetClock, by_certificate
from tests.issuer_bank import CLIENTS, RGS

NOW_MS = 1_795_000_000_123
CERTIFICATE = PresentedCertificate(
    sha256=Thumbprint(bytes(32)), uris=(RGS,), dns=(), subject_dn="CN=rgs", not_after_ms=NOW_MS + 1
)
GOOD = BatchRequest(audience="wallet.api", count=2, certificate=CERTIFICATE, now_ms=NOW_MS)
DETAILS = '[{"type": "mandate", "brand": ["A"]}]'


@dataclass
class Judging:
    """Judges as the real grant does, and may add what a request says of details."""

    carries: list[dict[str, Any]] | None = None
    seen: list[TokenRequest] | None = None

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        self.seen = [*(self.seen or []), request]
        order = await ClientCredentials(lifetime_ms=30_000).judge(request, requester)
        if self.carries is None or isinstance(order, OAuthError):
            return order
        return replace(order, narrowing={"authorization_details": self.carries} if self.carries else {})


WORKLOADS = """
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {dns: rgs.bank.example}
    audiences:
      wallet.api: {scopes: ["wallet:debit"], workload_bound: true}
      cards.api: {scopes: ["cards:read"]}
"""
NAMED = replace(CERTIFICATE, dns=("rgs.bank.example",))
BOUND = replace(GOOD, binding=Binding.WORKLOAD, certificate=NAMED)


def desk(grant: Grant | None = None, clients_yaml: str = CLIENTS) -> BatchDesk:
    signer = signer_from(new_key("EdDSA"), "EdDSA")
    assert signer is not None
    clients = clients_from(clients_yaml, "clients.yaml")
    return BatchDesk(
        clients=clients,
        authenticator=by_certificate(clients),
        grant=grant or Judging(),
        minter=Minter(
            issuer="https://issuer",
            rings={DEFAULT_RING: OneKey(signer)},
            clock=SetClock(NOW_MS),
            entropy=secrets.token_bytes,
        ),
    )


async def refusal(request: BatchRequest, grant: Grant | None = None) -> OAuthError:
    answer = await desk(grant).answer(request)
    assert isinstance(answer, OAuthError)
    return answer


async def test_the_tokens_of_a_batch_do_not_use_up_one_budget() -> None:
    text = CLIENTS.replace("lifetime: 45500ms", "budget: {count: 2}, lifetime: 45500ms")
    clients = clients_from(text, "clients.yaml")
    answer = await replace(desk(), clients=clients, authenticator=by_certificate(clients)).answer(GOOD)
    assert isinstance(answer, Batch)
    identifiers = {claims_of(token.text)["authorization_details"][0]["identifier"] for token in answer.tokens}
    assert len(identifiers) == GOOD.count


async def test_all_tokens_of_a_batch_have_one_life() -> None:
    answer = await desk().answer(replace(GOOD, count=LARGEST_BATCH))
    assert isinstance(answer, Batch)
    assert len({token.text for token in answer.tokens}) == LARGEST_BATCH
    assert {(token.issued_at_ms, token.expires_at_ms) for token in answer.tokens} == {(NOW_MS, NOW_MS + 45_500)}


async def test_the_whole_batch_is_judged_once_and_as_the_token_endpoint_would() -> None:
    grant = Judging()
    await desk(grant).answer(replace(GOOD, scopes=("wallet:read", "wallet:debit"), count=LARGEST_BATCH))
    assert grant.seen is not None
    (asked,) = grant.seen
    said = {name: value for name, values in asked.form.items() for value in values if value}
    assert said == {
        "grant_type": "client_credentials",
        "client_id": "rgs",
        "requested_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "resource": "wallet.api",
        "scope": "wallet:read wallet:debit",
    }


@pytest.mark.parametrize("count", [-1, 0, LARGEST_BATCH + 1])
async def test_a_count_out_of_bounds_is_refused_before_anybody_is_asked(count: int) -> None:
    grant = Judging()
    assert (await refusal(replace(GOOD, count=count), grant)).error is OAuthErrorCode.INVALID_REQUEST
    assert grant.seen is None


async def test_details_that_the_grant_does_not_carry_are_not_dropped_silently() -> None:
    answer = await refusal(replace(GOOD, authorization_details=DETAILS), Judging(carries=[]))
    assert (answer.error, answer.client_id) == (OAuthErrorCode.INVALID_AUTHORIZATION_DETAILS, "rgs")


async def test_details_that_the_grant_carries_stay_beside_the_binding() -> None:
    carries = [{"type": "mandate", "brand": ["A"]}]
    answer = await desk(Judging(carries)).answer(replace(GOOD, authorization_details=DETAILS, htm="POST"))
    assert isinstance(answer, Batch)
    assert answer.order.narrowing == {"authorization_details": carries, "htm": "POST"}


async def test_a_certificate_that_has_run_out_is_refused_by_the_authenticator() -> None:
    answer = await refusal(replace(GOOD, now_ms=NOW_MS + 1))
    assert (answer.error, answer.client_id) == (OAuthErrorCode.INVALID_CLIENT, None)


async def test_without_a_certificate_there_is_no_client() -> None:
    assert (await refusal(replace(GOOD, certificate=None))).error is OAuthErrorCode.INVALID_CLIENT


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lifetime_ms": 300_001}, "longer than this client has"),
        ({"lifetime_ms": 999}, "no such token"),
        ({"digest": b"short"}, "no such token"),
        ({"htm": "lower"}, "no such token"),
    ],
)
async def test_what_narrows_wrongly_is_refused_and_not_quoted(change: dict[str, Any], told: str) -> None:
    answer = await refusal(replace(GOOD, **change))
    assert answer.error is OAuthErrorCode.INVALID_REQUEST
    assert told in answer.description
    assert "lower" not in answer.description


async def test_a_workload_bound_batch_names_the_workload_and_no_certificate() -> None:
    answer = await desk(clients_yaml=WORKLOADS).answer(BOUND)
    assert isinstance(answer, Batch)
    assert (answer.order.subject, answer.order.thumbprint) == (RGS, None)


async def test_who_needs_a_dpop_proof_gets_no_batch_without_one() -> None:
    answer = await desk(
        clients_yaml=CLIENTS.replace("    audiences:\n", "    dpop: required\n    audiences:\n", 1)
    ).answer(GOOD)
    assert isinstance(answer, OAuthError)
    assert (answer.error, answer.client_id) == (OAuthErrorCode.UNAUTHORIZED_CLIENT, "rgs")


async def test_who_may_have_workload_bound_tokens_gets_the_certificate_unless_asking() -> None:
    answer = await desk(clients_yaml=WORKLOADS).answer(replace(BOUND, binding=Binding.CERTIFICATE))
    assert isinstance(answer, Batch)
    assert answer.order.thumbprint == NAMED.sha256


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"audience": "cards.api"}, OAuthErrorCode.UNAUTHORIZED_CLIENT, "no workload-bound tokens"),  # not by default
        ({"certificate": replace(NAMED, uris=())}, OAuthErrorCode.INVALID_REQUEST, "the certificate has none"),
        ({"binding": None}, OAuthErrorCode.INVALID_REQUEST, "CERTIFICATE or WORKLOAD"),
        ({"lifetime_ms": 300_001}, OAuthErrorCode.INVALID_REQUEST, "longer than"),
    ],
)
async def test_a_batch_is_never_less_bound_than_it_may_be(
    change: dict[str, Any], error: OAuthErrorCode, told: str
) -> None:
    answer = await desk(clients_yaml=WORKLOADS).answer(replace(BOUND, **change))
    assert isinstance(answer, OAuthError)
    assert answer.error is error
    assert told in answer.description


async def test_what_a_proxy_passes_on_is_not_the_proxys_own_request() -> None:
    answer = await replace(desk(), proxies=frozenset({RGS})).answer(GOOD)
    assert isinstance(answer, OAuthError)
    assert answer.error is OAuthErrorCode.INVALID_CLIENT
