"""Whose word counts for a SPIFFE ID: real certificates, signed by the wrong authority above all."""

from datetime import UTC, datetime, timedelta

import pytest

from ott_extauthz.authn import trust_domains
from ott_extauthz.authn.trust_bundle import bundle_from
from ott_extauthz.authn.trust_domains import TrustDomains
from tests.fakes.certificates import Authority, Leaf, self_signed
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import NOW_MS

BANK, PARTNER = Authority("bank root"), Authority("partner root")
RGS, PSP = "spiffe://bank.example/rgs", "spiffe://partner.example/psp"
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
CALLER = BANK.leaf(uris=(RGS,))


class Domains:
    """Two domains, each with its own authority, and a clock."""

    def __init__(self, bank: bytes = BANK.pem, partner: bytes = PARTNER.pem) -> None:
        self.clock = FakeClock(now_ms=NOW_MS)
        self.bundles = {"bank.example": bundle_from("bank.example", bank)}
        self.bundles["partner.example"] = bundle_from("partner.example", partner)
        self.domains = TrustDomains(self.bundles, self.clock.now_ms)

    def prove(self, leaf: Leaf) -> bool:
        return self.domains.proves(leaf.der)


def test_each_domain_signs_its_own() -> None:
    domains = Domains()
    assert domains.prove(CALLER)
    assert domains.prove(PARTNER.leaf(uris=(PSP,)))
    assert domains.domains.proves_principal(RGS, CALLER.der)


def test_no_domain_signs_anothers_ids() -> None:
    """What Envoy's combined bundle would let through."""
    domains = Domains()
    assert not domains.prove(PARTNER.leaf(uris=(RGS,)))
    assert not domains.prove(BANK.leaf(uris=(PSP,)))


def test_an_authority_of_the_same_name_is_another() -> None:
    assert not Domains().prove(Authority("bank root").leaf(uris=(RGS,)))


@pytest.mark.parametrize(
    "leaf",
    [
        BANK.leaf(uris=("spiffe://unlisted.example/rgs",)),
        BANK.leaf(uris=("spiffe://bank.example.partner.example/rgs",)),
        BANK.leaf(uris=("spiffe://BANK.example/rgs",)),
        BANK.leaf(uris=("spiffe://bank.example/rgs\0",)),
        BANK.leaf(uris=(RGS, PSP)),
        BANK.leaf(uris=("https://bank.example/rgs",)),
        BANK.leaf(RGS, dns=("bank.example",)),
        BANK.leaf(),
        self_signed(uris=(RGS,)),
        self_signed(ca=True, uris=(RGS,)),
        self_signed(uris=(RGS,), signed_by=CALLER),
        BANK.leaf(uris=(RGS,), not_after=NOW - timedelta(seconds=1)),
        BANK.leaf(uris=(RGS,), not_before=NOW + timedelta(seconds=1)),
    ],
    ids=[
        "a domain that is not listed", "a lookalike", "another case", "NUL", "two URIs", "no SPIFFE ID", "a DNS name",
        "no names", "self-signed", "self-signed authority", "signed by a caller", "expired", "of tomorrow",
    ],
)  # fmt: skip
def test_what_is_not_the_domains_own_is_not_proven(leaf: Leaf) -> None:
    assert not Domains().prove(leaf)


def test_garbage_proves_nothing() -> None:
    domains = Domains().domains
    assert not domains.proves(b"")
    assert not domains.proves(CALLER.der[:-1])
    assert not domains.proves_principal(RGS, None)


def test_a_principal_that_is_not_the_certificates_own_is_not_proven() -> None:
    domains = Domains().domains
    assert not domains.proves_principal(PSP, CALLER.der)
    assert not domains.proves_principal("", CALLER.der)
    assert not domains.proves_principal(RGS, BANK.leaf(RGS, dns=(RGS,)).der)


def test_an_intermediate_must_stand_in_the_bundle() -> None:
    """Envoy hands on the leaf alone."""
    intermediate = Authority("intermediate", signed_by=BANK)
    leaf = intermediate.leaf(uris=(RGS,))
    assert not Domains().prove(leaf)
    assert Domains(bank=BANK.pem + intermediate.pem).prove(leaf)
    assert Domains(bank=intermediate.pem).prove(leaf)


def test_a_certificate_without_key_identifiers_is_as_good() -> None:
    assert Domains().prove(BANK.leaf(uris=(RGS,), key_identifiers=False))


def test_a_verdict_ends_with_the_certificate() -> None:
    domains, leaf = Domains(), BANK.leaf(uris=(RGS,), not_after=NOW + timedelta(seconds=60))
    assert domains.prove(leaf)
    domains.clock.advance(61_000)
    assert not domains.prove(leaf)


def test_a_verdict_ends_with_the_bundle() -> None:
    domains = Domains()
    assert domains.prove(CALLER)
    domains.bundles["bank.example"] = bundle_from("bank.example", PARTNER.pem)
    assert not domains.prove(CALLER)
    domains.bundles["bank.example"] = bundle_from("bank.example", BANK.pem)
    assert domains.prove(CALLER), "a refusal ends with it, too"
    domains.bundles["bank.example"] = bundle_from("bank.example", b'{"keys": []}')
    assert not domains.prove(CALLER), "a revoked domain"


def test_a_refusal_is_looked_at_again() -> None:
    domains, leaf = Domains(), BANK.leaf(uris=(RGS,), not_before=NOW + timedelta(seconds=5))
    assert not domains.prove(leaf)
    domains.clock.advance(10_001)
    assert domains.prove(leaf)


def test_a_certificate_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    domains = Domains()
    assert domains.prove(CALLER)
    monkeypatch.setattr(trust_domains, "_chain", lambda *_: pytest.fail("verified again"))
    assert domains.prove(CALLER)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_domains, "_KEPT", 3)
    domains = Domains()
    for number in range(5):
        assert domains.prove(BANK.leaf(uris=(f"{RGS}{number}",)))
    assert len(domains.domains._verdicts) == 3
