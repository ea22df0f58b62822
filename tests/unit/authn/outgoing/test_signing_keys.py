"""Which files are keys that sign, and what each of them makes."""

import base64
import json
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, PublicFormat
from joserfc.jwk import import_key

from ott_extauthz.authn.outgoing import signing_keys
from ott_extauthz.authn.outgoing.signing_keys import SigningKey, SigningKeyError, private_key_maker, secret_maker
from ott_extauthz.authn.partner_keys import public_key_from, secret_from
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from tests.fakes.signing import SECRET, pem_of, private_key

ASYMMETRIC = [KeyAlgorithm.ED25519, KeyAlgorithm.ECDSA_P256_SHA256, KeyAlgorithm.RSA_PSS_SHA512]
MESSAGE = b"what is signed"


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_partner_verifies_what_the_private_key_signs(algorithm: KeyAlgorithm) -> None:
    key = private_key(algorithm)
    maker, kid = private_key_maker(pem_of(key))
    public = public_key_from(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert (maker.algorithm, public.algorithm, kid) == (algorithm, algorithm, None)
    assert public.verifies(MESSAGE, maker.sign(MESSAGE))
    assert not public.verifies(MESSAGE + b"!", maker.sign(MESSAGE))


def test_a_partner_with_the_same_file_verifies_what_the_secret_signs() -> None:
    raw = b"whsec_%b\n" % base64.b64encode(secrets.token_bytes(33))
    assert secret_from(raw, encoding="whsec").verifies(MESSAGE, secret_maker(raw, "whsec").sign(MESSAGE))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_jwk_brings_its_name(algorithm: KeyAlgorithm) -> None:
    kind = {"ed25519": "OKP", "ecdsa-p256-sha256": "EC", "rsa-pss-sha512": "RSA"}[algorithm]
    jwk = import_key(pem_of(private_key(algorithm)), kind).as_dict(private=True) | {"kid": "bank-1"}  # type: ignore[call-overload]
    maker, kid = private_key_maker(json.dumps(jwk).encode())
    assert (maker.algorithm, kid) == (algorithm, "bank-1")


def _encrypted() -> bytes:
    key = private_key(KeyAlgorithm.ED25519)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))


def _public() -> bytes:
    return private_key(KeyAlgorithm.ED25519).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "neither a private key in PEM nor a JWK"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "neither a private key"),
        (pem_of(private_key(KeyAlgorithm.ED25519))[:-40], "neither a private key"),
        (_public(), "neither a private key"),
        (_encrypted(), "this key is encrypted"),
        (b'{"kty":"OKP","crv":"Ed25519","x":"AAAA"}', "a JWK, but no private key"),
        (b'{"kty":"oct","k":"AAAA","d":"A"}', "a JWK, but no private key"),
        (b'{"kty":"OKP","crv":"Ed25519","x":"AAAA","d":"AAAA"}', "a JWK that cannot be read"),
        (b'{"kty":"OKP","kty":"EC","d":"A"}', "not a JSON object"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "not a kind of key that we sign with"),
        (pem_of(ed448.Ed448PrivateKey.generate()), "not a kind of key that we sign with"),  # type: ignore[arg-type]
        (pem_of(rsa.generate_private_key(65537, 1024)), "4096 bits, and this one 1024"),  # noqa: S505 - refused
    ],
)
def test_what_is_no_key_of_ours_is_told_and_not_quoted(raw: bytes, message: str) -> None:
    with pytest.raises(SigningKeyError) as caught:
        private_key_maker(raw)
    assert message in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "raw", [b"short", b"", pem_of(private_key(KeyAlgorithm.ED25519)), b"with a space and more of it"]
)
def test_a_secret_that_can_be_guessed_or_is_something_else_signs_nothing(raw: bytes) -> None:
    with pytest.raises(SigningKeyError) as caught:
        secret_maker(raw, "text")
    assert "short" not in str(caught.value)


def test_no_key_shows_itself() -> None:
    made = [secret_maker(SECRET.encode(), "text"), *(private_key_maker(pem_of(private_key(a)))[0] for a in ASYMMETRIC)]
    for maker in made:
        text = repr(SigningKey(form=SignatureForm.HTTP_SIGNATURES, maker=maker, keyid="k"))
        assert "secret=" not in text
        assert "key=<" not in text
        assert SECRET not in text


def test_a_key_so_long_that_it_holds_up_every_other_call_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_keys, "MAX_RSA_BITS", 2047)
    with pytest.raises(SigningKeyError, match="2048 to 2047 bits, and this one 2048"):
        private_key_maker(pem_of(private_key(KeyAlgorithm.RSA_PSS_SHA512)))


def test_a_signature_is_not_said_to_name_a_key_where_its_form_has_no_word_for_it() -> None:
    maker = secret_maker(SECRET.encode(), "text")
    told = {form: SigningKey(form=form, maker=maker, keyid="k").told_keyid for form in SignatureForm}
    assert {form for form, keyid in told.items() if keyid is not None} == {SignatureForm.HTTP_SIGNATURES}
