"""How are findings shown?  For people, as JSON, and as SARIF 2.1.0 for whatever runs the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ott_extauthz.envoy_lint.finding import Finding, Place, Rule, Severity
from ott_extauthz.model.counting import counted

Ignored = Mapping[str, str]
"""The rules that the user does not want to hear of, each with the reason (empty where none was given)."""

_MOST_PLACES: Final = 3
SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def text_of(findings: Sequence[Finding], ignored: Ignored, documents: int) -> str:
    """Return a paragraph for each finding, and one line that sums up."""
    told = [each for each in findings if each.rule.name not in ignored]
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for each in told:
        alike.setdefault((each.rule.name, each.detail, each.place.document), []).append(each)
    lines = [line for group in alike.values() for line in (*_paragraph(group), "")]
    for name, reason in ignored.items():
        number = sum(each.rule.name == name for each in findings)
        lines.append(_plain(f"ignored: {name}, {counted(number, 'time')}" + (f": {reason}" if reason else "")))
    counts = [counted(sum(each.rule.severity is one for each in told), one.value) for one in Severity]
    return "\n".join([*lines, f"{counted(documents, 'document')}: {', '.join(counts)}"])


def _paragraph(group: Sequence[Finding]) -> list[str]:
    """Tell of one fault once, in however many chains of a mesh it stands."""
    found, *others = group
    rule = found.rule
    head = f"{found.place}: {rule.severity.value}: {_clause(rule.title)} ({rule.name}): {found.detail}"
    also = [_plain(f"  also: {each.place}") for each in others[:_MOST_PLACES]]
    if len(others) > _MOST_PLACES:
        also.append(f"  and in {len(others) - _MOST_PLACES} more places")
    return [_plain(head), *also, f"  why:  {rule.why}", f"  mend: {rule.mend}"]


def data_of(findings: Sequence[Finding], ignored: Ignored) -> dict[str, Any]:
    """Return the same as plain values; members are only ever added."""
    return {
        "findings": [
            {
                "rule": each.rule.name,
                "severity": each.rule.severity.value,
                "title": each.rule.title,
                "detail": each.detail,
                "document": each.place.document,
                "path": list(each.place.path),
                "line": each.place.line,
                "why": each.rule.why,
                "mend": each.rule.mend,
                "ignored": ignored.get(each.rule.name),
            }
            for each in findings
        ]
    }


def sarif_of(findings: Sequence[Finding], ignored: Ignored, rules: Mapping[str, Rule], version: str) -> dict[str, Any]:
    """Return a SARIF log (OASIS SARIF 2.1.0); what is ignored is in it, suppressed (§3.27.23)."""
    index = {name: at for at, name in enumerate(rules)}
    driver = {
        "name": "ott-extauthz lint-envoy",
        "semanticVersion": version,
        "rules": [_descriptor(rule) for rule in rules.values()],
    }
    results = [_result(each, index, ignored) for each in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.mend},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(found: Finding, index: Mapping[str, int], ignored: Ignored) -> dict[str, Any]:
    rule = found.rule
    result: dict[str, Any] = {
        "ruleId": rule.name,
        "ruleIndex": index[rule.name],
        "level": rule.severity.value,
        "message": {"text": f"{_clause(rule.title)}: {found.detail}. Why: {_clause(rule.why)}. Mend: {rule.mend}"},
        "locations": [_location(found.place)],
    }
    if rule.name in ignored:
        reason = ignored[rule.name]
        result["suppressions"] = [{"kind": "external"} | ({"justification": reason} if reason else {})]
    return result


def _location(place: Place) -> dict[str, Any]:
    # Code scanning shows nothing without a line; JSON has none worth telling, and its path stands beside it.
    region = {"startLine": place.line or 1}
    physical = {"artifactLocation": {"uri": _uri(place.document)}, "region": region}
    logical = [{"fullyQualifiedName": place.inside}] if place.path else []
    return {"physicalLocation": physical} | ({"logicalLocations": logical} if logical else {})


def _uri(document: str) -> str:
    """RFC 3986: a file's name as a relative or file reference.

    A URL becomes a relative reference too, without its scheme: code scanning refuses a whole log for one artifact whose
    scheme is not that of the checkout, ``file``.
    """
    if document.startswith(("http://", "https://")):
        url = urlsplit(document)
        document = f"{url.netloc}{url.path.rstrip('/') or '/config_dump'}"
    path = quote(document.replace("\\", "/"), errors="surrogateescape")
    return f"file://{path}" if path.startswith("/") else path


def _clause(text: str) -> str:
    """What goes on after it is no sentence of its own."""
    return text.removesuffix(".")


def _plain(text: str) -> str:
    """A name in somebody's configuration may hold a terminal's escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
