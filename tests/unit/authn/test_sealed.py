"""Encrypted tokens as an attacker would make them: other algorithms, other curves, bombs, boxes within boxes."""

import hashlib
import json
import zlib
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwe
from joserfc.jwe import JWERegistry
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.decryption import DecryptionKeyError, decryption_key_from
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.sealed import MAX_SEALED_BYTES, plain_from
from ott_extauthz.issuer.sealing import EncryptionKey, EncryptionKeyError, Sealer, encryption_key_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import MAX_TOKEN_BYTES
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer

KEYS: dict[str, Any] = {"P-256": ECKey.generate_key("P-256"), "X25519": OKPKey.generate_key("X25519")}
OURS: dict[str, Any] = {"ec": KEYS["P-256"], "okp": KEYS["X25519"]}
KIDS = {"P-256": "ec", "X25519": "okp"}
FAKE = FakeIssuer()
ANY_ALGORITHM = JWERegistry(
    algorithms=[
        "ECDH-ES", "ECDH-ES+A128KW", "A128KW", "RSA1_5", "RSA-OAEP", "PBES2-HS256+A128KW", "dir",
        "A256GCM", "A128GCM", "A128CBC-HS256", "DEF",
    ],
    verify_all_recipients=True,
)  # fmt: skip


def sealed(token: str | None = None, *, kid: str = "ec", key: Any = None, **header: Any) -> str:
    """Seal a token as any sender may; a member that is None is left out."""
    members = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid, "cty": "JWT"} | header
    members = {name: value for name, value in members.items() if value is not None}
    return jwe.encrypt_compact(members, token or FAKE.token(), key or OURS[kid], registry=ANY_ALGORITHM)


def with_header(text: str, **changes: Any) -> str:
    """Change the header of what was sealed; the tag no longer fits."""
    header, rest = text.split(".", 1)
    members = json.loads(decoded(header) or b"") | changes
    return encoded(json.dumps(members).encode()) + "." + rest


def opened(text: str, *, keys: Any = None, is_demanded: bool = False) -> str | Reason:
    found = plain_from(text, OURS if keys is None else keys, is_demanded=is_demanded)
    return found.reason if isinstance(found, Rejection) else found


@pytest.mark.parametrize("curve", KEYS)
def test_what_we_seal_we_open(curve: str) -> None:
    token = FAKE.token()
    text = Sealer({AUDIENCE: EncryptionKey(KIDS[curve], KEYS[curve])}).seal(AUDIENCE, token)
    header = json.loads(decoded(text.split(".")[0]) or b"")
    assert (header["alg"], header["enc"], header["cty"], header["kid"]) == ("ECDH-ES", "A256GCM", "JWT", KIDS[curve])
    assert "d" not in header["epk"]
    assert opened(text, is_demanded=True) == token


def test_no_two_sealed_copies_are_alike() -> None:
    sealer, token = Sealer({AUDIENCE: EncryptionKey("ec", KEYS["P-256"])}), FAKE.token()
    assert sealer.seal(AUDIENCE, token) != sealer.seal(AUDIENCE, token)


def test_a_token_for_an_audience_without_a_key_stays_as_it_is() -> None:
    assert Sealer({}).seal(AUDIENCE, "a.b.c") == "a.b.c"


@pytest.mark.parametrize("text", ["", "a.b.c", "a.b.c.d", "a.b.c.d.e.f", FAKE.token()])
def test_what_is_not_sealed_passes_only_where_nothing_else_is_demanded(text: str) -> None:
    assert opened(text) == text
    assert opened(text, is_demanded=True) is Reason.TOKEN_NOT_ENCRYPTED


def test_a_sealed_token_is_refused_where_no_keys_are() -> None:
    assert opened(sealed(), keys={}) is Reason.TOKEN_ENCRYPTION_KEY_UNKNOWN


def test_a_kid_is_looked_up_and_no_more() -> None:
    assert opened(with_header(sealed(), kid="../../etc/passwd")) is Reason.TOKEN_ENCRYPTION_KEY_UNKNOWN


@pytest.mark.parametrize("curve", KEYS)
def test_sealed_for_another_key_under_our_kid(curve: str) -> None:
    other = ECKey.generate_key("P-256") if curve == "P-256" else OKPKey.generate_key("X25519")
    assert opened(sealed(kid=KIDS[curve], key=other)) is Reason.TOKEN_DECRYPTION_FAILED


