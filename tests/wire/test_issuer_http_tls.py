"""The issuer's TLS: certificates that are renewed, taken away, or cannot be used."""

import asyncio
import secrets
import ssl
from pathlib import Path

import aiohttp
import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import load
from ott_extauthz.wire.issuer_tls import RotatingContext, TlsFilesError
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuing import Remembering, SetClock
from tests.issuer_bank import Bank, build_issuer


async def served_certificate(bank: Bank, leaf: Leaf | None = None) -> bytes | None:
    _, writer = await asyncio.open_connection("127.0.0.1", bank.port, ssl=bank.context(leaf))
    certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return certificate


async def test_a_renewed_server_certificate_serves_the_next_connection(bank: Bank, authority: Authority) -> None:
    renewed = authority.leaf("issuer", ips=("127.0.0.1",))
    assert await served_certificate(bank) != renewed.der
    renewed.write(bank.folder, "server")
    assert await served_certificate(bank) == renewed.der


async def test_an_authority_taken_out_of_the_file_is_trusted_no_more(bank: Bank, rgs: Leaf) -> None:
    assert (await bank.token(rgs)).status == 200
    (bank.folder / "ca.pem").write_bytes(Authority("successor").pem)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await bank.token(rgs)


async def test_a_rotation_caught_halfway_keeps_the_pair_that_works(bank: Bank, authority: Authority, rgs: Leaf) -> None:
    before, renewed = await served_certificate(bank), authority.leaf("issuer", ips=("127.0.0.1",))
    bank.tls.certificate.write_bytes(renewed.pem)
    assert await served_certificate(bank) == before
    assert (await bank.token(rgs)).status == 200
    assert bank.observer.faults == ["TlsFilesError"]
    bank.tls.key.write_bytes(renewed.key_pem)
    assert await served_certificate(bank) == renewed.der


async def test_tls_below_1_2_and_tickets_are_off(bank: Bank) -> None:
    context = RotatingContext(bank.tls, on_fault=bank.observer.faulted)._current
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.num_tickets == 0
    assert ssl.OP_NO_TICKET in context.options
    assert context.verify_mode is ssl.CERT_OPTIONAL


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem", "ca.pem"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
async def test_tls_files_that_cannot_be_used_are_named(bank: Bank, name: str, content: bytes | None) -> None:
    path = bank.folder / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(TlsFilesError, match=str(path)):
        RotatingContext(bank.tls, on_fault=bank.observer.faulted)


async def test_everything_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ott.yaml").write_text("issuer: {url: 'https://issuer.bank.example'}\n")
    with pytest.raises(DocumentError) as caught:
        build_issuer(
            load(tmp_path / "ott.yaml", {}),
            clock=SetClock(),
            entropy=secrets.token_bytes,
            observer=Remembering(),
            source="ott.yaml",
        )
    said = str(caught.value)
    assert [
        part
        for part in ("ott.yaml: issuer.tls: required", "clients.yaml: cannot be", "ring.json: is missing")
        if part not in said
    ] == []
