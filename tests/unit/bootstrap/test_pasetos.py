"""Issuers that are trusted for PASETO: apart from those of JWS, followed like them, and not without the extra."""

import sys
from pathlib import Path

import pytest

from ott_extauthz.authn.keys import Ed25519Key
from ott_extauthz.authn.paseto import PasetoUnavailableError, require_pyseto
from ott_extauthz.bootstrap.client_set import read_clients
from ott_extauthz.bootstrap.credentials import credentials_from
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.introspection import Introspectors
from ott_extauthz.bootstrap.reloading import sources_of
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.settings import Settings, load
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer
from tests.fakes.pasetos import PasetoIssuer
from tests.unit.bootstrap.test_reloading import POLICY, Results

FIRST, SECOND = PasetoIssuer(kid="p1", seed=b"\7" * 32), PasetoIssuer(kid="p2", seed=b"\x08" * 32)


def settings_in(folder: Path) -> Settings:
    (folder / "jwks.json").write_bytes(FakeIssuer().jwks())
    (folder / "pasetos.json").write_bytes(FIRST.claimed.jwks())
    (folder / "policy.yaml").write_text(POLICY.format(number=1, more=""))
    (folder / "ott.yaml").write_text(
        "policy: policy.yaml\ntrust:\n"
        f"  - {{issuer: {ISSUER}, jwks: jwks.json, algorithms: [EdDSA]}}\n"
        f"  - {{issuer: {ISSUER}, jwks: pasetos.json, algorithms: [EdDSA], format: paseto}}\n"
    )
    return load(folder / "ott.yaml", {})


def test_each_format_has_its_own_keys_and_both_are_followed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    inputs = check_inputs(settings, "ott.yaml")
    sources = sources_of(settings, inputs, clock=FakeClock(), listener=Results(), on_fault=pytest.fail)
    credential = credentials_from(settings, sources, Introspectors()).of[CredentialKind.ONE_TIME_TOKEN]
    assert isinstance(credential, TokenCredential)

    def judged(token: str) -> Reason | None:
        found = credential.verify(token, audience=AUDIENCE, now_ms=NOW_MS)
        assert isinstance(found, VerifiedToken | Rejection)
        return found.reason if isinstance(found, Rejection) else None

    assert judged(FIRST.token()) is None
    assert judged(FakeIssuer().token()) is None
    assert judged(PasetoIssuer().token()) is Reason.TOKEN_KEY_UNKNOWN
    assert judged(SECOND.token()) is Reason.TOKEN_KEY_UNKNOWN

    (tmp_path / "pasetos.json").write_bytes(SECOND.claimed.jwks())
    assert [source.reload() for source in sources.key_sets] == [True, True]
    assert judged(SECOND.token()) is None
    assert judged(FIRST.token()) is Reason.TOKEN_KEY_UNKNOWN
    assert judged(FakeIssuer().token()) is None


SHARED = FakeIssuer(kid="jws-1", seed=b"\x08" * 32)
"""The key of SECOND under another name, and in another file."""


def test_one_key_in_two_files_is_for_no_two_formats(tmp_path: Path) -> None:
    """Algorithm lucidity: whoever holds a key of one format would make tokens of the other with it."""
    settings = settings_in(tmp_path)
    (tmp_path / "jwks.json").write_bytes(SHARED.jwks())
    check_inputs(settings, "ott.yaml")
    (tmp_path / "pasetos.json").write_bytes(SECOND.claimed.jwks())
    with pytest.raises(DocumentError, match=r"trust: the key 'p2' is trusted for the other format, too, of https://"):
        check_inputs(settings, "ott.yaml")


@pytest.mark.parametrize("late", ["jwks.json", "pasetos.json"])
def test_a_key_of_one_format_is_not_taken_for_the_other_while_we_serve(tmp_path: Path, late: str) -> None:
    settings = settings_in(tmp_path)
    files = {"jwks.json": SHARED.jwks(), "pasetos.json": SECOND.claimed.jwks()}
    [early] = files.keys() - {late}
    (tmp_path / early).write_bytes(files[early])
    listener = Results()
    inputs = check_inputs(settings, "ott.yaml")
    sources = sources_of(settings, inputs, clock=FakeClock(), listener=listener, on_fault=pytest.fail)
    (tmp_path / late).write_bytes(files[late])
    for source in sources.key_sets:
        source.reload()
    [failure] = [source.in_force.failure for source in sources.key_sets if source.in_force.failure is not None]
    assert "is trusted for the other format, too" in str(failure.problems[0])
    in_force = {bytes(key.key) for trust in (sources.trust, sources.paseto_trust) for each in trust.values()
                for key in each.keys.values() if isinstance(key, Ed25519Key)}  # fmt: skip
    assert len(in_force) == 2


