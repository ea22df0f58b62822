"""Vault's transit engine, against a real OpenBao where it can say it, and a lying server where it cannot."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.key_backends import AppRoleLogin, KubernetesLogin, Vault, VaultLogin
from ott_extauthz.ports import SigningError
from ott_extauthz.stores.remotekeys.calls import BoundedCalls
from ott_extauthz.stores.remotekeys.keys import RingError
from ott_extauthz.stores.remotekeys.ring import RemoteRing
from ott_extauthz.stores.remotekeys.vault import VaultKeys
from ott_extauthz.stores.remotekeys.vault_login import LoggedIn
from ott_extauthz.stores.remotekeys.versions import Overlap
from tests.fakes.certificates import Authority
from tests.fakes.clock import FakeClock, SkewedClock
from tests.fakes.ring_listener import RingEars
from tests.open_bao import OpenBao, running_bao

OVERLAP = Overlap(publish_before_ms=600_000, retire_after_ms=420_000)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_bao(tmp_path_factory.mktemp("bao")) as found:
        yield found


def ring_of(settings: Vault, *, clock: Any = None, ears: RingEars | None = None, seconds: float = 30) -> RemoteRing:
    return RemoteRing(
        VaultKeys(settings, overlap=OVERLAP),
        calls=BoundedCalls(seconds=seconds),
        clock=clock or SkewedClock(),
        listener=ears or RingEars(),
        every=None,
    )


async def test_a_new_version_signs_only_after_it_was_published_for_a_while(bao: OpenBao) -> None:
    clock = SkewedClock()
    ring = ring_of(bao.settings(bao.new_key("turning", "ed25519")), clock=clock)
    first = ring.signer.kid
    bao.rotate("turning")
    clock.offset_ms = 60_000
    await ring.refresh()
    assert ring.signer.kid == first
    assert len(keys_from(ring.jwks)) == 2
    clock.offset_ms = 60_000 + 700_000
    await ring.refresh()
    second = ring.signer.kid
    assert second != first
    (signature,) = await ring.signer.sign([b"a.b"])
    assert keys_from(ring.jwks)[second].verifies("EdDSA", b"a.b", signature)
    assert set(keys_from(ring.jwks)) == {first, second}
    clock.offset_ms = 60_000 + 700_000 + 500_000
    await ring.refresh()
    assert set(keys_from(ring.jwks)) == {second}


async def test_a_version_found_after_an_outage_is_published_before_it_signs_however_old_it_is(bao: OpenBao) -> None:
    clock = SkewedClock()
    ring = ring_of(bao.settings(bao.new_key("outage", "ed25519")), clock=clock)
    first = ring.signer.kid
    bao.rotate("outage")
    clock.offset_ms = 3_600_000
    await ring.refresh()
    assert ring.signer.kid == first
    clock.offset_ms += 601_000
    await ring.refresh()
    assert ring.signer.kid != first


async def test_what_lies_below_min_decryption_version_is_published_no_more(bao: OpenBao) -> None:
    bao.new_key("withdrawn", "ed25519")
    bao.rotate("withdrawn")
    bao.rotate("withdrawn")
    settings = bao.settings("withdrawn")
    ring = ring_of(settings)
    assert len(keys_from(ring.jwks)) == 3
    bao.configure("withdrawn", min_decryption_version=3)
    await ring.refresh()
    assert set(keys_from(ring.jwks)) == {ring.signer.kid}
    assert ring.look.active.reference == "3"


async def test_min_encryption_version_forces_a_version_to_sign_at_once(bao: OpenBao) -> None:
    bao.new_key("forced", "ecdsa-p256")
    ring = ring_of(bao.settings("forced", algorithm="ES256"))
    bao.rotate("forced")
    bao.configure("forced", min_encryption_version=2)
    await ring.refresh()
    assert ring.look.active.reference == "2"
    assert len(keys_from(ring.jwks)) == 2


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("ed25519", "ES256"), ("ecdsa-p256", "EdDSA"), ("ecdsa-p384", "ES256"), ("aes256-gcm96", "EdDSA")],
)
def test_a_key_of_another_type_opens_no_ring(bao: OpenBao, kind: str, algorithm: str) -> None:
    bao.new_key(f"wrong-{kind}-{algorithm}", kind)
    with pytest.raises(RingError, match=r"does not sign|not the description of a key pair"):
        ring_of(bao.settings(f"wrong-{kind}-{algorithm}", algorithm=algorithm))


def test_a_key_that_is_not_there_opens_no_ring(bao: OpenBao) -> None:
    with pytest.raises(RingError, match="InvalidPath"):
        ring_of(bao.settings("nowhere"))


def test_a_token_without_the_right_opens_no_ring(bao: OpenBao) -> None:
    bao.new_key("others", "ed25519")
    login = VaultLogin(token_file=bao.token_file("poor-token", policy="default"))
    with pytest.raises(RingError, match="permission denied"):
        ring_of(bao.settings("others", login=login))


async def test_a_revoked_token_is_replaced_by_the_one_in_its_file(bao: OpenBao) -> None:
    bao.new_key("replaced", "ed25519")
    path = bao.token_file("agent-token")
    ring = ring_of(bao.settings("replaced", login=VaultLogin(token_file=path)))
    bao.asked("POST", "auth/token/revoke", {"token": path.read_text().strip()})
    with pytest.raises(SigningError):
        await ring.signer.sign([b"a.b"])
    path.write_text(bao.token())
    assert len(await ring.signer.sign([b"a.b"])) == 1


async def test_app_role_logs_in_and_a_rotated_secret_is_read_at_the_next_login(bao: OpenBao, tmp_path: Path) -> None:
    bao.asked("POST", "sys/auth/approle", {"type": "approle"})
    bao.asked("POST", "auth/approle/role/issuer", {"token_policies": ["issuer"], "secret_id_num_uses": 1})
    role_id = bao.asked("GET", "auth/approle/role/issuer/role-id")["data"]["role_id"]

    def write_secret() -> None:
        made = bao.asked("POST", "auth/approle/role/issuer/secret-id", {})
        (tmp_path / "secret-id").write_text(made["data"]["secret_id"])

    write_secret()
    bao.new_key("by-role", "ed25519")
    login = VaultLogin(app_role=AppRoleLogin(role_id=role_id, secret_id_file=tmp_path / "secret-id"))
    keys = VaultKeys(bao.settings("by-role", login=login), overlap=OVERLAP)
    key = keys.look(0).active
    token = keys._client.token
    bao.asked("POST", "auth/token/revoke", {"token": token})
    write_secret()
    assert len(keys.sign(key, [b"a.b"])) == 1
    assert keys._client.token != token


def _service_account() -> str:
    """A token of a service account as to its form; whether it is good says the API server."""
    name = "kubernetes.io/serviceaccount"
    claims = {f"{name}/namespace": "bank", f"{name}/service-account.name": "issuer"}
    claims |= {"iss": "kubernetes/serviceaccount", f"{name}/service-account.uid": "u1", f"{name}/secret.name": "s"}
    return ".".join(encoded(part) for part in (b'{"alg":"RS256"}', json.dumps(claims).encode(), b"x" * 256))


def test_a_kubernetes_service_account_logs_in(bao: OpenBao, tmp_path: Path) -> None:
    """The API server is ours here; that it is asked, and by whom, is OpenBao's doing."""

    def review(asked: dict[str, Any]) -> dict[str, Any]:
        is_it = asked["spec"]["token"] == jwt
        user = {"username": "system:serviceaccount:bank:issuer", "uid": "u1", "groups": ["system:serviceaccounts"]}
        status = {"authenticated": is_it, "user": user} if is_it else {"authenticated": False}
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}

    jwt = _service_account()
    with serving(lambda path, body: (201, review(body))) as url:
        bao.asked("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        host: dict[str, Any] = {"kubernetes_host": url, "token_reviewer_jwt": "reviewer", "disable_local_ca_jwt": True}
        host["kubernetes_ca_cert"] = Authority().pem.decode()
        bao.asked("POST", "auth/kubernetes/config", host)
        role = {"bound_service_account_names": "issuer", "bound_service_account_namespaces": "bank"}
        bao.asked("POST", "auth/kubernetes/role/issuer", role | {"token_policies": ["issuer"]})
        bao.new_key("in-a-pod", "ed25519")
        (tmp_path / "jwt").write_text(jwt + "\n")
        login = VaultLogin(kubernetes=KubernetesLogin(role="issuer", jwt_file=tmp_path / "jwt"))
        settings = bao.settings("in-a-pod", login=login)
        assert VaultKeys(settings, overlap=OVERLAP).look(0).active.reference == "1"


async def test_a_server_that_hangs_is_given_up_in_time_and_signs_again_afterwards(bao: OpenBao) -> None:
    bao.new_key("hanging", "ed25519")
    ears = RingEars()
    ring = ring_of(bao.settings("hanging", timeout="500ms"), ears=ears, seconds=2)
    bao.pause()
    try:
        with pytest.raises(SigningError):
            await ring.signer.sign([b"a.b"])
    finally:
        bao.resume()
    assert len(ears.failures) == 1
    assert len(await ring.signer.sign([b"a.b"])) == 1


def test_nothing_of_the_environment_logs_us_in(bao: OpenBao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "VAULT_TOKEN": "stray", "VAULT_ADDR": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1", "VAULT_CLIENT_CERT": "stray.pem", "REQUESTS_CA_BUNDLE": "stray.pem",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    bao.new_key("strict", "ed25519")
    assert VaultKeys(bao.settings("strict"), overlap=OVERLAP)._client.token == ""
    ring_of(bao.settings("strict"))
    empty = tmp_path / "token"
    empty.write_text("\n")
    with pytest.raises(RingError, match="is empty"):
        ring_of(bao.settings("strict", login=VaultLogin(token_file=empty)))
    with pytest.raises(RingError, match="No such file"):
        ring_of(bao.settings("strict", login=VaultLogin(token_file=tmp_path / "none")))


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_renewed_before_it_ends_and_replaced_where_it_cannot_be(bao: OpenBao) -> None:
    bao.new_key("renewed", "ed25519")
    path = bao.token_file("short-token", ttl="10m")
    keys = VaultKeys(bao.settings("renewed", login=VaultLogin(token_file=path)), overlap=OVERLAP)
    clock = _Clock()
    keys._login = LoggedIn(keys._client, VaultLogin(token_file=path), clock)
    key = keys.look(0).active
    clock.now = 500
    assert len(keys.sign(key, [b"a"])) == 1
    first = keys._client.token
    due = keys._login._renew_at
    assert due is not None
    assert due > 800  # renewed at 500, for ten minutes more
    bao.asked("POST", "auth/token/revoke", {"token": first})
    path.write_text(bao.token())
    clock.now = due
    assert len(keys.sign(key, [b"a"])) == 1
    assert keys._client.token != first


# What no Vault says, a lying server does.
PUBLIC = ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
RAW = b64encode(PUBLIC.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
GOOD = {
    "keys": {"1": {"creation_time": "2026-01-02T03:04:05.678901234Z", "public_key": RAW}},
    "min_decryption_version": 1,
    "min_encryption_version": 0,
}
Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]


class serving:  # noqa: N801 - a context manager
    def __init__(self, answer: Answer) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                status, content = answer(self.path, body)
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_PUT = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def signed(body: dict[str, Any], version: int = 1) -> dict[str, Any]:
    results = [
        {"signature": f"vault:v{version}:{b64encode(PUBLIC.sign(b64decode(item['input']))).decode()}"}
        for item in body["batch_input"]
    ]
    return {"data": {"batch_results": results}}


def lying(tmp_path: Path, answer: Answer) -> Any:
    (tmp_path / "token").write_text("t")

    def all_of_it(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("lookup-self"):
            return 200, {"data": {"ttl": 0}}
        return answer(path, body)

    return serving(all_of_it)


def settings_for(url: str, tmp_path: Path) -> Vault:
    return Vault(address=url, key="k", login=VaultLogin(token_file=tmp_path / "token"), timeout="20s")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "match"),
    [
        (lambda body: signed(body, version=2), "no signature of version 1"),
        (lambda body: {"data": {"batch_results": [{"error": "no"}]}}, "no signature of version 1"),
        (lambda body: {"data": {"batch_results": [{"signature": "vault:v1:%%%"}]}}, "a signature that is none"),
        (lambda body: {"data": {"batch_results": [{"signature": "vault:v1:"}]}}, "a signature that is none"),
        (lambda body: {"data": {"batch_results": []}}, "another number"),
        (lambda body: {"data": {"batch_results": [None]}}, "no signature of version 1"),
        (lambda body: {"data": None}, "none of Vault's"),
        (lambda body: b"<html>", "none of Vault's"),
    ],
)
def test_a_signature_of_another_version_or_form_is_none(tmp_path: Path, said: Any, match: str) -> None:
    is_lying = False

    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        return (200, {"data": GOOD}) if "/keys/" in path else (200, said(body) if is_lying else signed(body))

    with lying(tmp_path, answer) as url:
        keys = VaultKeys(settings_for(url, tmp_path), overlap=OVERLAP)
        key = keys.look(0).active
        keys.sign(key, [b"m"])
        is_lying = True
        with pytest.raises(SigningError, match=match):
            keys.sign(key, [b"m"])


@pytest.mark.parametrize(
    "described",
    [
        {},
        GOOD | {"keys": {}},
        GOOD | {"keys": {"1": 1_700_000_000}},
        GOOD | {"keys": {"one": GOOD["keys"]}},
        GOOD | {"keys": {"1": {"creation_time": "yesterday", "public_key": RAW}}},
        GOOD | {"keys": {"1": {"creation_time": "2026-01-02T03:04:05Z", "public_key": "AAAA"}}},
        GOOD | {"keys": {"1": {"creation_time": "2026-01-02T03:04:05Z", "public_key": "-----BEGIN"}}},
        GOOD | {"min_encryption_version": 7},
        GOOD | {"min_decryption_version": "x"},
        GOOD | {"min_decryption_version": 9},
    ],
)
def test_a_description_that_is_none_opens_no_ring(tmp_path: Path, described: Any) -> None:
    with lying(tmp_path, lambda path, body: (200, {"data": described})) as url, pytest.raises(RingError, match="vault"):
        ring_of(settings_for(url, tmp_path), clock=FakeClock())


def test_a_redirect_takes_the_token_nowhere(tmp_path: Path) -> None:
    with lying(tmp_path, lambda path, body: (307, {})) as url, pytest.raises(RingError, match="none of Vault's"):
        ring_of(settings_for(url, tmp_path))


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_moment_of_weakness_is_tried_twice_and_no_oftener(tmp_path: Path, status: int) -> None:
    asked: list[str] = []

    def answer(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        asked.append(path)
        return (status, {"errors": []}) if len(asked) == 1 else (200, {"data": GOOD})

    with lying(tmp_path, answer) as url:
        assert VaultKeys(settings_for(url, tmp_path), overlap=OVERLAP).look(0).active.reference == "1"
    assert len(asked) == 2
    asked.clear()

    def weak(path: str, body: dict[str, Any]) -> tuple[int, Any]:
        asked.append(path)
        return status, {"errors": ["told to nobody"]}

    with lying(tmp_path, weak) as url, pytest.raises(SigningError) as caught:
        VaultKeys(settings_for(url, tmp_path), overlap=OVERLAP).look(0)
    assert len(asked) == 2
    assert "told to nobody" not in str(caught.value)
