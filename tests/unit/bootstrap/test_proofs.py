"""From ``dpop`` in ott.yaml to what judges proofs: every setting arrives, and a secret that is none stops the start."""

from pathlib import Path

import pytest

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.proofs import possession_from
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.sections.proofs import CheckDpop
from ott_extauthz.settings import load
from tests.fakes.issuer import FakeIssuer

SETTINGS = """
policy: policy.yaml
trust: [{issuer: https://issuer.bank.example, jwks: jwks.json, algorithms: [EdDSA]}]
dpop: {nonce: required, nonce_secret: nonces, nonce_life: 30s}
"""
POLICY = "revision: r1\nroutes: [{name: health, match: {path: /healthz}, credential: public}]\n"
SECRET = "5" * 64
NOW_MS = 1_795_000_000_000


def written(folder: Path, secret: str | None, mode: int = 0o600) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "jwks.json").write_bytes(FakeIssuer().jwks())
    (folder / "ott.yaml").write_text(SETTINGS)
    if secret is not None:
        (folder / "nonces").write_text(secret)
        (folder / "nonces").chmod(mode)
    return folder / "ott.yaml"


def test_every_setting_arrives() -> None:
    given = possession_from(CheckDpop.model_validate({"max_age": "30s", "lead": "2s", "scheme": "http"}), None)
    assert (given.verifier.max_age_ms, given.verifier.lead_ms, given.verifier.nonces) == (30_000, 2_000, None)
    assert given.scheme == "http"
    assert possession_from(CheckDpop(), None).scheme == "https"
    assert possession_from(CheckDpop(scheme="request"), None).scheme is None


def test_servers_that_share_a_secret_take_each_others_nonces_and_others_do_not(tmp_path: Path) -> None:
    settings = load(written(tmp_path, SECRET + "\n"), {})
    secret = check_inputs(settings, "ott.yaml").nonce_secret
    assert secret == SECRET.encode()
    assert SECRET not in repr(check_inputs(settings, "ott.yaml"))
    one, two = (possession_from(settings.dpop, secret).verifier.nonces for _ in range(2))
    other = possession_from(settings.dpop, b"6" * 64).verifier.nonces
    assert one is not None
    assert two is not None
    assert other is not None
    nonce = one.current(NOW_MS)
    assert two.accepts(nonce, NOW_MS + 30_000)
    assert not two.accepts(nonce, NOW_MS + 60_000)
    assert not other.accepts(nonce, NOW_MS)


@pytest.mark.parametrize(
    ("secret", "mode", "problem"),
    [("5" * 31, 0o600, "shorter than 32 bytes"), (SECRET, 0o644, "readable by all"), (None, 0, "cannot be read")],
)
def test_a_secret_that_is_none_keeps_the_server_from_starting(
    tmp_path: Path, secret: str | None, mode: int, problem: str
) -> None:
    with pytest.raises(DocumentError, match=problem) as caught:
        check_inputs(load(written(tmp_path, secret, mode), {}), "ott.yaml")
    assert "5" * 31 not in str(caught.value)
