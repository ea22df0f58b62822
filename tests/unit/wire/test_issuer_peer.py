"""What is read from a client's certificate."""

import hashlib

import pytest

from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.wire.issuer_peer import presented_from
from tests.fakes.certificates import NOT_AFTER, Authority

AUTHORITY = Authority()


def test_every_name_is_read() -> None:
    leaf = AUTHORITY.leaf("rgs", uris=("spiffe://b/rgs", "https://rgs"), dns=("a.example",), organisation="Bank, Ltd")
    assert presented_from(leaf.der) == PresentedCertificate(
        sha256=hashlib.sha256(leaf.der).digest(),  # type: ignore[arg-type]  # a Thumbprint is bytes
        uris=("spiffe://b/rgs", "https://rgs"),
        dns=("a.example",),
        subject_dn=r"CN=rgs,O=Bank\, Ltd",
        not_after_ms=int(NOT_AFTER.timestamp()) * 1000,
    )


def test_a_certificate_without_alternative_names_names_nobody() -> None:
    shown = presented_from(AUTHORITY.leaf("rgs").der)
    assert shown is not None
    assert (shown.uris, shown.dns, shown.spiffe_id, shown.is_sound) == ((), (), None, True)


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x00", b"garbage"])
def test_what_we_cannot_read_is_no_certificate(der: bytes) -> None:
    assert presented_from(der) is None
