"""API keys from the file to the desk: what the start refuses, and what a change does while serving."""

from pathlib import Path

import pytest

from ott_extauthz.authn.api_key_entry import KeyEntry, instant_text
from ott_extauthz.bootstrap.credentials import credentials_from
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.introspection import Introspectors
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.check.credentials.credential import Verified
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.document import policy_from
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.reload.source import Kind
from ott_extauthz.settings import Settings, load
from ott_extauthz.stores.api_key_file import ApiKeyFile
from tests.fakes.api_keys import DAY_MS, made
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk
from tests.fakes.issuer import NOW_MS
from tests.unit.bootstrap.test_reloading import Results

POLICY = """revision: r1
routes:
  - {name: erp, match: {methods: [POST], path: /erp}, credential: api_key}
"""
KEY = made()


@pytest.fixture
def place(tmp_path: Path) -> ApiKeyFile:
    found = ApiKeyFile(tmp_path / "api-keys.yaml")
    found.add(
        KeyEntry(
            id=KEY.id, sha256=KEY.digest.hex(), client_id="rgs",
            created=instant_text(NOW_MS), expires=instant_text(NOW_MS + 90 * DAY_MS),
        )
    )  # fmt: skip
    return found


def settings(folder: Path, text: str = "api_keys: {file: api-keys.yaml}\n") -> Settings:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "ott.yaml").write_text(f"policy: policy.yaml\n{text}")
    return load(folder / "ott.yaml", {})


def started(read: Settings) -> Sources:
    inputs = check_inputs(read, "ott.yaml")
    return sources_of(read, inputs, clock=FakeClock(), listener=Results(), on_fault=pytest.fail)


def asked(read: Settings, sources: Sources) -> Verified | Reason:
    """Ask the credential that the server would have."""
    desk = Desk(policy=POLICY)
    attempt = desk.checker.begin()
    attempt.route = policy_from(POLICY, "").table.routes[0]
    credential = credentials_from(read, sources, Introspectors()).of[CredentialKind.API_KEY]
    found = credential.verified(attempt.route.asks, desk.facts(("x-api-key", KEY.text), path="/erp"), attempt)
    assert isinstance(found, Verified | Rejection)
    return found.reason if isinstance(found, Rejection) else found


def test_a_server_that_asks_for_keys_alone_needs_no_trusted_issuer(tmp_path: Path, place: ApiKeyFile) -> None:
    del place
    read = settings(tmp_path)
    found = asked(read, started(read))
    assert isinstance(found, Verified)
    assert found.token.client_id == "rgs"


def test_a_key_that_is_ended_while_we_serve_is_refused_after_the_next_look(tmp_path: Path, place: ApiKeyFile) -> None:
    read = settings(tmp_path)
    sources = started(read)
    source = sources.api_keys
    assert source is not None
    assert source in sources.in_files()
    assert source.kind is Kind.API_KEYS
    place.end(KEY.id, NOW_MS)
    for _ in range(2):
        source.poll()
    assert asked(read, sources) is Reason.API_KEY_EXPIRED


@pytest.mark.parametrize("text", ["", "keys: []", "keys: [{id: x}]\n", "not yaml: [\n"])
def test_a_file_that_turns_bad_or_is_half_written_changes_nothing(tmp_path: Path, place: ApiKeyFile, text: str) -> None:
    read = settings(tmp_path)
    sources = started(read)
    assert sources.api_keys is not None
    place.path.write_text(text)
    for _ in range(3):
        sources.api_keys.poll()
    assert isinstance(asked(read, sources), Verified)


def test_keys_that_anybody_could_have_written_are_taken_neither_at_the_start_nor_later(
    tmp_path: Path, place: ApiKeyFile
) -> None:
    read = settings(tmp_path)
    sources = started(read)
    assert sources.api_keys is not None
    place.path.write_text("keys: []\n")
    place.path.chmod(0o666)
    assert sources.api_keys.reload()
    assert isinstance(asked(read, sources), Verified)
    with pytest.raises(DocumentError, match="everybody may write"):
        check_inputs(read, "ott.yaml")


def test_a_route_that_asks_for_a_key_needs_the_file(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"route erp: asks for an API key, and there could be none"):
        check_inputs(settings(tmp_path, ""), "ott.yaml")
    with pytest.raises(DocumentError, match=r"api-keys\.yaml: cannot be read"):
        check_inputs(settings(tmp_path), "ott.yaml")
