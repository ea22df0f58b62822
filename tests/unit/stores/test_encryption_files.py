import json
from pathlib import Path

import pytest

from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.sealing import Sealer, encryption_key_from
from ott_extauthz.stores.encryption_files import PUBLIC_FILE, init_encryption, load_decryption


def sealed_with(public: Path) -> str:
    return Sealer({"a": encryption_key_from(public.read_bytes())}).seal("a", "x.y.z")


def problem_of(folder: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        load_decryption(folder)
    return str(caught.value)


def test_a_new_key_is_sealed_with_and_the_old_one_still_opens(tmp_path: Path) -> None:
    folder = tmp_path / "decryption"
    first, public = init_encryption(folder, "P-256")
    before = sealed_with(public)
    second, _ = init_encryption(folder, "X25519")
    third, _ = init_encryption(folder, "X25519")
    published = json.loads(public.read_text())["keys"]
    assert [entry["kid"] for entry in published] == [third, second, first]
    assert encryption_key_from(public.read_bytes()).kid == third
    assert all("d" not in entry and entry["use"] == "enc" for entry in published)
    keys = load_decryption(folder)
    for text in (before, sealed_with(public)):
        assert plain_from(text, keys, is_demanded=True) == "x.y.z"


def test_private_keys_are_their_owners_alone(tmp_path: Path) -> None:
    kid, _ = init_encryption(tmp_path, "P-256")
    path = tmp_path / f"encryption-{kid}.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / PUBLIC_FILE).stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    assert "0640" in problem_of(tmp_path)


def test_a_lost_key_set_is_made_anew_from_the_private_keys(tmp_path: Path) -> None:
    first, public = init_encryption(tmp_path, "P-256")
    public.write_text("{")
    second, _ = init_encryption(tmp_path, "P-256")
    assert [entry["kid"] for entry in json.loads(public.read_text())["keys"]] == [second, first]


def test_a_folder_without_keys_opens_nothing_and_says_so(tmp_path: Path) -> None:
    assert "init-encryption" in problem_of(tmp_path)
    assert "init-encryption" in problem_of(tmp_path / "nowhere")


def test_every_bad_file_is_told_and_none_is_quoted(tmp_path: Path) -> None:
    kid, _ = init_encryption(tmp_path, "P-256")
    (tmp_path / "copy.pem").write_bytes((tmp_path / f"encryption-{kid}.pem").read_bytes())
    (tmp_path / "z.jwk").write_text('{"kty": "oct", "k": "c2VjcmV0"}')
    (tmp_path / "folder.pem").mkdir()
    for name in ("copy.pem", "z.jwk"):
        (tmp_path / name).chmod(0o600)
    told = problem_of(tmp_path)
    assert "another file has a key with this kid" in told
    assert "z.jwk" in told
    assert "folder.pem" in told
    assert "c2VjcmV0" not in told
