"""keys, mint, inspect, config: what they print, where, and their exit codes."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app
from ott_extauthz.wire.listening import ListenError
from tests.cli.conftest import Folder


def test_a_new_user_makes_keys_mints_and_inspects(folder: Folder) -> None:
    made = folder.run_apart("keys", "init")
    assert (made.returncode, made.stderr) == (0, "")
    assert "made signing key" in made.stdout
    assert folder.run("keys", "init").returncode == 1, "never overwritten"
    (key,) = json.loads(folder.run("keys", "list", "--json").stdout)
    assert (key["algorithm"], key["state"]) == ("EdDSA", "active")
    assert key["kid"] in folder.run("keys", "list").stdout.replace("\n", "")
    minted = folder.run("mint", "--audience", "wallet.api", "--client-id", "rgs", "--scope", "a b")
    assert minted.returncode == 0
    token = minted.stdout.strip()
    shown = folder.run("inspect", "--json", token)
    assert json.loads(shown.stdout)["claims"]["scope"] == "a b"
    assert token.split(".")[2] not in shown.stdout
    assert folder.run("config", "check").returncode == 0


def test_a_token_for_one_request_and_with_a_mandate_is_minted_and_inspected(folder: Folder) -> None:
    folder.run("keys", "init")
    (folder.path / "body.json").write_bytes(b"abc")
    details = [{"type": "mandate", "max_amount": {"value": "5000", "currency": "EUR"}}]
    (folder.path / "mandate.json").write_text(json.dumps(details))
    one = [
        "mint",
        "--audience",
        "a",
        "--client-id",
        "c",
        "--htm",
        "POST",
        "--htp",
        "/v1/{x}",
        "--digest-file",
        "body.json",
    ]
    minted = folder.run(*one, "--authorization-details", "mandate.json")
    assert minted.returncode == 0, minted.stderr
    claims = json.loads(folder.run("inspect", "--json", minted.stdout.strip()).stdout)["claims"]
    assert claims["authorization_details"] == details
    assert (claims["htm"], claims["htp"]) == ("POST", "/v1/{x}")
    assert claims["digest"] == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"  # SHA-256 of "abc" (FIPS 180-2, B.1)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("[]", 1, "malformed"),
        ('[{"type": "mandate", "brand": "A", "actions": ["read"]}]', 1, "does not know it"),
        ('[{"type": "payment"}]', 1, "does not know it"),
        ('[{"type": "mandate", "brand": "A", "brand": "B"}]', 2, "JSON array"),
        ("{}", 2, "JSON array"),
    ],
)
def test_a_mandate_that_no_server_would_take_is_not_signed(folder: Folder, text: str, code: int, message: str) -> None:
    folder.run("keys", "init")
    (folder.path / "mandate.json").write_text(text)
    refused = folder.run("mint", "--audience", "a", "--client-id", "c", "--authorization-details", "mandate.json")
    assert (refused.returncode, refused.stdout) == (code, "")
    assert message in refused.stderr


def test_private_keys_are_not_for_others(folder: Folder) -> None:
    folder.run("keys", "init")
    (private,) = (folder.path / "keys").glob("signing-*.pem")
    private.chmod(0o644)
    refused = folder.run("mint", "--audience", "a", "--client-id", "c")
    assert refused.returncode == 1
    assert "chmod 600" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["mint"], 2),
        (["mint", "--audience", "a", "--client-id", "c", "--lifetime", "5"], 2),
        (["mint", "--audience", "a", "--client-id", "c", "--lifetime", "301s"], 1),
        (["mint", "--audience", "a", "--client-id", "c", "--certificate", "none.pem"], 1),
        (["mint", "--audience", "a", "--client-id", "c", "--digest-file", "none.json"], 1),
        (["mint", "--audience", "a", "--client-id", "c", "--htm", "post"], 1),
        (["mint", "--audience", "a", "--client-id", "c", "--htp", "v1"], 1),
        (["keys", "init", "--algorithm", "HS256"], 2),
        (["serve", "-c", "none.yaml"], 1),
        (["serve", "--worker", "127.0.0.1:1"], 1),
        (["config", "check", "-c", "none.yaml"], 1),
        (["inspect", "nonsense"], 1),
        (["nonsense"], 2),
    ],
)
def test_mistakes_have_their_exit_code_and_no_traceback(folder: Folder, arguments: list[str], code: int) -> None:
    folder.run("keys", "init", "-c", "ott.yaml")
    (folder.path / "keys").mkdir(exist_ok=True)
    result = folder.run(*arguments)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr or result.stdout


@pytest.mark.parametrize("piped", [b"\xff\xfe", b"\xed\xa0\x80", b"\0", b""], ids=repr)
def test_bytes_that_are_no_text_are_no_token_and_no_traceback(piped: bytes) -> None:
    for more in ([], ["--json"]):
        done = CliRunner().invoke(app, ["inspect", *more], input=piped)
        assert (done.exit_code, type(done.exception)) == (1, SystemExit)


def test_a_process_ends_with_that_code_and_prints_to_standard_error(folder: Folder) -> None:
    result = folder.run_apart("nonsense")
    assert (result.returncode, result.stdout) == (2, "")
    assert "nonsense" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_problem_of_every_file_is_shown_at_once(folder: Folder) -> None:
    folder.configure(
        "trust:\n"
        "  - {issuer: https://i, jwks: missing.json, algorithms: [EdDSA]}\n"
        "  - {issuer: https://j, jwks: bad.json, algorithms: [EdDSA]}\n"
        "policy: policy.yaml\n"
    )
    (folder.path / "bad.json").write_text('{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}, {"kty": "OKP"}]}')
    (folder.path / "policy.yaml").write_text(
        "revision: r\nroutes:\n  - {name: a, match: {path: x}, credential: magic}\n"
    )
    shown = folder.run("config", "check")
    assert shown.returncode == 1
    assert "missing.json: cannot be read: No such file or directory" in shown.stderr
    assert "bad.json: keys[0]: a symmetric or private key" in shown.stderr
    assert "bad.json: keys[1]: no `kid`" in shown.stderr
    assert "policy.yaml:3:" in shown.stderr
    assert "c2VjcmV0" not in shown.stderr


def test_an_audit_that_cannot_be_opened_is_told_by_its_setting(folder: Folder, free_port: int) -> None:
    folder.run("keys", "init")
    text = (folder.path / "ott.yaml").read_text()
    folder.configure(f"{text}listen: {{check: 127.0.0.1:{free_port}}}\naudit: {{path: policy.yaml}}\n")
    shown = folder.run("serve")
    assert shown.returncode == 1
    assert shown.stderr.startswith("audit.path: policy.yaml/decisions-")
    assert "cannot be opened: " in shown.stderr


def test_a_server_without_trust_or_policy_does_not_start(folder: Folder) -> None:
    folder.configure("")
    shown = folder.run("serve")
    assert shown.returncode == 1
    assert "trust: required" in shown.stderr
    assert "policy: required" in shown.stderr


def test_a_ring_that_lies_elsewhere_is_named_as_not_checked_and_the_rest_is_judged(folder: Folder) -> None:
    """A pipeline reaches no Vault; what it did not look at must not look as if it were fine."""
    folder.run("keys", "init")
    vault = "{vault: {address: 'http://127.0.0.1:1', key: issuer, login: {token_file: token}}}"
    clients = (
        "{client_id: rgs, authentication: tls_client_auth, certificate: {dns: a.b}, audiences: {w: {scopes: [s]}}}"
    )
    (folder.path / "clients.yaml").write_text(f"clients: [{clients}]\n")
    folder.configure(
        "trust: [{issuer: https://i, jwks: keys/jwks.json, algorithms: [EdDSA]}]\npolicy: policy.yaml\n"
        f"issuer: {{url: 'https://i', keys: {vault}}}\nattach: {{client_id: rgs, spiffe_id: 'spiffe://a.b/rgs'}}\n"
    )
    shown = folder.run("config", "check")
    assert shown.returncode == 0, shown.stderr
    assert "warning: issuer.keys: not checked; the ring lies elsewhere, and nobody is asked" in shown.stderr
    folder.configure((folder.path / "ott.yaml").read_text().replace("client_id: rgs", "client_id: nobody"))
    assert "clients.yaml has no such client" in folder.run("config", "check").stderr


@pytest.mark.parametrize(("error", "told"), [
    (OSError(28, "No space left on device", "audit/a.jsonl"), "audit/a.jsonl: No space left on device"),
    (OSError(24, "Too many open files"), "issue: Too many open files"),
    (ListenError("issuer.admin: cannot listen on a:1: x"), "issuer.admin: cannot listen on a:1: x"),
])  # fmt: skip
def test_what_keeps_an_issuer_from_starting_is_not_laid_at_its_address(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def run_issuer(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr("ott_extauthz.bootstrap.issuer.run_issuer", run_issuer)
    shown = folder.run("issue")
    assert shown.returncode == 1
    assert told in shown.stderr
    assert "issuer.listen" not in shown.stderr


def test_algorithms_that_no_key_has_do_not_start(folder: Folder) -> None:
    folder.run("keys", "init")
    folder.configure("trust: [{issuer: https://i, jwks: keys/jwks.json, algorithms: [ES256]}]\npolicy: policy.yaml\n")
    assert "no key goes with the algorithms ['ES256']" in folder.run("config", "check").stderr


def test_a_secret_readable_by_all_does_not_start(folder: Folder) -> None:
    folder.run("keys", "init")
    (folder.path / "pw").write_text("hunter2")
    (folder.path / "pw").chmod(0o644)
    text = (folder.path / "ott.yaml").read_text()
    folder.configure(text + "store: {url: 'redis://127.0.0.1:1', password_file: pw}\n")
    shown = folder.run("config", "check")
    assert "pw: a secret readable by all; chmod o-rwx" in shown.stderr
    assert "hunter2" not in shown.stderr


@pytest.mark.parametrize("option", [[], ["--policy"], ["--partners"]])
def test_schemas_are_printed_closed(folder: Folder, option: list[str]) -> None:
    assert json.loads(folder.run("config", "schema", *option).stdout)["additionalProperties"] is False


def test_the_version_and_the_help_are_there(folder: Folder) -> None:
    assert folder.run("--version").stdout.startswith("ott-extauthz ")
    for command in ("demo", "serve", "issue", "mint", "inspect", "clients", "config", "keys"):
        assert command in folder.run("--help").stdout


def test_warnings_of_the_policy_are_shown_and_keep_nothing_from_starting(folder: Folder) -> None:
    text = (folder.path / "policy.yaml").read_text()
    (folder.path / "policy.yaml").write_text(
        f"{text}roles: {{payer: [pay]}}\nclients: [{{client_id: rgs, roles: []}}]\n"
    )
    folder.run("keys", "init")
    shown = folder.run("config", "check")
    assert shown.returncode == 0, shown.stderr
    assert "warning: " in shown.stderr
    assert "roles.payer: no client has this role" in shown.stderr


def test_an_audience_makes_a_key_for_encrypted_tokens(folder: Folder) -> None:
    folder.configure("decryption: wallet-keys\n")
    made = folder.run("keys", "init-encryption", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["curve"] == "X25519"
    (entry,) = json.loads((folder.path / "wallet-keys" / "encryption-jwks.json").read_text())["keys"]
    assert entry["kid"] == told["kid"]
    assert folder.run("keys", "init-encryption", "--curve", "P-521").returncode == 2
    folder.configure("{}")
    assert "decryption: required" in folder.run("keys", "init-encryption").stderr


_WORD_TO_GRPC = """
import os, sys

class Watching:
    def find_spec(self, name, *_):
        if name == "grpc":
            sys.exit(os.environ.get("GRPC_VERBOSITY"))

sys.meta_path.insert(0, Watching())
import ott_extauthz.cli
"""


@pytest.mark.parametrize(("said", "heard"), [(None, "ERROR"), ("info", "info")], ids=["by default", "asked for"])
def test_nobodys_failed_handshake_is_a_line_of_grpcs_own(said: str | None, heard: str) -> None:
    """Its C library reads the word when it is loaded; a line of its own waits where nobody reads standard error."""
    others = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    environ = others if said is None else others | {"GRPC_VERBOSITY": said}
    done = subprocess.run(
        [sys.executable, "-c", _WORD_TO_GRPC], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"{heard}\n")
