"""A partner's key is one of its kind, strong, and never one that others may have."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ott_extauthz.authn.padded_base64 import encoded
from ott_extauthz.authn.partner_keys import PartnerKeyError, material_of, public_key_from, secret_from
from ott_extauthz.authn.partners import KeyAlgorithm, SharedSecret

EDWARDS, P256 = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
MESSAGE = b"a message"


def pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, **more: str) -> bytes:
    kinds = ((ed25519.Ed25519PrivateKey, OKPKey), (rsa.RSAPrivateKey, RSAKey), (ec.EllipticCurvePrivateKey, ECKey))
    [imported] = [jose.import_key(pem(key)) for known, jose in kinds if isinstance(key, known)]
    return json.dumps(imported.as_dict(private=False) | more).encode()


def p256_signature() -> bytes:
    r, s = utils.decode_dss_signature(P256.sign(MESSAGE, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def pss(salt: int = 64) -> bytes:
    return RSA.sign(MESSAGE, padding.PSS(padding.MGF1(SHA512()), salt), SHA512())


@pytest.mark.parametrize(
    ("raw", "algorithm", "signature"),
    [
        (pem(EDWARDS), KeyAlgorithm.ED25519, EDWARDS.sign(MESSAGE)),
        (jwk(EDWARDS, kid="x", alg="EdDSA"), KeyAlgorithm.ED25519, EDWARDS.sign(MESSAGE)),
        (b"whpk_" + encoded(EDWARDS.public_key().public_bytes_raw()).encode() + b"\n", KeyAlgorithm.ED25519, None),
        (pem(P256), KeyAlgorithm.ECDSA_P256_SHA256, p256_signature()),
        (jwk(P256), KeyAlgorithm.ECDSA_P256_SHA256, p256_signature()),
        (pem(RSA), KeyAlgorithm.RSA_PSS_SHA512, pss()),
        (jwk(RSA, alg="PS512"), KeyAlgorithm.RSA_PSS_SHA512, pss()),
        (b"\n" + pem(RSA), KeyAlgorithm.RSA_PSS_SHA512, pss()),
    ],
)
def test_public_keys_are_read_and_verify(raw: bytes, algorithm: KeyAlgorithm, signature: bytes | None) -> None:
    key = public_key_from(raw, kid="k1")
    assert (key.algorithm, key.kid) == (algorithm, "k1")
    signature = signature or EDWARDS.sign(MESSAGE)
    assert key.verifies(MESSAGE, signature)
    for bad in (signature[:-1], signature + b"\0", b"", bytes(len(signature))):
        assert not key.verifies(MESSAGE, bad)
    assert not key.verifies(MESSAGE + b".", signature)


def test_another_salt_or_padding_is_another_algorithm() -> None:
    key = public_key_from(pem(RSA))
    assert not key.verifies(MESSAGE, pss(32))
    assert not key.verifies(MESSAGE, RSA.sign(MESSAGE, padding.PKCS1v15(), SHA512()))
    assert not key.verifies(MESSAGE, RSA.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256()), 64), SHA512()))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (EDWARDS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "private"),
        (json.dumps(json.loads(jwk(EDWARDS)) | {"d": "AA"}).encode(), "private"),
        (json.dumps({"kty": "oct", "k": "AAAA"}).encode(), "symmetric"),
        (jwk(RSA, alg="RS256"), "not a kind"),
        (jwk(RSA, use="enc"), "verifying"),
        (jwk(P256, alg="ES512"), "does not go"),
        (pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505 - weak on purpose
        (pem(ec.generate_private_key(ec.SECP384R1())), "neither Ed25519"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PUBLIC KEY"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (b"{", "JSON"),
        (b"whpk_AAAA", "32 bytes"),
        (b"whsec_" + b"A" * 44, "neither PEM"),
        (b"", "one line"),
        (b"\xff\xfe", "one line"),
    ],
)
def test_what_is_no_public_key_of_ours_is_refused(raw: bytes, told: str) -> None:
    with pytest.raises(PartnerKeyError, match=told) as caught:
        public_key_from(raw)
    assert raw.decode("latin-1").strip()[:8] not in str(caught.value) or len(raw) < 8


def test_secrets_are_text_base64_or_whsec() -> None:
    secret = b"0123456789abcdef01234567"
    assert secret_from(secret + b"\n").secret == secret
    assert secret_from(secret + b"\r\n").secret == secret
    assert secret_from(encoded(secret).encode(), encoding="base64").secret == secret
    for written in (
        b"whsec_" + encoded(secret + b"+").encode(),
        b"whsec_" + encoded(secret + b"+").rstrip("=").encode(),
    ):
        assert secret_from(written, encoding="whsec").secret == secret + b"+"
    assert "0123" not in repr(secret_from(secret))


@pytest.mark.parametrize(
    ("raw", "encoding", "told"),
    [
        (b"a" * 23, "text", "24 to 1024 bytes"),
        (b"a" * 1025, "text", "24 to 1024 bytes"),
        (b"", "text", "one line"),
        (b"two lines of\na secret of ours", "text", "one line"),
        (b"a secret with spaces is two words", "text", "one line"),
        ("äöü".encode() * 8, "text", "one line"),
        (b"whsec_" + b"A" * 44, "text", "encoding: whsec"),
        (b"whsec_" + b"A" * 28, "whsec", "24 to 1024 bytes"),
        (b"not-base64-but-long-enough!!", "base64", "not base64"),
        (b"whpk_" + encoded(EDWARDS.public_key().public_bytes_raw()).encode(), "whsec", "others may have"),
        (b"ssh-ed25519-AAAAC3NzaC1lZDI1NTE5", "text", "others may have"),
        (pem(EDWARDS).replace(b"\n", b""), "text", "one line"),
        (b"-----BEGIN_PUBLIC_KEY-----AAAAAAAA", "text", "others may have"),
    ],
)
def test_what_can_be_guessed_or_is_public_is_no_secret(raw: bytes, encoding: str, told: str) -> None:
    with pytest.raises(PartnerKeyError, match=told) as caught:
        secret_from(raw, encoding=encoding)
    assert raw.decode("latin-1")[:12] not in str(caught.value) or len(raw) < 12


def test_equal_keys_are_known_in_every_spelling_and_a_public_key_taken_for_a_secret_too() -> None:
    raw = EDWARDS.public_key().public_bytes_raw()
    whpk = public_key_from(b"whpk_" + encoded(raw).encode())
    assert material_of(public_key_from(pem(EDWARDS))) == material_of(whpk) == material_of(SharedSecret(secret=raw))
    assert material_of(public_key_from(pem(P256))) == material_of(public_key_from(jwk(P256)))
    assert material_of(public_key_from(pem(RSA))) == material_of(public_key_from(jwk(RSA, alg="PS512")))
    assert material_of(public_key_from(pem(P256))) != material_of(public_key_from(pem(RSA)))
