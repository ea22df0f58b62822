"""The command line quotes no secret: not of a file that is wrong, not of a setting, not of the environment."""

import traceback
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app
from tests.cli.conftest import POLICY
from tests.fakes.certificates import Authority
from tests.fakes.desk import Desk
from tests.leaks import leaked

SECRET = "Zx9-correct.horse_battery+staple/0815"
BASE = """
trust: [{issuer: https://i, jwks: jwks.json, algorithms: [EdDSA]}]
policy: policy.yaml
"""
ISSUER = """
issuer: {url: https://i, listen: '127.0.0.1:0', keys: keys, clients: clients.yaml, client_secret_basic: accept the risk,
         tls: {certificate: tls.pem, key: tls.key, client_ca: tls.pem}}
"""
INTROSPECTION = (
    "introspection: [{issuer: https://l, endpoint: https://l/i, client_id: c, authentication: private_key_jwt, "
    "algorithm: EdDSA, key: FILE}]"
)
PEM = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
CONTENTS = {
    "pem": PEM,
    "private jwk": f'{{"keys": [{{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "{SECRET}", "d": "{SECRET}"}}]}}',
    "broken yaml": f"secret: '{SECRET}\n  - [",
    "lines": f"{SECRET}\r\n{SECRET}\n",
    "binary": f"\x00\xff{SECRET}\xfe",
}
PLACES = {
    "store password": ("store: {url: 'redis://u@127.0.0.1:1', password_file: FILE, ca: FILE}", BASE),
    "store certificate": ("store: {url: 'rediss://u@127.0.0.1:1', certificate: FILE, key: FILE}", BASE),
    "collector headers": ("tracing: {endpoint: 'https://c:4317', headers_file: FILE, ca: FILE}", BASE),
    "collector key": ("tracing: {endpoint: 'https://c:4317', certificate: FILE, key: FILE}", BASE),
    "key set": ("region: EU", BASE.replace("jwks.json", "FILE")),
    "policy": ("region: EU", BASE.replace("policy.yaml", "FILE")),
    "API keys": ("api_keys: {file: FILE, prefix: ottkey}", BASE),
    "partners": ("partners: FILE", BASE),
    "nonces": ("dpop: {nonce: required, nonce_secret: FILE}", BASE),
    "signing key": ("attach: {signing_keys: [{name: a, form: hmac, secret_file: FILE}]}", BASE),
    "signing pem": ("attach: {signing_keys: [{name: a, form: http_signatures, key_file: FILE, keyid: a}]}", BASE),
    "introspection": (INTROSPECTION, BASE),
    "bundle": ("trust_domains: {bank.example: {bundle: FILE}}", BASE),
    "server key": ("listen: {tls: {certificate: FILE, key: FILE}}", BASE),
    "issuer clients": ("region: EU", ISSUER.replace("clients.yaml", "FILE")),
    "issuer keys": ("region: EU", ISSUER.replace("tls.key", "FILE")),
    "issuer passphrase": ("region: EU", ISSUER.replace("keys: keys,", "keys: keys, passphrase_file: FILE,")),
}  # fmt: skip
INLINE = [
    f"store: 'redis://user:{SECRET}@127.0.0.1:6379/0'",
    f"store: 'postgresql://user:{SECRET}@127.0.0.1/db'",
    f"store: 'redis://127.0.0.1/?password={SECRET}'",
    f"tracing: {{endpoint: 'https://user:{SECRET}@collector:4317'}}",
    f"tracing: {{endpoint: 'https://collector:4317', headers: '{SECRET}'}}",
    f"tracing: {{endpoint: 'https://collector:4317', ratio: '{SECRET}'}}",
    f"listen: '{SECRET}'",
    f"api_keys: '{SECRET}'",
    f"log: {{level: '{SECRET}'}}",
    f"log: '{SECRET}\n  [",
    f"introspection: [{{client_secret: '{SECRET}'}}]",
    f"introspection: [{{issuer: https://l, endpoint: 'https://u:{SECRET}@l/i', client_id: c}}]",
]


class Site:
    """A folder with a configuration, and the command line in it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        monkeypatch.chdir(path)
        (path / "policy.yaml").write_text(POLICY)
        (path / "jwks.json").write_text('{"keys": []}')
        leaf = Authority().leaf("issuer", ips=("127.0.0.1",))
        (path / "tls.pem").write_bytes(leaf.pem)
        (path / "clients.yaml").write_text("clients: []")
        for name, content in (("tls.key", leaf.key_pem), ("wrong", b"")):
            (path / name).touch(mode=0o600)
            (path / name).write_bytes(content)

    def says(self, *words: str, **environment: str) -> str:
        """All that a command prints, and how it broke if it did."""
        done = CliRunner().invoke(app, words, env=environment)
        assert done.output + done.stderr
        broke = done.exc_info if done.exception and not isinstance(done.exception, SystemExit) else None
        return done.output + done.stderr + "".join(traceback.format_exception(*broke) if broke else ())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_is_wrong_is_not_quoted(site: Site, place: str) -> None:
    setting, base = PLACES[place]
    (site.path / "ott.yaml").write_text(f"{base}\n{setting}\n".replace("FILE", "wrong"))
    for kind, content in CONTENTS.items():
        (site.path / "wrong").write_bytes(content.encode("latin-1"))
        said = site.says("config", "check")
        assert not leaked([SECRET], said), (kind, said)


@pytest.mark.parametrize("number", range(len(INLINE)))
def test_a_setting_that_is_wrong_is_not_quoted(site: Site, number: int) -> None:
    (site.path / "ott.yaml").write_text(f"{BASE}\n{INLINE[number]}\n")
    for command in (("config", "check"), ("serve",)):
        assert not leaked([SECRET], site.says(*command))


def test_the_environment_is_not_quoted(site: Site) -> None:
    (site.path / "ott.yaml").write_text(BASE)
    for name in ("OTT_STORE", "OTT_STORE__URL", "OTT_TRACING", "OTT_TRACING__ENDPOINT", "OTT_LISTEN", "OTT_NOTHING"):
        assert not leaked([SECRET], site.says("config", "check", **{name: f"redis://u:{SECRET}@h:1"}))


def test_what_is_no_token_is_not_quoted_by_inspect(site: Site) -> None:
    """A good token's header and claims are what it is for; its signature is nobody's business."""
    token = Desk().token()
    signature = token.rpartition(".")[2]
    shown = CliRunner().invoke(app, ["inspect"], input=token)
    assert not leaked([signature], shown.output + shown.stderr)
    for text in (
        SECRET,
        f"{SECRET}.{SECRET}.{SECRET}",
        f"{token}.{SECRET}",
        f"Bearer {SECRET}",
        f"{token[:40]}.{signature}",
    ):
        shown = CliRunner().invoke(app, ["inspect"], input=text)
        assert not leaked([SECRET, signature], shown.output + shown.stderr), text
        assert shown.exception is None or isinstance(shown.exception, SystemExit)
    assert site.path.exists()


def test_minting_quotes_no_file(site: Site) -> None:
    (site.path / "ott.yaml").write_text("issuer: {url: https://i, keys: keys, clients: clients.yaml}\n")
    for kind, content in CONTENTS.items():
        (site.path / "wrong").write_bytes(content.encode("latin-1"))
        words = ["mint", "--audience", "a", "--client-id", "c"]
        for option in ("--certificate", "--authorization-details"):
            assert not leaked([SECRET], site.says(*words, option, "wrong")), (kind, option)
