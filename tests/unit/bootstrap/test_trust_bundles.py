"""Trust domains from ott.yaml: judged at the start, followed while serving, applied where requests arrive."""

from pathlib import Path
from urllib.parse import quote

import pytest

from ott_extauthz.authn.trust_bundle import bundle_from
from ott_extauthz.authn.trust_domains import TrustDomains
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Reason
from ott_extauthz.reload.source import Result
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.settings import load
from ott_extauthz.wire.decode import facts_from
from ott_extauthz.wire.peer import PeerCertificates
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.clock import FakeClock
from tests.fakes.requests import check_request
from tests.unit.bootstrap.test_reloading import Results

BANK, PARTNER = Authority("bank"), Authority("partner")
RGS, GATEWAY = "spiffe://bank.example/rgs", "spiffe://bank.example/gateway"
CALLER, FORGED = BANK.leaf(uris=(RGS,)), PARTNER.leaf(uris=(RGS,))
POLICY = """
revision: r1
routes:
  - name: report
    match: {path: /report}
    credential: certificate
    certificate: %s
"""


def sources_in(folder: Path, results: Results, rule: str = f'{{spiffe_ids: ["{RGS}"]}}') -> Sources:
    (folder / "policy.yaml").write_text(POLICY % rule)
    (folder / "ott.yaml").write_text("policy: policy.yaml\ntrust_domains: {bank.example: {bundle: bank.pem}}\n")
    settings = load(folder / "ott.yaml", {})
    inputs = check_inputs(settings, "ott.yaml")
    return sources_of(settings, inputs, clock=FakeClock(), listener=results, on_fault=pytest.fail)


def test_a_bundle_is_followed_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    bundle, results = tmp_path / "bank.pem", Results()
    bundle.write_bytes(BANK.pem)
    sources = sources_in(tmp_path, results)
    domains, [source] = sources.trust_domains, sources.trust_bundles
    assert domains is not None
    assert source in sources.in_files()
    assert domains.proves(CALLER.der)
    assert not domains.proves(FORGED.der)

    for bad in (b"", CALLER.pem, BANK.pem[:300]):
        bundle.write_bytes(bad)
        assert source.reload()
        assert results.told.pop() is Result.REFUSED
        assert domains.proves(CALLER.der)

    bundle.write_bytes(PARTNER.pem)
    assert source.reload()
    assert results.told.pop() is Result.LOADED
    assert not domains.proves(CALLER.der)
    assert domains.proves(FORGED.der)


@pytest.mark.parametrize("content", [None, b"", CALLER.pem])
def test_without_a_good_bundle_nothing_starts(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "bank.pem").write_bytes(content)
    with pytest.raises(DocumentError, match=r"bank\.pem"):
        sources_in(tmp_path, Results())


def test_a_route_that_lists_dns_names_would_let_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "bank.pem").write_bytes(BANK.pem)
    with pytest.raises(DocumentError, match="route report: lists certificates by dns, and with trust_domains"):
        sources_in(tmp_path, Results(), "{dns: [rgs.bank.example]}")


@pytest.mark.parametrize(
    "text",
    ["{}", "{bank.example: {}}", "{Bank.example: {bundle: x}}", "{'a/b': {bundle: x}}", "{a: {bundle: x, y: z}}"],
)
def test_what_is_no_trust_domain_is_a_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "ott.yaml").write_text(f"trust_domains: {text}\n")
    with pytest.raises(DocumentError, match="trust_domains"):
        load(tmp_path / "ott.yaml", {})


# --- where requests arrive


def certificates(**rule: object) -> PeerCertificates:
    bundles = {"bank.example": bundle_from("bank.example", BANK.pem)}
    domains = TrustDomains(bundles, FakeClock().now_ms)
    return PeerCertificates(ClientCertificate.model_validate(rule), domains.proves_principal)


def arriving(certificates: PeerCertificates, leaf: Leaf | None, *, principal: str = RGS, xfcc: str = "") -> Facts:
    headers = [("x-forwarded-client-cert", xfcc)] if xfcc else []
    encoded = "" if leaf is None else quote(leaf.pem.decode(), safe="")
    found = facts_from(check_request(certificate=encoded, principal=principal, headers=headers), certificates)
    assert isinstance(found, Facts)
    return found


def test_a_proven_principal_counts() -> None:
    peer = arriving(certificates(), CALLER).peer
    assert (peer.is_proven, peer.proven_principal, peer.certificate) == (True, RGS, CALLER.sha256)


@pytest.mark.parametrize(
    "leaf", [FORGED, None, BANK.leaf(RGS), BANK.leaf(dns=(RGS,)), BANK.leaf(uris=("spiffe://bank.example/other",))]
)
def test_a_principal_that_is_not_proven_is_written_down_and_is_nobody(leaf: Leaf | None) -> None:
    peer = arriving(certificates(), leaf).peer
    assert (peer.is_proven, peer.proven_principal, peer.principal) == (False, "", RGS)


def test_without_trust_domains_envoys_word_is_taken() -> None:
    assert arriving(PeerCertificates(ClientCertificate()), FORGED).peer.proven_principal == RGS


HOPS = {"source": "xfcc", "trusted_hops": 1, "hop_identities": [GATEWAY]}
XFCC = f"Hash={CALLER.sha256.hex()},Hash={'0' * 64};URI={GATEWAY}"


def test_a_gateway_must_be_proven_as_well() -> None:
    gateway = BANK.leaf(uris=(GATEWAY,))
    assert arriving(certificates(**HOPS), gateway, principal=GATEWAY, xfcc=XFCC).peer.certificate == CALLER.sha256
    for forged in (PARTNER.leaf(uris=(GATEWAY,)), None):
        peer = arriving(certificates(**HOPS), forged, principal=GATEWAY, xfcc=XFCC).peer
        assert peer.certificate is Reason.TRUST_DOMAIN_UNPROVEN


def test_a_proven_workload_does_not_play_the_gateway_by_a_dns_name() -> None:
    """Envoy writes SANs unquoted: `DNS=x;URI=<gateway>` would name the gateway in the thief's own element."""
    thief = BANK.leaf(uris=(RGS,), dns=(f"x;URI={GATEWAY}",))
    smuggled = f"Hash={FORGED.sha256.hex()},Hash={thief.sha256.hex()};URI={RGS};DNS=x;URI={GATEWAY}"
    peer = arriving(certificates(**HOPS), thief, principal=RGS, xfcc=smuggled).peer
    assert peer.certificate is Reason.CERTIFICATE_HOP_UNTRUSTED
