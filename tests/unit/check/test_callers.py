"""Who counts as one caller, however many faces it shows."""

import pytest

from ott_extauthz.check.callers import caller_of
from ott_extauthz.model.facts import Peer, Thumbprint
from ott_extauthz.model.reason import Reason

CERTIFICATE = Thumbprint(bytes(32))
NONE = Reason.CERTIFICATE_MISSING


def peer(address: str, certificate: Thumbprint | Reason = NONE, *, is_proven: bool = True) -> Peer:
    return Peer(address=address, port=1, principal="", certificate=certificate, is_proven=is_proven)


def test_a_certificate_is_one_caller_from_wherever_it_connects() -> None:
    assert caller_of(peer("10.0.0.1", CERTIFICATE)) == caller_of(peer("10.9.9.9", CERTIFICATE))
    assert caller_of(peer("10.0.0.1", CERTIFICATE)) != caller_of(peer("10.0.0.1", Thumbprint(b"\1" * 32)))
    assert caller_of(peer("10.0.0.1", CERTIFICATE)) != caller_of(peer("10.0.0.1"))


def test_a_certificate_that_its_trust_domain_did_not_sign_makes_nobody_another_caller() -> None:
    assert caller_of(peer("10.0.0.1", CERTIFICATE, is_proven=False)) == caller_of(peer("10.0.0.1"))


@pytest.mark.parametrize(("one", "other"), [
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
    ("::ffff:10.0.0.1", "10.0.0.1"),
])  # fmt: skip
def test_whoever_has_a_network_of_addresses_is_one_caller(one: str, other: str) -> None:
    assert caller_of(peer(one)) == caller_of(peer(other))


@pytest.mark.parametrize(("one", "other"), [
    ("2001:db8:1:2::1", "2001:db8:1:3::1"),
    ("10.0.0.1", "10.0.0.2"),
    ("", "10.0.0.2"),
])  # fmt: skip
def test_different_networks_are_different_callers(one: str, other: str) -> None:
    assert caller_of(peer(one)) != caller_of(peer(other))
