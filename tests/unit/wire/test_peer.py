"""Which certificate counts, by trust rule; whatever cannot be read strictly counts as none."""

import base64
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.demo.pki import Authority
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.peer import PeerCertificates

PKI = Authority("test")
CALLER, OTHER = PKI.issue("rgs", uri="spiffe://b/rgs"), PKI.issue("other", uri="spiffe://b/other")
PEM = CALLER.certificate_pem.decode()
URL_ENCODED = quote(PEM, safe="")
GATEWAY = "spiffe://b/gateway"


def xfcc(*identities: bytes, uri: str = GATEWAY) -> Headers:
    elements = [f"Hash={thumbprint.hex()};URI={uri}" for thumbprint in identities]
    return {"x-forwarded-client-cert": (",".join(elements),)}


def rule(source: str, hops: int = 0) -> PeerCertificates:
    identities = [GATEWAY] if hops else []
    return PeerCertificates(
        ClientCertificate.model_validate({"source": source, "trusted_hops": hops, "hop_identities": identities})
    )


def test_peer_reads_the_connections_certificate() -> None:
    assert rule("peer").of(URL_ENCODED, {}).thumbprint == CALLER.thumbprint


def test_a_plus_sign_of_base64_is_no_space() -> None:
    """Envoy writes %2B; `unquote_plus` would turn a bare plus into a space and lose one certificate in many."""
    assert rule("peer").of(quote(PEM, safe="+"), {}).thumbprint == CALLER.thumbprint


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "%zz",
        quote("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        URL_ENCODED + URL_ENCODED,
        quote(PEM.replace("CERTIFICATE", "PRIVATE KEY")),
        "a" * 40_000,
        URL_ENCODED[:300],
    ],
)
def test_what_is_not_one_certificate_is_none(text: str) -> None:
    assert rule("peer").of(text, {}).thumbprint is Reason.CERTIFICATE_MALFORMED


def test_a_certificate_of_a_version_that_does_not_exist_is_refused_and_breaks_nothing() -> None:
    """The library's complaint about it is no ValueError: left alone, it would be a fault of ours."""
    der = x509.load_pem_x509_certificate(CALLER.certificate_pem).public_bytes(Encoding.DER)
    forged = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
    text = base64.b64encode(forged).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
    assert rule("peer").of(quote(pem, safe=""), {}).thumbprint is Reason.CERTIFICATE_MALFORMED
    headers = {"client-cert": (f":{text}:",)}
    assert rule("rfc9440").of("", headers).thumbprint is Reason.CERTIFICATE_HEADER_MALFORMED


@pytest.mark.parametrize("source", ["peer", "xfcc"])
def test_no_certificate_is_missing(source: str) -> None:
    assert rule(source).of("", {}).thumbprint is Reason.CERTIFICATE_MISSING


def test_peer_does_not_take_a_certificate_from_a_header() -> None:
    """Without a declared mode XFCC is a client's own word."""
    assert rule("peer").of("", xfcc(CALLER.thumbprint)).thumbprint is Reason.CERTIFICATE_MISSING


@pytest.mark.parametrize("source", ["peer", "xfcc"])
def test_a_header_that_disagrees_with_the_connection_is_a_conflict(source: str) -> None:
    assert rule(source).of(URL_ENCODED, xfcc(CALLER.thumbprint)).thumbprint == CALLER.thumbprint
    assert rule(source).of(URL_ENCODED, xfcc(OTHER.thumbprint)).thumbprint is Reason.CERTIFICATE_CONFLICT
    garbage = {"x-forwarded-client-cert": ('Hash=aa;Subject="x',)}
    assert rule(source).of(URL_ENCODED, garbage).thumbprint is Reason.CERTIFICATE_HEADER_MALFORMED


def test_xfcc_takes_the_last_element_when_we_terminate_tls() -> None:
    assert rule("xfcc").of("", xfcc(OTHER.thumbprint, CALLER.thumbprint)).thumbprint == CALLER.thumbprint


def test_xfcc_behind_a_gateway_counts_from_the_right_and_ignores_the_connection() -> None:
    """The connection is the gateway's; an element a client prepends moves nothing."""
    gateway_hash = PKI.issue("gateway", uri=GATEWAY).thumbprint
    headers = xfcc(OTHER.thumbprint, CALLER.thumbprint, gateway_hash)
    assert rule("xfcc", 1).of(URL_ENCODED, headers).thumbprint == CALLER.thumbprint
    assert rule("xfcc", 1).of("", xfcc(gateway_hash)).thumbprint is Reason.CERTIFICATE_HOP_UNTRUSTED
    stranger = xfcc(CALLER.thumbprint, gateway_hash, uri="spiffe://evil/gateway")
    assert rule("xfcc", 1).of("", stranger).thumbprint is Reason.CERTIFICATE_HOP_UNTRUSTED


