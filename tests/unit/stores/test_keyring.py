"""The key directory: what it holds, and every state in which it must not be signed with."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.stores.keyring import KeyFileError, Place, RingKey, init_keys, keys_in, load_ring
from ott_extauthz.stores.signing import PrivateKey, SigningAlgorithm, kid_of, new_key, signer_from

NOW_MS = 1_795_000_000_123
ALGORITHMS: tuple[SigningAlgorithm, ...] = ("EdDSA", "ES256", "RS256", "PS256")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, RingKey]:
    return tmp_path / "keys", init_keys(tmp_path / "keys", now_ms=NOW_MS)


def private_file(directory: Path) -> Path:
    return next(directory.glob("signing-*.pem"))


def refused(directory: Path, said: str) -> KeyFileError:
    with pytest.raises(KeyFileError, match=said) as caught:
        load_ring(Place(directory=directory))
    assert str(caught.value.path) in str(caught.value)
    assert caught.value.mend in str(caught.value)
    assert "PRIVATE" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_made_can_be_loaded_and_verified_by_the_published_set(
    tmp_path: Path, algorithm: SigningAlgorithm
) -> None:
    key = init_keys(tmp_path / "deep" / "keys", algorithm=algorithm, now_ms=NOW_MS)
    ring = load_ring(Place(directory=tmp_path / "deep" / "keys"))
    assert ring.keys == (key,) == keys_in(Place(directory=tmp_path / "deep" / "keys"))
    assert (ring.signer.kid, ring.signer.algorithm) == (key.kid, algorithm)
    published = keys_from((tmp_path / "deep" / "keys" / "jwks.json").read_bytes())
    assert keys_from(ring.jwks).keys() == published.keys() == {key.kid}
    assert published[key.kid].verifies(algorithm, b"message", asyncio.run(ring.signer.sign([b"message"]))[0])


def test_modes_owner_alone_for_the_key_everybody_for_the_public_half(made: tuple[Path, RingKey]) -> None:
    directory, _ = made
    modes = {path.name.split("-")[0]: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {"signing": 0o600, "jwks.json": 0o644, "ring.json": 0o644}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_ring_says_what_the_key_is(made: tuple[Path, RingKey]) -> None:
    directory, key = made
    assert json.loads((directory / "ring.json").read_text()) == {
        "keys": [{"kid": key.kid, "alg": "EdDSA", "state": "active", "created": "2026-11-18T11:06:40Z"}]
    }


def test_the_published_set_has_no_private_member(made: tuple[Path, RingKey]) -> None:
    jwks = json.loads((made[0] / "jwks.json").read_text())
    assert [sorted(key) for key in jwks["keys"]] == [["alg", "crv", "kid", "kty", "use", "x"]]


def test_a_second_init_refuses_and_changes_nothing(made: tuple[Path, RingKey]) -> None:
    directory, _ = made
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(KeyFileError, match="exists already"):
        init_keys(directory, now_ms=NOW_MS)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_a_directory_that_others_write_into_gets_no_key(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o777)
    with pytest.raises(KeyFileError, match="others may write"):
        init_keys(tmp_path / "keys", now_ms=NOW_MS)


def test_a_place_that_cannot_be_written_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="cannot be written"):
        init_keys(tmp_path / "file" / "keys", now_ms=NOW_MS)


_CRASH = """
import os, sys
from pathlib import Path
from ott_extauthz.stores.keyring import init_keys
renames = []
def crash(event, arguments):
    if event == "os.rename":
        renames.append(arguments)
        if len(renames) == int(sys.argv[2]):
            os._exit(9)
