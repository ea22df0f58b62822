"""Can a report be read by whatever reads it, whatever a case is called and whatever was seen?"""

import asyncio
from xml.etree import ElementTree as ET

from ott_extauthz.policy.document import policy_from
from ott_extauthz.rehearsal.cases import suite_from
from ott_extauthz.rehearsal.judging import verdict
from ott_extauthz.rehearsal.reports import junit_of, text_of
from ott_extauthz.rehearsal.stage import rehearse
from tests.unit.rehearsal.test_explaining import GOOD, POLICY


def test_control_characters_reach_neither_a_terminal_nor_xml() -> None:
    suite, _ = suite_from(
        GOOD + r'  - {name: "a\e[2J\0", expect: {code: OK, headers: {x: "\e[2J\0"}}}' + "\n", "c.yaml"
    )
    judged = [verdict(suite.cases[0], asyncio.run(rehearse(suite.cases[0], suite, policy_from(POLICY, "p"))))]
    assert not {"\x1b", "\0"} & set(text_of("c\x1b.yaml", judged))
    found = ET.fromstring(junit_of([("c\x1b.yaml", judged)])).find("testsuite/testcase/failure")  # noqa: S314 - our own
    assert found is not None
    assert found.text is not None
