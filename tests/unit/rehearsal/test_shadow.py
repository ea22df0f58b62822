"""Is a route in shadow held to what it would have answered?  Whatever it says, the request goes on."""

import asyncio

import pytest

from ott_extauthz.rehearsal.explaining import as_text, explained
from ott_extauthz.rehearsal.judging import verdict
from ott_extauthz.rehearsal.stage import rehearse
from tests.unit.rehearsal.test_explaining import POLICY, about

SHADOW = POLICY.replace("  - name: debit\n", "  - name: debit\n    mode: shadow\n")
JACKPOT = "token: {claims: {client_id: jackpot}}"


def differences(case: str, policy: str = SHADOW) -> list[tuple[str, str | None, str | None]]:
    suite, compiled = about(case, policy)
    judged = verdict(suite.cases[0], asyncio.run(rehearse(suite.cases[0], suite, compiled)))
    return [(each.what, each.expected, each.seen) for each in judged.differences]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (f"{{{JACKPOT}, expect: {{code: OK}}}}", [("would_be", "OK", "client_denied")]),
        (f"{{{JACKPOT}, expect: {{would_be: OK}}}}", [("would_be", "OK", "client_denied")]),
        (f"{{{JACKPOT}, expect: {{would_be: client_denied}}}}", []),
        (f"{{{JACKPOT}, expect: {{would_be: CONSTRAINT_DENIED}}}}", []),
        (f"{{{JACKPOT}, expect: {{would_be: AUTH_FAILED}}}}", [("would_be", "AUTH_FAILED", "CONSTRAINT_DENIED")]),
        ("{expect: {code: OK}}", []),
        ("{expect: {would_be: client_denied}}", [("would_be", "client_denied", "OK")]),
        (
            f"{{{JACKPOT}, expect: {{reason: client_denied, would_be: client_denied}}}}",
            [("reason", "client_denied", None)],
        ),
    ],
)  # fmt: skip
def test_a_route_in_shadow_is_held_to_what_it_would_answer(case: str, told: list[tuple[str, str, str]]) -> None:
    assert differences(case) == told


def test_an_enforced_route_would_be_nothing() -> None:
    assert differences("{expect: {would_be: OK}}", POLICY) == [("would_be", "OK", None)]
    enforced = f"{{{JACKPOT}, request: {{extensions: {{ott.mode: enforce}}}}, expect: {{reason: client_denied}}}}"
    assert differences(enforced) == []


def test_an_explanation_says_what_a_route_in_shadow_would_refuse() -> None:
    suite, policy = about(JACKPOT, SHADOW)
    found = explained(asyncio.run(rehearse(suite.cases[0], suite, policy)))
    assert (found.outcome, found.would_be) == ("allow", "client_denied")
    verdicts = {seen.step.value: seen.verdict for seen in found.steps}
    assert verdicts["authorize"] == "WOULD REFUSE: client_denied"
    assert verdicts["spend"] == "left out: the route is in shadow"
    assert found.steps[-1].saw["headers removed"]
    assert "in shadow; enforced it would refuse (client_denied)" in as_text(found)


def test_an_explanation_says_what_a_route_in_shadow_would_let_through() -> None:
    suite, policy = about("store: spent", SHADOW)
    found = explained(asyncio.run(rehearse(suite.cases[0], suite, policy)))
    assert (found.outcome, found.would_be, {seen.verdict for seen in found.steps[:6]}) == ("allow", "allow", {"ok"})
