"""Keys that sign what leaves, and their other halves."""

import secrets
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ott_extauthz.authn.outgoing.signing_keys import SigningKey, private_key_maker, secret_maker
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm

SECRET: Final = secrets.token_urlsafe(32)

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def private_key(algorithm: KeyAlgorithm) -> PrivateKey:
    """A key for this algorithm, the same each time."""
    match algorithm:
        case KeyAlgorithm.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyAlgorithm.ECDSA_P256_SHA256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyAlgorithm.RSA_PSS_SHA512:
            return rsa.generate_private_key(65537, 2048)
        case _:
            raise ValueError(algorithm)


def pem_of(key: PrivateKey) -> bytes:
    """A private key as its file has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signing_key(form: SignatureForm, algorithm: KeyAlgorithm, keyid: str | None = None) -> SigningKey:
    """A key that signs in this form."""
    if algorithm is KeyAlgorithm.HMAC_SHA256:
        return SigningKey(form=form, maker=secret_maker(SECRET.encode(), "text"), keyid=keyid)
    maker, _ = private_key_maker(pem_of(private_key(algorithm)))
    return SigningKey(form=form, maker=maker, keyid=keyid)
