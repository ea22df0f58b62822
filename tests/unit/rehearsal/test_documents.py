"""The manual's example is one that works."""

import asyncio

from ott_extauthz.policy.document import policy_from
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.rehearsal.judging import verdict
from ott_extauthz.rehearsal.stage import rehearse
from tests.architecture.documents import DOCS, README, blocks


def test_the_manuals_cases_pass_under_the_readmes_policy() -> None:
    (cases,) = blocks(DOCS / "policy-tests.md", "yaml")
    _, text = blocks(README, "yaml")
    policy = policy_from(text, "policy.yaml")
    suite, _ = suite_from(cases, "cases.yaml")
    for case in suite.cases:
        assert verdict(case, asyncio.run(rehearse(case, suite, policy))).differences == ()