sys.addaudithook(crash)
init_keys(Path(sys.argv[1]), now_ms=1)
"""


@pytest.mark.parametrize(("at_rename", "left"), [(1, set()), (2, {"signing"}), (3, {"signing", "jwks.json"})])
def test_a_crash_leaves_no_half_ring_and_init_can_be_done_again(tmp_path: Path, at_rename: int, left: set[str]) -> None:
    """Private key, JWK Set, ring: each refers only to what is there already; the ring comes last."""
    ended = subprocess.run([sys.executable, "-c", _CRASH, tmp_path / "keys", str(at_rename)], check=False)
    assert ended.returncode == 9
    whole = {path.name.split("-")[0] for path in (tmp_path / "keys").iterdir() if not path.name.startswith(".new-")}
    assert whole == left
    assert "keys init" in refused(tmp_path / "keys", "is missing").mend
    key = init_keys(tmp_path / "keys", now_ms=NOW_MS)
    assert load_ring(Place(directory=tmp_path / "keys")).signer.kid == key.kid


def test_two_inits_at_once_make_one_ring(tmp_path: Path) -> None:
    command = "from pathlib import Path; import sys; from ott_extauthz.stores.keyring import init_keys; init_keys(Path(sys.argv[1]), now_ms=1)"  # noqa: E501 - one statement of Python
    started = [
        subprocess.Popen([sys.executable, "-c", command, tmp_path / "keys"], stderr=subprocess.PIPE) for _ in range(3)
    ]
    ends = [process.communicate()[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 1, 1]
    assert sum(b"exists already" in errors for errors in ends) == 2
    assert load_ring(Place(directory=tmp_path / "keys")).keys


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666, 0o611])
def test_a_private_key_that_others_may_touch_is_not_signed_with(made: tuple[Path, RingKey], mode: int) -> None:
    path = private_file(made[0])
    path.chmod(mode)
    error = refused(made[0], f"{mode:04o}")
    assert error.path == path
    assert "chmod 600" in error.mend


def write_ring(directory: Path, **changes: object) -> None:
    ring = json.loads((directory / "ring.json").read_text())
    ring["keys"][0] |= changes
    (directory / "ring.json").write_text(json.dumps(ring))


def other_key(directory: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    private_file(directory).write_bytes(pem(key))


def pem(key: PrivateKey | x25519.X25519PrivateKey, password: bytes | None = None) -> bytes:
    protection: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def private_jwks(directory: Path) -> None:
    jwks = json.loads((directory / "jwks.json").read_text())
    jwks["keys"][0]["d"] = "AAAA"
    (directory / "jwks.json").write_text(json.dumps(jwks))


def directory_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def two_keys(directory: Path) -> None:
    ring = json.loads((directory / "ring.json").read_text())
    (directory / "ring.json").write_text(json.dumps({"keys": ring["keys"] * 2}))


Spoil = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda keys: (keys / "ring.json").unlink(), "ring.json: is missing"),
        (lambda keys: (keys / "jwks.json").unlink(), "jwks.json: is missing"),
        (lambda keys: private_file(keys).unlink(), "signing-.*is missing"),
        (lambda keys: (keys / "ring.json").write_text('{"keys": [{"kid"'), "is not understood"),
        (lambda keys: (keys / "ring.json").write_text(""), "is not understood"),
        (lambda keys: (keys / "ring.json").write_text('{"keys": []}'), "0 active keys"),
        (two_keys, "names a key twice"),
        (lambda keys: write_ring(keys, state="retiring"), "0 active keys"),
        (lambda keys: write_ring(keys, state="ACTIVE"), "is not understood.*state"),
        (lambda keys: write_ring(keys, alg="HS256"), "is not understood.*alg"),
        (lambda keys: write_ring(keys, alg="ES256"), "is not the public half"),
        (lambda keys: write_ring(keys, surprise=1), "is not understood"),
        (lambda keys: write_ring(keys, kid="../other"), "is not understood.*kid"),
        (lambda keys: write_ring(keys, kid="o" * 43), "is not the public half"),
        (lambda keys: write_ring(keys, created="2026-11-18T11:06:40"), "is not understood.*created"),
        (other_key, "is not the key that the ring names"),
        (lambda keys: private_file(keys).write_bytes(b"-----BEGIN PRIVATE KEY-----\n"), "is not a PKCS#8"),
        (lambda keys: private_file(keys).write_bytes(b""), "is not a PKCS#8"),
        (lambda keys: private_file(keys).write_bytes(pem(ed25519.Ed25519PrivateKey.generate(), b"p")), "is encrypted"),
        (lambda keys: private_file(keys).write_bytes(pem(ec.generate_private_key(ec.SECP384R1()))), "is not the key"),
        (lambda keys: private_file(keys).write_bytes(pem(x25519.X25519PrivateKey.generate())), "is not the key"),
        (lambda keys: directory_instead(keys / "ring.json"), "ring.json: cannot be read"),
        (lambda keys: directory_instead(keys / "jwks.json"), "jwks.json: cannot be read"),
        (private_jwks, "is not the public half"),
        (lambda keys: (keys / "jwks.json").write_text('{"keys": []}'), "is not the public half"),
    ],
)
def test_files_that_do_not_go_together_are_not_signed_with(made: tuple[Path, RingKey], spoil: Spoil, said: str) -> None:
    spoil(made[0])
    refused(made[0], said)


def test_a_directory_in_place_of_the_key_is_refused(made: tuple[Path, RingKey]) -> None:
    path = private_file(made[0])
    path.unlink()
    path.mkdir(mode=0o700)
    refused(made[0], "cannot be read")


def test_a_device_in_place_of_the_key_is_refused(made: tuple[Path, RingKey]) -> None:
    path = private_file(made[0])
    path.unlink()
    path.symlink_to(os.devnull)
    refused(made[0], "not a regular file")


def test_repr_shows_no_secret(made: tuple[Path, RingKey]) -> None:
    ring = load_ring(Place(directory=made[0]))
    assert "signer" not in repr(ring)
    assert "secret" not in repr(ring.signer)
    assert repr(ring.signer) == f"Ed25519Signer(kid='{made[1].kid}', algorithm='EdDSA')"


def test_an_rsa_key_too_short_signs_nothing() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is the point
    assert signer_from(short, "RS256") is None


def test_a_key_signs_only_with_its_own_algorithm() -> None:
    for made_for in ALGORITHMS:
        key = new_key(made_for)
        fits = {algorithm for algorithm in ALGORITHMS if signer_from(key, algorithm) is not None}
        assert fits == ({"RS256", "PS256"} if made_for.endswith("S256") and made_for != "ES256" else {made_for})


def test_es256_signatures_keep_their_leading_zeros() -> None:
    signer = signer_from(new_key("ES256"), "ES256")
    assert signer is not None
    messages = [b"%d" % number for number in range(600)]
    assert {len(signature) for signature in asyncio.run(signer.sign(messages))} == {64}


def test_kid_is_the_thumbprint_of_rfc_7638_section_3_1() -> None:
    modulus = decoded(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert modulus is not None
    key = rsa.RSAPublicNumbers(65537, int.from_bytes(modulus, "big")).public_key()
    assert kid_of(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_kid_is_the_thumbprint_of_rfc_8037_appendix_a3() -> None:
    raw = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert raw is not None
    assert kid_of(ed25519.Ed25519PublicKey.from_public_bytes(raw)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_kid_is_the_jkt_of_rfc_9449_section_4() -> None:
    point = [
        int.from_bytes(decoded(text) or b"", "big")
        for text in ("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA")
    ]
    key = ec.EllipticCurvePublicNumbers(point[0], point[1], ec.SECP256R1()).public_key()
    assert kid_of(key) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_ed25519_signs_as_in_rfc_8037_appendix_a4() -> None:
    seed = decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    assert seed is not None
    signer = signer_from(ed25519.Ed25519PrivateKey.from_private_bytes(seed), "EdDSA")
    assert signer is not None
    expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    assert asyncio.run(signer.sign([message])) == [decoded(expected)]
