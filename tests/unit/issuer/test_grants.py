"""Who gets which token: each refusal of RFC 6749 §5.2, 8705 §2 and 8707 §2, and what an order then says."""

import asyncio
import secrets
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS, ClientCredentials
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.issuer.request import TokenRequest
from ott_extauthz.issuer.token_endpoint import Issued, TokenEndpoint
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.stores.signing import new_key, signer_from
from tests.fakes.issuing import OneKey, SetClock, by_certificate

NOW_MS = 1_795_000_000_000
RGS = "spiffe://bank.example/rgs"
CLIENTS = clients_from(
    f"""
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{RGS}"}}
    audiences:
      wallet.api: {{scopes: ["wallet:debit", "wallet:read"]}}
      ledger.api: {{scopes: ["ledger:write"], lifetime: 5s}}
  - client_id: batch
    authentication: tls_client_auth
    certificate: {{dns: batch.bank.example}}
    audiences: {{ledger.api: {{scopes: ["ledger:write"]}}}}
  - client_id: named
    authentication: tls_client_auth
    certificate: {{subject_dn: "CN=named,O=Bank"}}
    audiences: {{ledger.api: {{scopes: ["ledger:write"]}}}}
  - client_id: pinned
    authentication: tls_client_auth
    certificate: {{sha256: "{"07" * 32}"}}
    audiences: {{ledger.api: {{scopes: ["ledger:write"]}}}}
""",
    "clients.yaml",
)
_SIGNER = signer_from(new_key("EdDSA"), "EdDSA")
assert _SIGNER is not None
ENDPOINT = TokenEndpoint(
    authenticator=by_certificate(CLIENTS),
    grants={CLIENT_CREDENTIALS: ClientCredentials(lifetime_ms=30_000)},
    minter=Minter(
        issuer="https://issuer.bank.example",
        rings={DEFAULT_RING: OneKey(_SIGNER)},
        clock=SetClock(NOW_MS),
        entropy=secrets.token_bytes,
    ),
)


def asked(fields: dict[str, list[str]], shown: PresentedCertificate | None) -> MintOrder | OAuthError:
    request = TokenRequest(form=fields, certificate=shown, now_ms=NOW_MS)
    answer = asyncio.run(ENDPOINT.answer(request))
    return answer.order if isinstance(answer, Issued) else answer


def certificate(**changes: Any) -> PresentedCertificate:
    values: dict[str, Any] = {
        "sha256": Thumbprint(b"\1" * 32),
        "uris": (RGS,),
        "dns": (),
        "subject_dn": "CN=rgs",
        "not_after_ms": NOW_MS + 1,
    }
    return PresentedCertificate(**(values | changes))


def form(**changes: list[str] | None) -> dict[str, list[str]]:
    fields: dict[str, list[str] | None] = {
        "grant_type": ["client_credentials"],
        "client_id": ["rgs"],
        "resource": ["wallet.api"],
    }
    return {name: values for name, values in (fields | changes).items() if values is not None}


GOOD = certificate()


def judged(shown: PresentedCertificate = GOOD, /, **changes: list[str] | None) -> MintOrder | OAuthError:
    return asked(form(**changes), shown)


def refusal(shown: PresentedCertificate = GOOD, /, **changes: list[str] | None) -> tuple[str, int]:
    error = judged(shown, **changes)
    assert isinstance(error, OAuthError)
    return error.error, error.status


def test_a_good_request_becomes_an_order_bound_to_its_certificate() -> None:
    assert judged(scope=["wallet:debit"]) == MintOrder(
        subject=RGS,
        client_id="rgs",
        audience="wallet.api",
        scope=frozenset({"wallet:debit"}),
        lifetime_ms=30_000,
        thumbprint=Thumbprint(b"\1" * 32),
    )


def test_no_scope_means_all_of_the_grant_and_the_grant_has_its_own_lifetime() -> None:
    order = judged(resource=["ledger.api"])
    assert isinstance(order, MintOrder)
    assert (order.scope, order.lifetime_ms) == (frozenset({"ledger:write"}), 5_000)


@pytest.mark.parametrize("field", ["grant_type", "client_id", "scope", "state", "unheard_of"])
def test_a_parameter_twice_is_invalid_request_even_when_empty_or_unknown(field: str) -> None:
    assert refusal(**{field: ["x", ""]}) == ("invalid_request", 400)


@pytest.mark.parametrize("field", ["grant_type", "client_id"])
@pytest.mark.parametrize("values", [None, [""]])
def test_missing_parameters_are_invalid_request_and_empty_is_missing(field: str, values: list[str] | None) -> None:
    assert refusal(**{field: values}) == ("invalid_request", 400)


@pytest.mark.parametrize("field", ["client_secret", "client_assertion", "client_assertion_type"])
def test_a_second_way_of_authenticating_is_invalid_request(field: str) -> None:
    assert refusal(**{field: ["x"]}) == ("invalid_request", 400)


@pytest.mark.parametrize(
    "grant_type",
    ["authorization_code", "password", "urn:ietf:params:oauth:grant-type:token-exchange", "Client_Credentials"],
)
def test_other_grants_are_unsupported(grant_type: str) -> None:
    assert refusal(grant_type=[grant_type]) == ("unsupported_grant_type", 400)


def test_an_unknown_client_and_a_wrong_certificate_are_told_the_same() -> None:
    unknown, wrong = judged(client_id=["nobody"]), judged(client_id=["batch"])
    assert unknown == wrong
    assert refusal(client_id=["nobody"]) == ("invalid_client", 401)


def test_without_a_certificate_nobody_is_known() -> None:
    error = asked(form(), None)
    assert isinstance(error, OAuthError)
    assert (error.error, error.status) == ("invalid_client", 401)


