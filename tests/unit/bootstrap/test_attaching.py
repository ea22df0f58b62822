"""What attaching starts from, and what does not start."""

from pathlib import Path

import pytest

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import Settings, load
from tests.fakes.attaching import CLIENTS, GRPC, ISSUER, attaching_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return attaching_folder(tmp_path)


def problems(folder: Path, text: str) -> str:
    (folder / "ott.yaml").write_text("policy: policy.yaml\n" + text)
    with pytest.raises(DocumentError) as caught:
        check_inputs(load(folder / "ott.yaml", {}), "ott.yaml")
    return str(caught.value)


@pytest.mark.parametrize("text", [GRPC, ISSUER + "attach: {client_id: app-a, certificate: w.pem}\n"])
def test_a_server_that_only_attaches_trusts_nobody(folder: Path, text: str) -> None:
    (folder / "ott.yaml").write_text("policy: policy.yaml\n" + text)
    assert check_inputs(load(folder / "ott.yaml", {}), "ott.yaml").attach is not None


def test_a_route_that_attaches_needs_somewhere_to_get_tokens_from(folder: Path) -> None:
    assert "attach: required: the route out attaches tokens" in problems(folder, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attach: {}\n", "one of issuer (tokens asked for), client_id (minted here) and signing_keys"),
        ("attach: {client_id: a, spiffe_id: 'spiffe://b/a'}\n", "needs issuer: its url, keys and clients"),
        (ISSUER + "attach: {client_id: a}\n", "exactly one of certificate (that Envoy presents) and spiffe_id"),
        (
            ISSUER + "attach: {client_id: a, certificate: w.pem, spiffe_id: 'spiffe://b/a'}\n",
            "exactly one of certificate",
        ),
        (ISSUER + "attach: {client_id: a, spiffe_id: 'https://b/a'}\n", "attach.spiffe_id"),
        (GRPC.replace("}}", "}, certificate: w.pem}"), "bound to attach.issuer.certificate; leave the others out"),
        (GRPC.replace("}}", ", binding: dpop}}"), "attach.issuer.binding"),
        (GRPC.replace("w", "n").replace("}}", ", binding: workload}}"), "has no SPIFFE ID to bind to"),
        (ISSUER + "attach: {client_id: nobody, certificate: w.pem}\n", "attach.client_id: "),
        (ISSUER + "attach: {client_id: app-a, certificate: gone.pem}\n", "gone.pem: cannot be read"),
        (GRPC.replace("w-key.pem", "ca.pem"), "not a certificate and its key"),
        (ISSUER.replace("keys: keys", "keys: gone") + "attach: {client_id: app-a, certificate: w.pem}\n", "gone"),
    ],
)
def test_what_cannot_work_does_not_start(folder: Path, text: str, message: str) -> None:
    assert message in problems(folder, text)


def test_no_key_of_ours_mints_what_the_issuer_would_want_a_proof_for(folder: Path) -> None:
    (folder / "clients.yaml").write_text(CLIENTS.replace("audiences", "dpop: required\n    audiences"))
    found = problems(folder, ISSUER + "attach: {client_id: app-a, certificate: w.pem}\n")
    assert "attach.client_id: " in found
    assert "dpop: required" in found


def test_a_key_that_others_can_read_does_not_start(folder: Path) -> None:
    (folder / "w-key.pem").chmod(0o604)
    assert "a secret readable by all" in problems(folder, GRPC)


def test_a_key_set_to_seal_with_that_is_none_does_not_start(folder: Path) -> None:
    issuer = ISSUER.replace("keys: keys", "keys: keys, encryption: {a: clients.yaml}")
    assert "clients.yaml: not a JSON object" in problems(
        folder, issuer + "attach: {client_id: app-a, certificate: w.pem}\n"
    )


ELSEWHERE = "{vault: {address: 'http://127.0.0.1:1', key: issuer, login: {token_file: t}MORE}}"


def elsewhere(folder: Path, more: str = "") -> Settings:
    issuer = ISSUER.replace("keys: keys", f"keys: {ELSEWHERE.replace('MORE', more)}")
    (folder / "ott.yaml").write_text(f"policy: policy.yaml\n{issuer}attach: {{client_id: app-a, certificate: w.pem}}\n")
    return load(folder / "ott.yaml", {})


def test_whoever_only_looks_asks_no_vault_and_judges_the_rest(folder: Path) -> None:
    inputs = check_inputs(elsewhere(folder), "ott.yaml", is_offline=True)
    assert inputs.attach is not None
    with pytest.raises(DocumentError, match=r"issuer\.keys"):
        check_inputs(elsewhere(folder), "ott.yaml")
    with pytest.raises(DocumentError, match=r"issuer\.keys: ca: .*gone\.pem cannot be read"):
        check_inputs(elsewhere(folder, ", ca: gone.pem"), "ott.yaml", is_offline=True)
    (folder / "clients.yaml").write_text(CLIENTS.replace("app-a", "app-b"))
    with pytest.raises(DocumentError, match="has no such client"):
        check_inputs(elsewhere(folder), "ott.yaml", is_offline=True)
