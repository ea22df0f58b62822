"""The sections `api_keys` and `envoy_payload` of ott.yaml."""

from pathlib import Path

import pytest

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import Settings, load


def loaded(folder: Path, text: str) -> Settings:
    (folder / "ott.yaml").write_text(text)
    return load(folder / "ott.yaml", {})


def test_without_the_sections_there_are_no_keys_and_envoys_usual_place(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")
    assert settings.api_keys is None
    place = settings.envoy_payload
    assert (place.namespace, place.payload, place.header) == (
        "envoy.filters.http.jwt_authn", "ott_payload", "ott_header",
    )  # fmt: skip


def test_the_file_belongs_to_the_folder_of_the_configuration(tmp_path: Path) -> None:
    keys = loaded(tmp_path, "api_keys: {file: keys/api-keys.yaml}\n").api_keys
    assert keys is not None
    assert (keys.file, keys.prefix, keys.warn_before) == (tmp_path / "keys/api-keys.yaml", "ottkey", 30 * 86_400_000)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("api_keys: {}", "api_keys.file"),
        ("api_keys: {file: k, prefix: Acme}", "api_keys.prefix"),
        ("api_keys: {file: k, prefix: a_b}", "api_keys.prefix"),
        ('api_keys: {file: k, prefix: "ab\\n"}', "api_keys.prefix"),
        ("api_keys: {file: k, warn_before: 367d}", "api_keys.warn_before"),
        ("api_keys: {file: k, secret: s}", "api_keys.secret"),
        ("envoy_payload: {header: ''}", "envoy_payload.header"),
        ("envoy_payload: {namespace: 'a b'}", "envoy_payload.namespace"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(DocumentError) as caught:
        loaded(tmp_path, text + "\n")
    assert [problem.field for problem in caught.value.problems] == [field]