def test_a_certificate_that_expired_on_a_live_connection_is_no_certificate() -> None:
    assert refusal(certificate(not_after_ms=NOW_MS)) == ("invalid_client", 401)


@pytest.mark.parametrize(
    "uris",
    [
        (RGS, "spiffe://bank.example/other"),
        (RGS, RGS),
        (RGS, "https://rgs.bank.example"),
        ("https://rgs.bank.example", RGS),
        ("spiffe://bank.example",),
        ("SPIFFE://bank.example/rgs",),
        ("spiffe://bank.example/rgs/../rgs",),
        ("spiffe://bank.example/rgs?x",),
        ("spiffe://bank.example/" + "a" * 500,),
    ],
)
def test_a_certificate_naming_two_workloads_or_none_properly_is_refused(uris: tuple[str, ...]) -> None:
    """X.509-SVID §2, and the confusion of Envoy's first URI SAN with ours."""
    for shown in (certificate(uris=uris), certificate(uris=uris, sha256=Thumbprint(b"\7" * 32))):
        assert refusal(shown) == ("invalid_client", 401)
        assert refusal(shown, client_id=["pinned"], resource=["ledger.api"]) == ("invalid_client", 401)


@pytest.mark.parametrize(
    ("client_id", "shown", "subject"),
    [
        ("batch", certificate(uris=(), dns=("a.example", "Batch.bank.example")), "batch"),
        ("batch", certificate(uris=("spiffe://b/x",), dns=("batch.bank.example",)), "spiffe://b/x"),
        ("batch", certificate(uris=("https://b/x",), dns=("batch.bank.example",)), "batch"),
        ("named", certificate(uris=(), subject_dn="CN=named,O=Bank"), "named"),
        ("pinned", certificate(uris=(), sha256=Thumbprint(b"\7" * 32)), "pinned"),
    ],
)
def test_the_subject_is_the_workload_else_the_client(client_id: str, shown: PresentedCertificate, subject: str) -> None:
    order = judged(shown, client_id=[client_id], resource=["ledger.api"])
    assert isinstance(order, MintOrder)
    assert (order.subject, order.client_id, order.thumbprint) == (subject, client_id, shown.sha256)


@pytest.mark.parametrize(
    ("client_id", "shown"),
    [
        ("batch", certificate(uris=(), dns=("evil.batch.bank.example",))),
        ("batch", certificate(uris=(), dns=("*.bank.example",))),
        ("batch", certificate(uris=(), dns=(), subject_dn="CN=batch.bank.example")),
        ("named", certificate(uris=(), subject_dn="CN=named,O=Bank,C=XX")),
        ("named", certificate(uris=(), subject_dn="")),
        ("pinned", certificate(uris=(), sha256=Thumbprint(b"\6" * 32))),
        ("rgs", certificate(uris=("spiffe://bank.example/rgs2",))),
        ("rgs", certificate(uris=(), dns=(RGS,))),
    ],
)
def test_near_misses_do_not_match(client_id: str, shown: PresentedCertificate) -> None:
    assert refusal(shown, client_id=[client_id], resource=["ledger.api"]) == ("invalid_client", 401)


@pytest.mark.parametrize(
    "resource",
    [None, [""], ["nowhere.api"], ["wallet.api", "ledger.api"], ["wallet.api", "wallet.api"], ["WALLET.api"]],
)
def test_exactly_one_resource_of_the_client_else_invalid_target(resource: list[str] | None) -> None:
    assert refusal(resource=resource) == ("invalid_target", 400)


def test_another_clients_audience_is_invalid_target() -> None:
    shown = certificate(uris=(), dns=("batch.bank.example",))
    assert refusal(shown, client_id=["batch"], resource=["wallet.api"]) == ("invalid_target", 400)


@pytest.mark.parametrize(
    "scope",
    ["wallet:admin", "wallet:debit wallet:admin", "wallet:debit  wallet:read", " wallet:debit", "ledger:write", "\t"],
)
def test_a_wider_or_malformed_scope_is_refused_never_trimmed(scope: str) -> None:
    assert refusal(scope=[scope]) == ("invalid_scope", 400)


def test_a_refusal_names_the_client_only_once_it_is_authenticated() -> None:
    known, unknown = judged(resource=None), judged(client_id=["batch"])
    assert isinstance(known, OAuthError)
    assert isinstance(unknown, OAuthError)
    assert (known.client_id, unknown.client_id) == ("rgs", None)


def test_no_refusal_repeats_what_was_sent() -> None:
    sent = "x" * 40
    for field in ("grant_type", "client_id", "resource", "scope"):
        error = judged(**{field: [sent]})
        assert isinstance(error, OAuthError)
        assert sent not in error.description
        assert all(" " <= letter <= "~" and letter not in '"\\' for letter in error.description)


_NAMES = st.sampled_from(["grant_type", "client_id", "resource", "scope", "client_secret", "x"])
_VALUES = (
    st.sampled_from(["", "client_credentials", "rgs", "batch", "wallet.api", "wallet:debit", "wallet:admin"])
    | st.text()
)


@settings(deadline=None)  # each asks in an event loop of its own
@given(st.dictionaries(_NAMES, st.lists(_VALUES, max_size=3)))
def test_whatever_is_asked_nobody_gets_more_than_is_written(sent: dict[str, list[str]]) -> None:
    for fields in (sent, form() | sent):
        answer = asked(fields, GOOD)
        if isinstance(answer, MintOrder):
            assert (answer.client_id, answer.subject, answer.thumbprint) == ("rgs", RGS, GOOD.sha256)
            assert answer.scope <= set(CLIENTS["rgs"].audiences[answer.audience].scopes)
