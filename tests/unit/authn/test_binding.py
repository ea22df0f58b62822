"""A token held to its caller: what its ``cnf`` says, what the route asks for, and no name that others may choose."""

import pytest

from ott_extauthz.authn.binding import binding_fault
from ott_extauthz.model.facts import Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import Confirmation, VerifiedToken
from tests.fakes.asked import asked

RGS = "spiffe://bank.example/rgs"
OURS, THEIRS = Thumbprint(b"o" * 32), Thumbprint(b"t" * 32)


def token(confirmation: Confirmation, subject: str = RGS) -> VerifiedToken:
    fields = asked().token
    return VerifiedToken(
        id=fields.id, digest=fields.digest, subject=subject, client_id="rgs", audience="a", issued_at_ms=1,
        expires_at_ms=2, not_before_ms=None, confirmation=confirmation, scope=frozenset(), txn=None,
        auth_time_ms=None, restrictions=(),
    )  # fmt: skip


def fault(
    of: VerifiedToken,
    principal: str = RGS,
    certificate: Thumbprint | Reason = OURS,
    *,
    needs_certificate: bool = False,
    needs_workload: bool = False,
) -> Reason | None:
    peer = Peer(address="10.0.0.7", port=1, principal=principal, certificate=certificate)
    return binding_fault(of, peer, needs_certificate=needs_certificate, needs_workload=needs_workload)


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [(OURS, None), (THEIRS, Reason.CERTIFICATE_MISMATCH), (Reason.CERTIFICATE_MISSING, Reason.CERTIFICATE_MISSING)],
)
def test_what_the_token_is_bound_to_must_hold_on_every_route(
    certificate: Thumbprint | Reason, expected: Reason | None
) -> None:
    assert fault(token(Confirmation(OURS)), certificate=certificate) is expected
    assert fault(token(Confirmation(OURS)), certificate=certificate, needs_certificate=True) is expected


def test_a_route_that_asks_for_a_certificate_takes_no_token_without_one() -> None:
    assert fault(token(Confirmation()), needs_certificate=True) is Reason.TOKEN_UNBOUND
    assert fault(token(Confirmation())) is None


def test_a_binding_to_a_key_is_for_its_proof_to_show_and_takes_nothing_from_the_others() -> None:
    assert fault(token(Confirmation(jkt=OURS))) is None
    assert fault(token(Confirmation(jkt=OURS)), needs_certificate=True) is Reason.TOKEN_UNBOUND
    assert fault(token(Confirmation(THEIRS, jkt=OURS))) is Reason.CERTIFICATE_MISMATCH


def test_a_binding_that_cannot_be_proven_refuses_whatever_else_holds() -> None:
    assert fault(token(Confirmation(OURS, others=("x5u",)))) is Reason.BINDING_UNSUPPORTED


@pytest.mark.parametrize(
    ("subject", "principal"),
    [
        (RGS, "spiffe://bank.example/other"),
        (RGS, ""),
        ("rgs.bank.example", "rgs.bank.example"),
        ("CN=rgs", "CN=rgs"),
        (f"{RGS}\0", f"{RGS}\0"),
        (f"{RGS}\0.evil.example", f"{RGS}\0.evil.example"),
    ],
)
def test_only_a_whole_uri_names_a_workload(subject: str, principal: str) -> None:
    """Envoy falls back to a DNS name or the subject; what follows a NUL is lost on whoever reads C strings."""
    of = token(Confirmation(), subject)
    assert fault(of, principal, needs_workload=True) is Reason.WORKLOAD_MISMATCH
    assert fault(of, principal) is None


def test_a_route_that_asks_for_both_takes_neither_alone() -> None:
    of = token(Confirmation(OURS))
    assert fault(of, needs_certificate=True, needs_workload=True) is None
    assert fault(of, "spiffe://x/y", needs_certificate=True, needs_workload=True) is Reason.WORKLOAD_MISMATCH
    assert fault(of, certificate=THEIRS, needs_workload=True) is Reason.CERTIFICATE_MISMATCH


def test_a_workload_whose_trust_domain_did_not_sign_it_is_nobody() -> None:
    of = token(Confirmation(x5t_s256=OURS))
    peer = Peer(address="10.0.0.7", port=1, principal=RGS, certificate=OURS, is_proven=False)
    assert binding_fault(of, peer, needs_certificate=True, needs_workload=True) is Reason.TRUST_DOMAIN_UNPROVEN
    assert binding_fault(of, peer, needs_certificate=True, needs_workload=False) is None
