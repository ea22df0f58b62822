"""The manual's example is one that works."""

import asyncio
import re
from pathlib import Path

from ott_extauthz.policy.document import policy_from
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.rehearsal.judging import verdict
from ott_extauthz.rehearsal.stage import rehearse
from tests.architecture.test_documents_are_true import README

MANUAL = Path(__file__).parents[3] / "docs" / "policy-tests.md"


def test_the_manuals_cases_pass_under_the_readmes_policy() -> None:
    (cases,) = re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    text = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if block.startswith("revision"))
    policy = policy_from(text.replace("    max_auth_age: 5m", "    #"), "policy.yaml")
    suite, _ = suite_from(cases, "cases.yaml")
    for case in suite.cases:
        assert verdict(case, asyncio.run(rehearse(case, suite, policy))).differences == ()