@pytest.mark.parametrize("part", [2, 3, 4])
def test_one_changed_character_of_vector_ciphertext_or_tag(part: int) -> None:
    parts = sealed().split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    assert opened(".".join(parts)) is Reason.TOKEN_DECRYPTION_FAILED


def test_a_wrapped_key_beside_an_agreed_one_is_a_second_spelling() -> None:
    header, _, rest = sealed().split(".", 2)
    assert opened(f"{header}.AAAA.{rest}") is Reason.TOKEN_MALFORMED


def test_the_header_is_authenticated() -> None:
    header, rest = sealed().split(".", 1)
    members = json.loads(decoded(header) or b"")
    reordered = dict(reversed(list(members.items())))
    assert opened(encoded(json.dumps(reordered).encode()) + "." + rest) is Reason.TOKEN_DECRYPTION_FAILED


@pytest.mark.parametrize("size", [0, 1, 8, 15, 17])
def test_a_shortened_tag_is_no_tag(size: int) -> None:
    head, tag = sealed().rsplit(".", 1)
    raw = (decoded(tag) or b"")[:size] if size < 16 else (decoded(tag) or b"") + b"\0"
    assert opened(f"{head}.{encoded(raw)}") is Reason.TOKEN_MALFORMED


PASSWORD = OctKey.import_key("a password that somebody guessed")
RSA = RSAKey.generate_key(2048)


