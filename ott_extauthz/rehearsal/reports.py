"""How are verdicts shown?  For a terminal, as JSON, and as JUnit's XML for whatever runs the pipeline."""

import json
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

from ott_extauthz.rehearsal.explaining import as_text, explained
from ott_extauthz.rehearsal.judging import Verdict
from ott_extauthz.rehearsal.shown import plain


def text_of(source: str, verdicts: Sequence[Verdict]) -> str:
    """Return a line for each case, and for each that failed what was expected, what was seen, and the steps."""
    lines = []
    for verdict in verdicts:
        lines.append(f"{'FAIL' if verdict.differences else 'ok  '} {plain(verdict.case.name)}")
        if verdict.differences:
            lines += [f"     {line}" for line in _diff(verdict)]
            lines += [f"       {line}" for line in as_text(explained(verdict.rehearsed)).splitlines()]
    failed = sum(bool(verdict.differences) for verdict in verdicts)
    lines.append(f"{plain(source)}: {len(verdicts)} cases, {failed} failed")
    return "\n".join(lines)


def _diff(verdict: Verdict) -> list[str]:
    lines = []
    for difference in verdict.differences:
        what = plain(difference.what)
        lines.append(f"- {what}: {plain(difference.expected)}")
        lines.append(f"+ {what}: {plain(difference.seen)}")
    return lines


def data_of(source: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "file": source,
        "cases": [
            {
                "name": verdict.case.name,
                "passed": not verdict.differences,
                "differences": [
                    {"what": each.what, "expected": each.expected, "seen": each.seen} for each in verdict.differences
                ],
            }
            for verdict in verdicts
        ],
    }


def junit_of(suites: Sequence[tuple[str, Sequence[Verdict]]]) -> str:
    """Return JUnit's XML."""
    root = ET.Element("testsuites")
    for source, verdicts in suites:
        failed = sum(bool(verdict.differences) for verdict in verdicts)
        suite = ET.SubElement(root, "testsuite", name=plain(source), tests=str(len(verdicts)), failures=str(failed))
        for verdict in verdicts:
            case = ET.SubElement(suite, "testcase", classname=plain(source), name=plain(verdict.case.name))
            if verdict.differences:
                failure = ET.SubElement(case, "failure", message=plain("; ".join(d.what for d in verdict.differences)))
                failure.text = json.dumps(_diff(verdict), indent=1)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
