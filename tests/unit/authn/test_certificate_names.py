"""Whom a certificate names: the attacks are certificates that a careless authority signs."""

import pytest

from ott_extauthz.authn.certificate_names import is_spiffe_id, names_in
from tests.fakes.certificates import NOT_AFTER, NOT_BEFORE, Authority

PKI = Authority()
RGS = "spiffe://bank.example/rgs"


def test_the_one_uri_is_the_workload() -> None:
    names = names_in(PKI.leaf(uris=(RGS,), dns=("Wallet.API",)).der)
    assert names is not None
    assert (names.spiffe_id, names.trust_domain, names.claims_spiffe) == (RGS, "bank.example", True)
    assert names.dns == frozenset({"wallet.api"})
    assert names.not_before_ms == NOT_BEFORE.timestamp() * 1000
    assert names.not_after_ms == NOT_AFTER.timestamp() * 1000


@pytest.mark.parametrize(
    "uris",
    [
        (RGS, "spiffe://bank.example/other"),
        (RGS, "https://bank.example"),
        ("https://bank.example", RGS),
        (RGS, RGS),
        ("SPIFFE://bank.example/rgs",),
        ("spiffe://Bank.example/rgs",),
        ("spiffe://bank.example",),
        ("spiffe://bank.example/",),
        ("spiffe://bank.example/rgs/",),
        ("spiffe://bank.example//rgs",),
        ("spiffe://bank.example/x/../rgs",),
        ("spiffe://bank.example/./rgs",),
        ("spiffe://bank.example:443/rgs",),
        ("spiffe://u@bank.example/rgs",),
        ("spiffe://bank.example/rgs?x=1",),
        ("spiffe://bank.example/rgs#x",),
        ("spiffe://bank.example/%72gs",),
        ("spiffe://bank.example/rgs\0.evil.example",),
        ("spiffe://bank.example/rgs\n",),
        ("spiffe://bank.example/" + "r" * 2048,),
    ],
    ids=repr,
)
def test_what_is_not_the_one_spiffe_id_names_no_workload_yet_claims_to(uris: tuple[str, ...]) -> None:
    names = names_in(PKI.leaf(uris=uris).der)
    assert names is not None
    assert names.spiffe_id is None
    assert names.claims_spiffe


def test_a_spiffe_id_in_another_place_than_the_uris_is_none() -> None:
    """Envoy's principal falls back to DNS names and the subject, where others may write what they like."""
    names = names_in(PKI.leaf(RGS, dns=(RGS,), organisation=RGS).der)
    assert names is not None
    assert names.spiffe_id is None


def test_dns_names_are_dns_names_alone() -> None:
    names = names_in(PKI.leaf("cn.bank.example", dns=("*.bank.example", "a\0b"), ips=("10.0.0.1",)).der)
    assert names is not None
    assert names.dns == frozenset({"*.bank.example"}), "no subject, no address, nothing with NUL; a wildcard is a text"


def test_a_certificate_without_names_has_dates() -> None:
    names = names_in(PKI.leaf().der)
    assert names is not None
    assert names.is_current(int(NOT_AFTER.timestamp()) * 1000)
    assert not names.is_current(int(NOT_AFTER.timestamp()) * 1000 + 1)
    assert not names.is_current(int(NOT_BEFORE.timestamp()) * 1000 - 1)
    assert names.is_current(int(NOT_BEFORE.timestamp()) * 1000 - 500, lead_ms=500)


def test_what_is_no_certificate_names_nobody() -> None:
    assert names_in(b"") is None
    assert names_in(PKI.leaf(uris=(RGS,)).der[:-40]) is None
    assert names_in(PKI.leaf(uris=(RGS,)).der + b"\0") is None


def of_version_6(der: bytes) -> bytes:
    """No X.509 has such a version; the library's complaint about it is no ValueError."""
    return der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)


def test_a_certificate_of_a_version_that_does_not_exist_names_nobody() -> None:
    assert names_in(of_version_6(PKI.leaf(uris=(RGS,)).der)) is None


def test_a_text_with_a_space_after_it_is_no_spiffe_id() -> None:
    assert not is_spiffe_id("spiffe://bank.example/rgs ")
