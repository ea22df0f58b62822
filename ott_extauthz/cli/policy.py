"""``ott-extauthz policy``: check, test, explain and compare policies with no server, no store and no network."""

import asyncio
import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.cli.options import BAD, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.counting import counted
from ott_extauthz.observe.reloads import in_shadow
from ott_extauthz.policy.document import Policy
from ott_extauthz.rehearsal.cases import Case, Suite
from ott_extauthz.rehearsal.comparing import Change, Comparison, compared
from ott_extauthz.rehearsal.explaining import as_text, explained
from ott_extauthz.rehearsal.files import audit_lines, suite_at
from ott_extauthz.rehearsal.from_audit import line_of, told
from ott_extauthz.rehearsal.judging import Verdict, verdict
from ott_extauthz.rehearsal.recorded import rehearse_recorded
from ott_extauthz.rehearsal.reports import data_of, junit_of, text_of
from ott_extauthz.rehearsal.shown import plain
from ott_extauthz.rehearsal.stage import Rehearsed, Surroundings, rehearse
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.wire.recorded import RecordingError, recorded_facts

app = typer.Typer(help="Check, test, explain and compare policies, offline.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyOption = Annotated[Path | None, typer.Option("--policy", help="The policy.")]


@app.command("check")
def check(
    paths: Annotated[list[Path], typer.Argument(metavar="POLICY...", help="Policies to read.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show every problem of every policy; exit 1 when there is one."""
    results = [_checked(path) for path in paths]
    if as_json:
        typer.echo(json.dumps(results))
    else:
        for result in results:
            for line in (*result["warnings"], *result["problems"]):
                typer.echo(line)
            if not result["problems"]:
                typer.echo(f"{result['file']}: fine; {result['summary']}")
    raise typer.Exit(BAD if any(result["problems"] for result in results) else 0)


def _checked(path: Path) -> dict[str, Any]:
    try:
        policy = read_policy([path])
    except DocumentError as error:
        problems = list(map(str, error.problems))
        return {"file": str(path), "problems": problems, "warnings": [], "summary": None}
    summary = f"revision {policy.revision} with {counted(len(policy.table.routes), 'route')}"
    warnings = [f"warning: {each}" for each in policy.warnings]
    warnings += [f"warning: {path}: route {name} is in shadow and enforces nothing" for name in in_shadow(policy)]
    return {"file": str(path), "problems": [], "warnings": warnings, "summary": summary}


@app.command("test")
def run_cases(
    paths: Annotated[list[Path], typer.Argument(metavar="CASES...", help="Files of cases.")],
    *,
    as_json: JsonOption = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit's XML to this file too.")] = None,
) -> None:
    """Decide every case and compare with what it expects; exit 1 when one differs."""
    suites = [(str(path), _verdicts(*_suite_or_exit(path))) for path in paths]
    if as_json:
        typer.echo(json.dumps([data_of(source, verdicts) for source, verdicts in suites]))
    else:
        for source, verdicts in suites:
            typer.echo(text_of(source, verdicts))
    if junit is not None:
        try:
            junit.write_text(junit_of(suites), encoding="utf-8")
        except OSError as error:
            fail(f"--junit: {error.strerror}")
    has_failed = any(each.differences for _, verdicts in suites for each in verdicts)
    raise typer.Exit(BAD if has_failed else 0)


def _verdicts(suite: Suite, policy: Policy) -> list[Verdict]:
    async def all_of_them() -> list[Verdict]:
        return [verdict(case, await rehearse(case, suite, policy)) for case in suite.cases]

    return asyncio.run(all_of_them())


def _suite_or_exit(path: Path) -> tuple[Suite, Policy]:
    try:
        return suite_at(path)
    except DocumentError as error:
        fail(error)


@app.command("explain")
def explain(
    source: Annotated[
        Path | None, typer.Argument(metavar="[CASES|REQUEST]", help="Cases, or a CheckRequest (JSON, protobuf).")
    ] = None,
    *,
    case: Annotated[str | None, typer.Option("--case", help="The case's name; without it all of them.")] = None,
    policy: PolicyOption = None,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="For trust, clock, region and policy.")] = None,
    at: Annotated[str | None, typer.Option(help="When, like 2026-01-01T12:00:00Z; else as recorded.")] = None,
    decision: Annotated[str | None, typer.Option(help="A decision id, looked up in --audit.")] = None,
    audit: Annotated[Path | None, typer.Option(help="The audit: a file or a folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every step of a decision, what it saw, and the first thing that refused."""
    try:
        if decision is not None:
            _explain_decision(decision, audit, policy, as_json=as_json)
        elif source is None:
            raise typer.BadParameter("name a file of cases, a recorded CheckRequest, or --decision with --audit")
        elif policy is None and config is None:
            suite, about = suite_at(source)
            _show([(each.name, _rehearsed(each, suite, about)) for each in _chosen(suite, case)], as_json=as_json)
        else:
            recorded = _recorded(source, policy, config, at)
            _show([(str(source), recorded)], as_json=as_json)
    except (DocumentError, RecordingError) as error:
        fail(error)


def _explain_decision(decision: str, audit: Path | None, policy: Path | None, *, as_json: bool) -> None:
    if audit is None:
        raise typer.BadParameter("a decision is looked up in an --audit")
    line = line_of(decision, audit_lines(audit))
    if line is None:
        fail(f"{audit}: no decision {decision}")
    text = told(line, None if policy is None else read_policy([policy]))
    typer.echo(json.dumps({"decision": line, "told": text.splitlines()}) if as_json else text)


def _chosen(suite: Suite, name: str | None) -> list[Case]:
    found = [case for case in suite.cases if name is None or case.name == name]
    if not found:
        fail(f"no case named {name!r}; there are: {', '.join(case.name for case in suite.cases)}")
    return found


def _rehearsed(case: Case, suite: Suite, policy: Policy) -> Rehearsed:
    return asyncio.run(rehearse(case, suite, policy))


def _recorded(source: Path, policy: Path | None, config: Path | None, at: str | None) -> Rehearsed:
    if config is None:
        certificates, trust = ClientCertificate(), None
        around = Surroundings(policy=read_policy([_needed(policy)]), bounds=ClockBounds())
    else:
        settings = settings_or_exit(config)
        inputs, certificates = check_inputs(settings, str(config), is_offline=True), settings.client_certificate
        trust = inputs.trust
        chosen = inputs.policy if policy is None else read_policy([policy])
        around = Surroundings(policy=chosen, bounds=settings.clock, region=settings.region, asn_of=inputs.asn_of)
    try:
        raw = bounded(source)
    except OSError as error:
        fail(str(unreadable(source, error)))
    wanted_ms = _instant(at)
    facts, recorded_ms = recorded_facts(raw, certificates)
    at_ms = next(at for at in (wanted_ms, recorded_ms, SystemClock().now_ms()) if at is not None)
    if trust is None:
        typer.echo("no --config: signatures are not verified, the claims are taken as they stand", err=True)
    return asyncio.run(rehearse_recorded(facts, at_ms, around, trust))


def _needed(policy: Path | None) -> Path:
    if policy is None:
        raise typer.BadParameter("a recorded request is decided under a --policy")
    return policy


def _instant(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise typer.BadParameter("like 2026-01-01T12:00:00Z", param_hint="--at")
    return round(at.timestamp() * 1000)


def _show(rehearsals: list[tuple[str, Rehearsed]], *, as_json: bool) -> None:
    explanations = [(name, explained(rehearsed)) for name, rehearsed in rehearsals]
    if as_json:
        typer.echo(json.dumps([{"name": name, **dataclasses.asdict(each)} for name, each in explanations]))
        return
    for name, each in explanations:
        typer.echo(f"{name}\n{as_text(each)}\n")


@app.command("diff")
def diff(
    old: Annotated[Path, typer.Argument(help="The policy in force.")],
    new: Annotated[Path, typer.Argument(help="The policy to come.")],
    *,
    recorded: Annotated[Path, typer.Option(help="An audit: a file or a folder.")],
    as_json: JsonOption = False,
) -> None:
    """Show which recorded decisions would change; exit 1 when one would or may, or none is there."""
    try:
        comparison = compared(read_policy([old]), read_policy([new]), audit_lines(recorded))
    except DocumentError as error:
        fail(error)
    typer.echo(json.dumps(dataclasses.asdict(comparison)) if as_json else _comparison(comparison))
    if not comparison.same and not comparison.changes:  # a file of something else is no proof that nothing changes
        fail(f"{recorded}: no decision in it to compare")
    raise typer.Exit(BAD if comparison.changes else 0)


def _comparison(comparison: Comparison) -> str:
    lines = [_line(change) for change in comparison.changes]
    certain = sum(change.certain for change in comparison.changes)
    possible = len(comparison.changes) - certain
    end = f"{comparison.same} stay, {certain} change, {possible} may change, {comparison.unreadable} lines unreadable"
    return "\n".join([*lines, end])


def _line(change: Change) -> str:
    verb = "changes" if change.certain else "may change"
    asked = f"{change.method} {change.host}{change.path}"
    return plain(f"{change.decision_id} {verb}: {asked}: {change.was} -> {change.now} ({change.because})")
