"""Which files say who signs for a trust domain; a file that says too much is refused whole."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.authn.trust_bundle import MAX_BYTES, TrustBundleError, bundle_from
from ott_extauthz.demo.pki import Authority as DemoAuthority
from tests.fakes.certificates import Authority, self_signed

ROOT, OTHER = Authority("root"), Authority("other")
LEAF = ROOT.leaf(uris=("spiffe://bank.example/rgs",))
USUAL = DemoAuthority("usual").issue("rgs", uri="spiffe://bank.example/rgs")

VERSION_3, VERSION_6 = bytes.fromhex("a003020102"), bytes.fromhex("a003020105")


def entry(der: bytes, **changes: Any) -> dict[str, Any]:
    key = {"kty": "EC", "use": "x509-svid", "x5c": [base64.b64encode(der).decode()]} | changes
    return {name: value for name, value in key.items() if value is not None}


def jwks(*entries: object, **members: object) -> bytes:
    return json.dumps({"keys": list(entries), "spiffe_sequence": 1, "spiffe_refresh_hint": 300, **members}).encode()


def der_of(authority: Authority) -> bytes:
    return authority.certificate.public_bytes(Encoding.DER)


def test_both_forms_say_the_same() -> None:
    pem = bundle_from("bank.example", b"# the bank's\n" + ROOT.pem + OTHER.pem)
    spiffe = bundle_from("bank.example", jwks(entry(der_of(ROOT)), entry(der_of(OTHER))))
    assert pem.authorities == spiffe.authorities == (ROOT.certificate, OTHER.certificate)


def test_keys_for_other_uses_are_passed_over() -> None:
    document = jwks({"kty": "EC", "use": "jwt-svid", "kid": "j"}, entry(der_of(ROOT)), {"use": "tomorrow"}, 7)
    assert bundle_from("bank.example", document).authorities == (ROOT.certificate,)


def test_a_revoked_domain_has_no_authority() -> None:
    assert bundle_from("bank.example", jwks()).store is None


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "neither a SPIFFE bundle"),
        (b"keys", "neither a SPIFFE bundle"),
        (b"{", "not a JSON object"),
        (b'{"keys": [], "keys": []}', "not a JSON object"),
        (b"{}", "`keys` is not a list"),
        (b'{"keys": {}}', "`keys` is not a list"),
        (jwks({"use": "jwt-svid"}), "no key has `use` x509-svid"),
        (jwks(entry(der_of(ROOT), use="sig")), "no key has `use` x509-svid"),
        (jwks(entry(der_of(ROOT), use=None)), "no key has `use` x509-svid"),
        (jwks(entry(der_of(ROOT), x5c=None)), r"keys\[0\]: `x5c` is not a list of exactly one"),
        (jwks(entry(der_of(ROOT), x5c=[])), r"keys\[0\]: `x5c` is not a list of exactly one"),
        (jwks(entry(der_of(ROOT), x5c=[1])), r"keys\[0\]: `x5c` is not a list of exactly one"),
        (jwks(entry(der_of(ROOT), x5c=["AA", "AA"])), r"keys\[0\]: `x5c` is not a list of exactly one"),
        (jwks(entry(der_of(ROOT), x5c=["AA=="])), r"keys\[0\]: `x5c` cannot be read"),
        (jwks(entry(der_of(ROOT), x5c=["é"])), r"keys\[0\]: `x5c` cannot be read"),
        (jwks(entry(LEAF.der)), r"keys\[0\]: not the certificate of an authority"),
        (ROOT.pem + LEAF.pem, "certificate 2: not the certificate of an authority"),
        (USUAL.certificate_pem, "certificate 1: not the certificate of an authority: it may not sign others"),
        (self_signed(ca=False).pem, "certificate 1: not the certificate of an authority"),
        (self_signed(ca=True).pem, "certificate 1: not the certificate of an authority: no basicConstraints, or no"),
        (LEAF.key_pem, "neither a SPIFFE bundle"),
        (ROOT.pem[:200], "certificate 1: cannot be read"),
        (ROOT.pem.replace(b"MII", b"MIB"), "certificate 1: cannot be read"),
        (ROOT.pem * 101, "more than 100 authorities"),
        (jwks(entry(der_of(ROOT).replace(VERSION_3, VERSION_6, 1))), r"keys\[0\]: `x5c` cannot be read"),
        (b"{" + b" " * MAX_BYTES, "larger than"),
    ],
)
def test_what_is_no_bundle_is_refused_whole(document: bytes, problem: str) -> None:
    with pytest.raises(TrustBundleError, match=problem):
        bundle_from("bank.example", document)
