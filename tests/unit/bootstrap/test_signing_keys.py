"""Which servers start that sign, and what becomes of a key whose file changes."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ott_extauthz.authn.partners import KeyAlgorithm
from ott_extauthz.bootstrap.check_server import build
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.observe.in_force import report_of
from ott_extauthz.observe.log import new_logger
from ott_extauthz.reload.source import InForce, Result, Shown
from ott_extauthz.settings import load
from tests.fakes.clock import FakeClock
from tests.fakes.signing import SECRET, pem_of, private_key

POLICY = """
routes:
  - name: out
    match: {path: /a}
    attach: signed_request
    sign: {key: shop}
"""
TOKENS = """
  - name: token
    match: {path: /b}
    attach: one_time_token
    audience: b
"""
HMAC = "{name: shop, form: hmac, secret_file: secret.txt}"
HTTP = "{name: shop, form: http_signatures, key_file: ed25519.pem, keyid: bank-1}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    for name, raw in {
        "secret.txt": f"{SECRET}\n".encode(),
        "short.txt": b"short\n",
        "ed25519.pem": pem_of(private_key(KeyAlgorithm.ED25519)),
        "p256.pem": pem_of(private_key(KeyAlgorithm.ECDSA_P256_SHA256)),
    }.items():
        (tmp_path / name).write_bytes(raw)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def configured(folder: Path, *keys: str, policy: str = POLICY) -> Path:
    (folder / "policy.yaml").write_text(policy)
    (folder / "ott.yaml").write_text(f"policy: policy.yaml\nattach: {{signing_keys: [{', '.join(keys)}]}}\n")
    return folder / "ott.yaml"


def problems(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        check_inputs(load(path, {}), "ott.yaml")
    return str(caught.value)


@pytest.mark.parametrize("key", [HMAC, HTTP])
def test_a_server_that_only_signs_needs_no_issuer_and_trusts_nobody(folder: Path, key: str) -> None:
    settings = load(configured(folder, key), {})
    inputs = check_inputs(settings, "ott.yaml")
    app = build(settings, inputs, address=f"unix://{folder}/s.sock", logger=new_logger("error"), clock=FakeClock())
    assert app.tokens is None
    assert app.sources.signing_key("shop") is not None
    assert app.sources.signing_key("else") is None


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "one of issuer (tokens asked for), client_id (minted here) and signing_keys"),
        ("{name: shop, form: hmac}", "exactly one of secret_file"),
        ("{name: shop, form: hmac, secret_file: secret.txt, key_file: ed25519.pem}", "exactly one of secret_file"),
        ("{name: shop, form: hmac, key_file: ed25519.pem}", "the form hmac signs with secret_file"),
        ("{name: shop, form: eddsa, secret_file: secret.txt}", "the form eddsa signs with key_file"),
        ("{name: shop, form: eddsa, key_file: ed25519.pem, encoding: text}", "encoding says how a secret is written"),
        ("{name: shop, form: eddsa, key_file: ed25519.pem, keyid: a}", "keyid: the form eddsa has no word for it"),
        ("{name: shop, form: http_signatures, secret_file: secret.txt}", "keyid: required"),
        ("{name: shop, form: http_signatures, key_file: ed25519.pem}", "says no keyid, and the key has no kid"),
        ("{name: shop, form: eddsa, key_file: ed25519.pem, algorithm: hmac-sha256}", "does not sign with hmac-sha256"),
        (
            "{name: shop, form: standard_webhooks, key_file: ed25519.pem, algorithm: hmac-sha256}",
            "hmac-sha256 signs with secret_file",
        ),
        ("{name: shop, form: xml, key_file: ed25519.pem}", "attach.signing_keys[0].form"),
        (f"{HMAC}, {HMAC}", "two keys have one name"),
        (HMAC.replace("shop", "other"), "signs with the key shop, which attach.signing_keys of ott.yaml does not have"),
        (HMAC.replace("secret", "gone", 1).replace("gone_file: secret", "secret_file: gone"), "gone.txt"),
        (HMAC.replace("secret.txt", "short.txt"), "short.txt: a secret has 24 to 1024 bytes"),
        (HMAC.replace("secret.txt", "ed25519.pem"), "ed25519.pem: "),
        ("{name: shop, form: eddsa, key_file: p256.pem}", "with which the form eddsa does not sign"),
        (
            HTTP.replace("}", ", algorithm: ecdsa-p256-sha256}"),
            "a key for ed25519, and ott.yaml says ecdsa-p256-sha256",
        ),
    ],
)
def test_what_cannot_sign_does_not_start(folder: Path, key: str, message: str) -> None:
    found = problems(configured(folder, key))
    assert message in found
    assert SECRET not in found


@pytest.mark.parametrize(
    ("key", "sign", "message"),
    [
        (HMAC, "{key: shop, components: ['@path']}", "sign.components: the key shop signs as hmac"),
        (HMAC, "{key: shop, expires: 1m}", "sign.expires: the key shop signs as hmac"),
        (HMAC, "{key: shop, tag: a}", "sign.tag: "),
        (HMAC, "{key: shop, keep_id: true}", "sign.keep_id: "),
        (HTTP, "{key: shop, keep_id: true}", "sign.keep_id: the key shop signs as http_signatures"),
    ],
)
def test_a_route_asks_for_nothing_that_its_keys_form_does_not_have(
    folder: Path, key: str, sign: str, message: str
) -> None:
    assert message in problems(configured(folder, key, policy=POLICY.replace("{key: shop}", sign)))


def test_a_key_that_others_can_read_does_not_start(folder: Path) -> None:
    (folder / "secret.txt").chmod(0o604)
    assert "a secret readable by all" in problems(configured(folder, HMAC))


def test_keys_that_sign_are_no_source_of_tokens(folder: Path) -> None:
    found = problems(configured(folder, HMAC, policy=POLICY + TOKENS))
    assert "attach.issuer: required: the route token attaches tokens" in found


class Results:
    """Remembers how reloads ended."""

    def __init__(self) -> None:
        self.told: list[Result] = []

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        del source, before
        self.told.append(result)


def _sources(folder: Path, key: str, results: Results) -> Sources:
    settings = load(configured(folder, key), {})
    inputs = check_inputs(settings, "ott.yaml")
    return sources_of(settings, inputs, clock=FakeClock(), listener=results, on_fault=pytest.fail)


def _signature(sources: Sources) -> bytes:
    key = sources.signing_key("shop")
    assert key is not None
    return key.maker.sign(b"m")


def test_a_new_secret_signs_and_a_bad_one_leaves_the_old_in_force(folder: Path) -> None:
    results = Results()
    sources = _sources(folder, HMAC, results)
    [source] = sources.signing_keys
    old = _signature(sources)
    (folder / "secret.txt").write_text("short\n")
    assert source.reload()
    assert (results.told, _signature(sources)) == ([Result.REFUSED], old)
    (folder / "secret.txt").write_text(f"another-{SECRET}\n")
    source.poll()
    source.poll()
    assert results.told[-1] is Result.LOADED
    assert _signature(sources) != old


def test_a_secrets_digest_is_shown_to_nobody(folder: Path) -> None:
    """Whoever reads /readyz could try secrets against it."""
    sources = _sources(folder, HMAC, Results())
    [source] = sources.signing_keys
    lines = "\n".join(report_of(sources.all()).lines)
    assert "signing key of shop: in force since" in lines
    assert source.in_force.fingerprint not in lines
    assert sources.policy.in_force.fingerprint in lines


@pytest.mark.parametrize("algorithm", [each for each in KeyAlgorithm if each is not KeyAlgorithm.HMAC_SHA256])
def test_what_we_sign_with_a_private_key_cannot_be_sent_back_to_us_as_a_partners(
    folder: Path, algorithm: KeyAlgorithm
) -> None:
    (folder / "ours.pem").write_bytes(pem_of(private_key(algorithm)))
    (folder / "ours.pem").chmod(0o600)
    (folder / "theirs.pem").write_bytes(
        private_key(algorithm).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    path = configured(folder, "{name: shop, form: http_signatures, key_file: ours.pem, keyid: bank-1}")
    assert "shop is a key of the partner psp" in problems(_with_partner(path, "{kid: k, public_key_file: theirs.pem}"))


def test_what_we_sign_with_a_secret_cannot_be_sent_back_to_us_as_a_partners(folder: Path) -> None:
    """A webhook's address is the receiver's to choose: it may be ours, and our nonce is new to us."""
    (folder / "other.txt").write_text(f"{SECRET}-and-more\n")
    (folder / "other.txt").chmod(0o600)
    told = problems(_with_partner(configured(folder, HMAC), "{kid: k, secret_file: secret.txt}"))
    assert "shop is a key of the partner psp" in told
    assert SECRET not in told
    path = _with_partner(configured(folder, HMAC), "{kid: k, secret_file: other.txt}")
    assert check_inputs(load(path, {}), "ott.yaml").partners.keys() == {"psp"}


def _with_partner(path: Path, key: str) -> Path:
    document = f"partners: [{{name: psp, client_id: psp, form: http_signatures, keys: [{key}]}}]\n"
    (path.parent / "partners.yaml").write_text(document)
    path.write_text(path.read_text() + "partners: partners.yaml\n")
    return path
