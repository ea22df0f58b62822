import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ott_extauthz.sections.store import Store
from ott_extauthz.stores.tls import store_context
from tests.fakes.certificates import Authority, Leaf

HOST = "store.internal"


@pytest.fixture
def authority() -> Authority:
    return Authority("store root")


def settings(folder: Path, authority: Authority) -> Store:
    ca = folder / "ca.pem"
    ca.write_bytes(authority.pem)
    return Store(url=f"rediss://{HOST}", ca=ca)


def greet(client: ssl.SSLContext, server: Leaf, folder: Path) -> None:
    """Shake hands in memory; raises what the client makes of the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server.write(folder, "server"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    there = context.wrap_bio(to_server, to_client, server_side=True)
    for side in (here, there, here):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_a_certificate_of_the_authority_for_this_name_is_believed(tmp_path: Path, authority: Authority) -> None:
    greet(store_context(settings(tmp_path, authority)), authority.leaf(dns=(HOST,)), tmp_path)


def test_a_forgers_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(store_context(settings(tmp_path, authority)), Authority("store root").leaf(dns=(HOST,)), tmp_path)


def test_another_hosts_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        greet(store_context(settings(tmp_path, authority)), authority.leaf(dns=("other.internal",)), tmp_path)


def test_a_certificate_without_key_identifiers_is_refused_on_every_python(tmp_path: Path, authority: Authority) -> None:
    bare = authority.leaf(dns=(HOST,), key_identifiers=False)
    with pytest.raises(ssl.SSLCertVerificationError, match="Authority Key Identifier"):
        greet(store_context(settings(tmp_path, authority)), bare, tmp_path)


def test_an_authority_that_another_one_signed_is_enough_on_every_python(tmp_path: Path, authority: Authority) -> None:
    department = Authority("store department", signed_by=authority)
    greet(store_context(settings(tmp_path, department)), department.leaf(dns=(HOST,)), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(store_context(settings(tmp_path, department)), authority.leaf(dns=(HOST,)), tmp_path)


def test_an_encrypted_key_is_refused_and_no_password_asked_for(
    tmp_path: Path, authority: Authority, capfd: pytest.CaptureFixture[str]
) -> None:
    leaf = authority.leaf()
    certificate, key = leaf.write(tmp_path, "client")
    key.write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    shown = settings(tmp_path, authority).model_copy(update={"certificate": certificate, "key": key})
    with pytest.raises(ssl.SSLError):
        store_context(shown)
    assert capfd.readouterr() == ("", "")