@pytest.mark.parametrize(
    ("algorithm", "encryption", "key"),
    [
        ("dir", "A256GCM", OctKey.generate_key(256)),
        ("A128KW", "A256GCM", OctKey.generate_key(128)),
        ("PBES2-HS256+A128KW", "A256GCM", PASSWORD),
        ("RSA1_5", "A256GCM", RSA),
        ("RSA-OAEP", "A256GCM", RSA),
        ("ECDH-ES+A128KW", "A256GCM", KEYS["P-256"]),
        ("ECDH-ES", "A128GCM", KEYS["P-256"]),
        ("ECDH-ES", "A128CBC-HS256", KEYS["P-256"]),
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_no_other_way_to_a_key_is_gone(algorithm: str, encryption: str, key: Any) -> None:
    text = sealed(key=key, alg=algorithm, enc=encryption)
    keys = OURS | {"ec": key}  # even if that key were ours
    assert opened(text, keys=keys) in (Reason.TOKEN_ENCRYPTION_REFUSED, Reason.TOKEN_MALFORMED)
    head, _, rest = text.split(".", 2)
    assert opened(f"{head}..{rest}", keys=keys) in (Reason.TOKEN_ENCRYPTION_REFUSED, Reason.TOKEN_MALFORMED)


def test_an_hour_of_hashing_is_not_begun() -> None:
    text = with_header(sealed(), alg="PBES2-HS512+A256KW", p2s="AAAA", p2c=2**31 - 1)
    assert opened(text) is Reason.TOKEN_ENCRYPTION_REFUSED


def test_a_zip_bomb_is_not_inflated() -> None:
    bomb = "A" * 10_000_000
    assert len(zlib.compress(bomb.encode())) < MAX_SEALED_BYTES
    text = sealed(bomb, zip="DEF")
    assert len(text) < MAX_SEALED_BYTES * 2
    assert opened(text) in (Reason.TOKEN_ENCRYPTION_REFUSED, Reason.TOKEN_TOO_LARGE)
    assert opened(sealed(zip="DEF")) is Reason.TOKEN_ENCRYPTION_REFUSED


@pytest.mark.parametrize(
    "header",
    [
        {"cty": None}, {"cty": "JWE"}, {"cty": 5}, {"typ": "at+jwt"}, {"typ": 5}, {"crit": ["exp"], "exp": 1},
        {"jku": "https://evil.example/jwks"}, {"jwk": {}}, {"x5c": []}, {"p2c": 1000}, {"apu": "QQ"}, {"iss": ISSUER},
    ],
)  # fmt: skip
def test_a_header_that_says_anything_else_is_refused(header: dict[str, Any]) -> None:
    members = {name: value for name, value in header.items() if value is not None}
    text = with_header(sealed(), **members) if members else sealed(cty=None)
    assert opened(text) is Reason.TOKEN_ENCRYPTION_REFUSED


@pytest.mark.parametrize("kid", [None, 5, ["ec"], {"a": 1}])
def test_a_kid_that_is_no_text_is_refused(kid: Any) -> None:
    assert opened(with_header(sealed(), kid=kid)) is Reason.TOKEN_ENCRYPTION_REFUSED


P256_OFF_THE_CURVE = {"kty": "EC", "crv": "P-256", "x": encoded(b"\1" * 32), "y": encoded(b"\2" * 32)}
P384 = ECKey.generate_key("P-384").as_dict(private=False)
PUBLIC = {curve: {n: v for n, v in key.as_dict(private=False).items() if n != "kid"} for curve, key in KEYS.items()}


@pytest.mark.parametrize(
    ("epk", "reason"),
    [
        (P256_OFF_THE_CURVE, Reason.TOKEN_DECRYPTION_FAILED),
        (PUBLIC["P-256"] | {"x": encoded(bytes(32)), "y": encoded(bytes(32))}, Reason.TOKEN_DECRYPTION_FAILED),
        (PUBLIC["P-256"] | {"x": "AA"}, Reason.TOKEN_DECRYPTION_FAILED),
        (PUBLIC["P-256"] | {"x": "%"}, Reason.TOKEN_DECRYPTION_FAILED),
        (PUBLIC["P-256"] | {"x": 5}, Reason.TOKEN_ENCRYPTION_REFUSED),
        ({n: v for n, v in P384.items() if n != "kid"}, Reason.TOKEN_ENCRYPTION_REFUSED),
        (PUBLIC["X25519"], Reason.TOKEN_ENCRYPTION_REFUSED),
        (KEYS["P-256"].as_dict(private=True), Reason.TOKEN_ENCRYPTION_REFUSED),
        ({"kty": "oct", "k": "AAAA"}, Reason.TOKEN_ENCRYPTION_REFUSED),
        ({}, Reason.TOKEN_ENCRYPTION_REFUSED),
        ([], Reason.TOKEN_ENCRYPTION_REFUSED),
        (None, Reason.TOKEN_ENCRYPTION_REFUSED),
    ],
)
def test_a_point_that_is_not_on_our_curve_is_multiplied_with_nothing(epk: Any, reason: Reason) -> None:
    assert opened(with_header(sealed(), epk=epk)) is reason


@pytest.mark.parametrize("point", [bytes(32), (1).to_bytes(32, "little")])
def test_a_point_of_small_order_is_refused(point: bytes) -> None:
    epk = {"kty": "OKP", "crv": "X25519", "x": encoded(point)}
    assert opened(with_header(sealed(kid="okp"), epk=epk)) is Reason.TOKEN_DECRYPTION_FAILED


def test_a_duplicate_member_is_two_readings() -> None:
    header, rest = sealed().split(".", 1)
    text = (decoded(header) or b"").decode()
    doubled = text[:-1] + ',"alg":"dir"}'
    assert opened(encoded(doubled.encode()) + "." + rest) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("text", ["....", "a....", "e30....", "e30..AAAAAAAAAAAAAAAA.AA.", "é..b.c.d", "e30.x.y.z.w"])
def test_five_parts_of_nothing_are_malformed(text: str) -> None:
    assert opened(text) is Reason.TOKEN_MALFORMED


def test_a_huge_token_is_refused_unread() -> None:
    assert opened("A" * MAX_SEALED_BYTES + "....") is Reason.TOKEN_TOO_LARGE
    biggest = "A" * MAX_TOKEN_BYTES
    assert opened(sealed(biggest)) == biggest


def verified(text: str) -> Any:
    verifier = OneTimeTokenVerifier(trust={ISSUER: FAKE.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)
    found = opened(text)
    if isinstance(found, Reason):
        return found
    token = verifier.verify(found, audience=AUDIENCE, now_ms=NOW_MS)
    return token.reason if isinstance(token, Rejection) else token.subject


def test_what_is_inside_goes_through_everything_a_token_goes_through() -> None:
    assert verified(sealed()) == "spiffe://bank.example/rgs"
    assert verified(sealed(sealed())) is Reason.TOKEN_MALFORMED
    forged = FakeIssuer(seed=b"\2" * 32).token()
    assert verified(sealed(forged)) is Reason.TOKEN_SIGNATURE_INVALID
    none = FAKE.token(header={"alg": "none"})
    assert verified(sealed(none)) is Reason.TOKEN_ALGORITHM_REFUSED
    assert verified(sealed(json.dumps(FAKE.claims()))) is Reason.TOKEN_MALFORMED
    assert verified(sealed(none.rsplit(".", 1)[0] + ".")) is Reason.TOKEN_MALFORMED
    assert verified(sealed(FAKE.token(header={"typ": "JWT"}))) is Reason.TOKEN_TYPE_REFUSED
    assert verified(sealed("é" * 10)) is Reason.TOKEN_DECRYPTION_FAILED


def test_another_implementation_of_the_rfc_opens_what_we_seal() -> None:
    """Concat KDF and AES-GCM by hand (RFC 7518 §4.6.2), so that a mistake of one library is not its own proof."""
    secret = ec.generate_private_key(ec.SECP256R1())
    pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    kid, key = decryption_key_from(pem)
    text = Sealer({AUDIENCE: EncryptionKey(kid, key)}).seal(AUDIENCE, "x.y.z")
    header, _, iv, ciphertext, tag = text.split(".")
    epk = json.loads(decoded(header) or b"")["epk"]
    x, y = (int.from_bytes(decoded(epk[name]) or b"", "big") for name in "xy")
    shared = secret.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    info = len(b"A256GCM").to_bytes(4, "big") + b"A256GCM" + bytes(4) + bytes(4) + (256).to_bytes(4, "big")
    cek = hashlib.sha256((1).to_bytes(4, "big") + shared + info).digest()
    raw = (decoded(ciphertext) or b"") + (decoded(tag) or b"")
    assert AESGCM(cek).decrypt(decoded(iv) or b"", raw, header.encode()) == b"x.y.z"
    with pytest.raises(InvalidTag):
        AESGCM(cek).decrypt(decoded(iv) or b"", raw, b"another header")


def pem_of(key: Any) -> bytes:
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return raw


def jwk_of(key: Any, *, private: bool = True, **members: Any) -> bytes:
    return json.dumps(key.as_dict(private=private) | members).encode()


@pytest.mark.parametrize(
    "document",
    [
        pem_of(ec.generate_private_key(ec.SECP256R1())),
        pem_of(x25519.X25519PrivateKey.generate()),
        jwk_of(KEYS["P-256"], use="enc"),
        jwk_of(KEYS["X25519"], key_ops=["deriveBits"]),
    ],
    ids=lambda _: "document",  # its bytes are random
)
def test_a_private_key_is_read_and_named_by_its_content(document: bytes) -> None:
    kid, key = decryption_key_from(document)
    assert kid == key.thumbprint()


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{}", b"[]", b"-----BEGIN PRIVATE KEY-----\n", b"\xff",
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(ed25519.Ed25519PrivateKey.generate()),
        pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        KEYS["P-256"].as_pem(private=False),
        jwk_of(KEYS["P-256"], private=False),
        jwk_of(KEYS["P-256"], use="sig"),
        jwk_of(KEYS["P-256"], alg="ES256"),
        jwk_of(KEYS["P-256"], key_ops=["sign"]),
        jwk_of(KEYS["P-256"], kid=5),
        jwk_of(OKPKey.generate_key("Ed25519")),
        jwk_of(OctKey.generate_key(256)),
    ],
    ids=lambda _: "document",  # its bytes are random
)  # fmt: skip
def test_a_key_that_opens_nothing_is_refused_and_not_quoted(document: bytes) -> None:
    with pytest.raises(DecryptionKeyError) as caught:
        decryption_key_from(document)
    for secret in ("d", "k"):
        assert f'"{secret}"' not in str(caught.value)


def key_set(*keys: bytes) -> bytes:
    return b'{"keys":[' + b",".join(keys) + b"]}"


def public(curve: str = "P-256", **members: Any) -> bytes:
    return jwk_of(KEYS[curve], private=False, **({"use": "enc", "kid": KIDS[curve]} | members))


def test_the_first_key_for_sealing_is_taken() -> None:
    assert encryption_key_from(key_set(public(use="sig"), public("X25519"), public())).kid == "okp"


@pytest.mark.parametrize(
    "document",
    [
        b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[5]}', key_set(), key_set(public(use="sig")),
        key_set(public(), jwk_of(KEYS["X25519"])), key_set(public(alg="ECDH-ES+A128KW")), key_set(public(kid=5)),
        key_set(jwk_of(RSA, private=False, use="enc")), key_set(public(x="AA")),
        key_set(json.dumps(P256_OFF_THE_CURVE | {"use": "enc", "kid": "k"}).encode()),
    ],
    ids=lambda _: "document",  # its bytes are random
)  # fmt: skip
def test_a_key_set_that_nothing_can_be_sealed_with_is_refused(document: bytes) -> None:
    with pytest.raises(EncryptionKeyError):
        encryption_key_from(document)