def test_a_key_set_that_is_fetched_is_held_to_one_format_as_well(tmp_path: Path) -> None:
    settings_in(tmp_path)
    (tmp_path / "jwks.json").write_bytes(SHARED.jwks())
    yaml = (tmp_path / "ott.yaml").read_text().replace("pasetos.json", "https://issuer.bank.example/pasetos")
    (tmp_path / "ott.yaml").write_text(yaml)
    settings = load(tmp_path / "ott.yaml", {})
    inputs = check_inputs(settings, "ott.yaml")
    sources = sources_of(settings, inputs, clock=FakeClock(), listener=Results(), on_fault=pytest.fail)
    [followed] = sources.followed
    assert list(followed._judge(FIRST.trusted())) == []
    [problem] = followed._judge(SECOND.trusted())
    assert "the key 'p2' is trusted for the other format" in problem


@pytest.mark.parametrize("is_paseto_fetched", [False, True], ids=["file", "url"])
def test_an_issuer_that_publishes_anothers_next_key_keeps_nobody_from_rotating(
    tmp_path: Path, *, is_paseto_fetched: bool
) -> None:
    """Public keys are public: a partner would hold another issuer's rotation up by showing its key as its own."""
    settings_in(tmp_path)
    yaml = (tmp_path / "ott.yaml").read_text()
    yaml = yaml.replace(
        f"{{issuer: {ISSUER}, jwks: jwks.json", "{issuer: https://partner.example, jwks: https://partner.example/jwks"
    )
    if is_paseto_fetched:
        yaml = yaml.replace("pasetos.json", "https://issuer.bank.example/pasetos")
    (tmp_path / "ott.yaml").write_text(yaml)
    settings = load(tmp_path / "ott.yaml", {})
    inputs = check_inputs(settings, "ott.yaml")
    clock = FakeClock()
    sources = sources_of(settings, inputs, clock=clock, listener=Results(), on_fault=pytest.fail)
    partner, *others = sources.followed
    partner.keys.put(SHARED.trusted().keys)
    partner._schedule.confirmed(clock.monotonic(), 60.0)
    if is_paseto_fetched:
        assert list(others[0]._judge(SECOND.trusted())) == []
    else:
        (tmp_path / "pasetos.json").write_bytes(SECOND.claimed.jwks())
        assert [source.reload() for source in sources.key_sets] == [True]
        assert sources.key_sets[0].in_force.failure is None
        assert list(partner._judge(SHARED.trusted())) != []


def test_without_the_extra_a_server_that_trusts_for_paseto_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    monkeypatch.setitem(sys.modules, "pyseto", None)
    with pytest.raises(PasetoUnavailableError):
        require_pyseto()
    with pytest.raises(DocumentError, match=r"trust: format: paseto needs the package pyseto: install ott"):
        check_inputs(settings, "ott.yaml")


ISSUER_YAML = """
issuer:
  url: https://issuer.bank.example
  clients: clients.yaml
  rings: {pasetos: keys-pasetos}
  tls: {certificate: a.pem, key: b.pem, client_ca: ca.pem}
"""
CLIENTS = """
clients:
  - client_id: rgs
    authentication: tls_client_auth
    certificate: {dns: rgs.bank.example}
    audiences:
      wallet.api: {scopes: [a], ring: pasetos, format: paseto}
"""


def told_of(folder: Path, more: str = "") -> list[str]:
    (folder / "ott.yaml").write_text(ISSUER_YAML + more)
    (folder / "clients.yaml").write_text(CLIENTS)
    issuer = load(folder / "ott.yaml", {}).issuer
    assert issuer is not None
    problems: list[Problem] = []
    read_clients(issuer, "ott.yaml", problems)
    return [str(problem) for problem in problems]


def test_an_issuer_that_mints_pasetos_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told_of(tmp_path) == []
    monkeypatch.setitem(sys.modules, "pyseto", None)
    [problem] = told_of(tmp_path)
    assert "paseto needs the package pyseto" in problem


def test_an_audience_with_pasetos_is_not_encrypted(tmp_path: Path) -> None:
    [problem] = told_of(tmp_path, "  encryption: {wallet.api: enc.json}\n")
    assert "issuer.encryption.wallet.api: a JWE holds a JWT" in problem