def test_exact_hops_refuse_what_stands_left_of_the_caller() -> None:
    """SAN injection: Envoy writes SANs unquoted, so a comma in a signed name writes an element of its own."""
    settings = {"source": "xfcc", "exact_hops": True}
    exact = PeerCertificates(ClientCertificate.model_validate(settings))
    assert exact.of("", xfcc(CALLER.thumbprint)).thumbprint == CALLER.thumbprint
    injected = xfcc(OTHER.thumbprint, CALLER.thumbprint)
    assert exact.of("", injected).thumbprint is Reason.CERTIFICATE_HOP_UNTRUSTED


def _client_cert(der: bytes) -> str:
    return f":{base64.b64encode(der).decode()}:"


def _der(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


def test_rfc9440_reads_one_byte_sequence() -> None:
    headers = {"client-cert": (_client_cert(_der(PEM)),)}
    assert rule("rfc9440").of("", headers).thumbprint == CALLER.thumbprint
    assert rule("rfc9440").of(URL_ENCODED, {}).thumbprint is Reason.CERTIFICATE_MISSING


@pytest.mark.parametrize(
    "values",
    [
        ("",),
        (":",),
        ("::",),
        (_der(PEM).hex(),),
        (_client_cert(b"no certificate"),),
        (_client_cert(_der(PEM)) + ";a=1",),
        (_client_cert(_der(PEM)).replace(":", "*"),),
        (_client_cert(_der(PEM)), _client_cert(_der(PEM))),
        (f":{base64.urlsafe_b64encode(_der(PEM)).decode()}%:",),
        (":é:",),
    ],
)
def test_what_is_not_one_byte_sequence_is_none(values: tuple[str, ...]) -> None:
    assert rule("rfc9440").of("", {"client-cert": values}).thumbprint is Reason.CERTIFICATE_HEADER_MALFORMED


@given(st.text(), st.text())
def test_no_text_raises_or_becomes_a_certificate(certificate: str, header: str) -> None:
    for source, hops in (("peer", 0), ("xfcc", 0), ("xfcc", 1), ("rfc9440", 0)):
        headers = {"x-forwarded-client-cert": (header,), "client-cert": (header,)}
        assert isinstance(rule(source, hops).of(certificate, headers).thumbprint, Reason)


def test_the_certificate_itself_comes_with_its_thumbprint_where_it_came_whole() -> None:
    der = _der(PEM)
    assert rule("peer").of(URL_ENCODED, {}).der == der
    assert rule("rfc9440").of("", {"client-cert": (_client_cert(der),)}).der == der
    assert rule("xfcc").of(URL_ENCODED, xfcc(CALLER.thumbprint)).der == der
    assert rule("xfcc").of("", xfcc(CALLER.thumbprint)).der is None, "a hash has no names"
    whole = {"x-forwarded-client-cert": (f'Hash={CALLER.thumbprint.hex()};Cert="{URL_ENCODED}"',)}
    assert rule("xfcc").of("", whole).der == der


def test_behind_a_gateway_the_certificate_is_the_callers_not_the_gateways() -> None:
    gateway = PKI.issue("gateway", uri=GATEWAY)
    header = f'Hash={CALLER.thumbprint.hex()};Cert="{URL_ENCODED}",Hash={gateway.thumbprint.hex()};URI={GATEWAY}'
    found = rule("xfcc", 1).of(quote(gateway.certificate_pem.decode(), safe=""), {"x-forwarded-client-cert": (header,)})
    assert (found.thumbprint, found.der) == (CALLER.thumbprint, _der(PEM))


def test_a_cert_that_is_not_the_one_of_its_hash_is_a_conflict() -> None:
    """A SAN with `;Cert=` in it, signed by a careless authority, would otherwise bring names of the thief's choice."""
    for hops, tail in ((0, ""), (1, f",Hash={'0' * 64};URI={GATEWAY}")):
        header = f'Hash={OTHER.thumbprint.hex()};URI=spiffe://b/x;Cert="{URL_ENCODED}"{tail}'
        found = rule("xfcc", hops).of("", {"x-forwarded-client-cert": (header,)})
        assert (found.thumbprint, found.der) == (Reason.CERTIFICATE_CONFLICT, None)


def test_a_cert_without_a_hash_or_that_cannot_be_read_is_none() -> None:
    alone = {"x-forwarded-client-cert": (f'Cert="{URL_ENCODED}"',)}
    assert rule("xfcc").of("", alone).thumbprint is Reason.CERTIFICATE_MISSING
    broken = {"x-forwarded-client-cert": (f"Hash={CALLER.thumbprint.hex()};Cert=%2D%2D",)}
    assert rule("xfcc").of("", broken).thumbprint is Reason.CERTIFICATE_MALFORMED
