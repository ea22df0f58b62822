"""An issuer over HTTPS whose keys live in a real OpenBao."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.documents.problems import DocumentError
from tests.fakes.issuing import SetClock
from tests.issuer_bank import RGS, Bank, build_issuer
from tests.open_bao import OpenBao, running_bao


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_bao(tmp_path_factory.mktemp("bao")) as found:
        found.new_key("issuer", "ed25519")
        yield found


def bank_of(folder: Path, bao: OpenBao, key: str = "issuer") -> Bank:
    bank = Bank(folder).prepare()
    (folder / "token").write_text(bao.token())
    vault = f"{{vault: {{address: '{bao.address}', key: {key}, login: {{token_file: token}}}}}}"
    path = folder / "ott.yaml"
    path.write_text(path.read_text().replace("issuer: {", f"issuer: {{keys: {vault}, "))
    return bank


async def test_a_token_is_signed_elsewhere_and_its_key_is_published(tmp_path: Path, bao: OpenBao) -> None:
    bank = bank_of(tmp_path, bao)
    leaf = bank.authority.leaf("rgs", uris=(RGS,))
    async with bank.open():
        token = (await bank.token(leaf)).json["access_token"]
        published = (await bank.request("GET", "/jwks", None)).body
        head, signature = token.rsplit(".", 1)
        header = json.loads(base64.urlsafe_b64decode(head.split(".")[0] + "=="))
        raw = base64.urlsafe_b64decode(signature + "==")
        assert keys_from(published)[header["kid"]].verifies("EdDSA", head.encode(), raw)
        bao.asked("POST", "auth/token/revoke", {"token": (tmp_path / "token").read_text()})
        refused = await bank.token(leaf)
    assert refused.error == (503, "temporarily_unavailable")
    assert refused.headers["Retry-After"] == "1"


def test_a_key_that_is_not_there_keeps_the_issuer_from_starting(tmp_path: Path, bao: OpenBao) -> None:
    bank = bank_of(tmp_path, bao, key="nowhere")
    with pytest.raises(DocumentError, match=r"issuer\.keys: vault transit/nowhere"):
        build_issuer(bank.settings, clock=SetClock(), entropy=bytes, observer=bank.observer)
