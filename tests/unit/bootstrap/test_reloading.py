"""A reload refuses what the start would refuse."""

from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.reloading import sources_of
from ott_extauthz.reload.source import InForce, Result, Shown
from ott_extauthz.settings import load
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import FakeIssuer

POLICY = """
revision: r{number}
routes:
  - name: pay
    match: {{path: /pay}}
    credential: one_time_token
    audience: wallet.api
{more}"""
NETWORKS = ["    constraints: {asn: [64500]}\n", "    when: request.source.asn == 64500\n"]


class Results:
    """Remembers how reloads ended."""

    def __init__(self) -> None:
        self.told: list[Result] = []

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        del source, before
        self.told.append(result)


@pytest.mark.parametrize("more", NETWORKS)
@pytest.mark.parametrize("name", ["policy", "shadow_policy"])
def test_a_policy_that_asks_for_networks_is_not_loaded_without_them(tmp_path: Path, name: str, more: str) -> None:
    (tmp_path / "jwks.json").write_bytes(FakeIssuer().jwks())
    for file in ("policy.yaml", "shadow_policy.yaml"):
        (tmp_path / file).write_text(POLICY.format(number=1, more=""))
    (tmp_path / "ott.yaml").write_text(
        "policy: policy.yaml\nshadow_policy: shadow_policy.yaml\n"
        "trust: [{issuer: https://i.example, jwks: jwks.json, algorithms: [EdDSA]}]\n"
    )
    settings, results = load(tmp_path / "ott.yaml", {}), Results()
    inputs = check_inputs(settings, "ott.yaml")
    sources = sources_of(settings, inputs, clock=FakeClock(), listener=results, on_fault=pytest.fail)
    source = sources.policy if name == "policy" else sources.shadow_policy
    assert source is not None

    (tmp_path / f"{name}.yaml").write_text(POLICY.format(number=2, more=more))
    assert source.reload()
    assert results.told == [Result.REFUSED]
    assert source.current().revision == "r1"
    assert source.in_force.failure is not None
    (problem,) = source.in_force.failure.problems
    assert "route pay: asks for the caller's network" in str(problem)

    (tmp_path / f"{name}.yaml").write_text(POLICY.format(number=3, more=""))
    assert source.reload()
    assert source.current().revision == "r3"
