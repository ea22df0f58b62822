"""``ott-extauthz lint-envoy``: what in Envoy's configuration would undo a Check."""

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ott_extauthz import __version__
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.envoy_lint.finding import Finding, Severity

if TYPE_CHECKING:
    from ott_extauthz.envoy_lint.expectations import Expectations

UNREADABLE: Final = 2
_ORDER: Final = (Severity.NOTE, Severity.WARNING, Severity.ERROR)


def lint_envoy(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Files, folders, - for standard input, or http://127.0.0.1:9901."),
    ],
    *,
    config: Annotated[Path | None, typer.Option("-c", "--config", help="ott.yaml: what our side expects.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
    ignore: Annotated[list[str] | None, typer.Option(metavar="RULE[=REASON]", help="Leave this rule out.")] = None,
    fail_on: Annotated[Severity, typer.Option(help="Exit with 1 from here on.")] = Severity.WARNING,
    cluster: Annotated[
        str | None, typer.Option(help="The cluster of the Check server, where several are asked.")
    ] = None,
    envoy_version: Annotated[str, typer.Option(help="Like 1.38.4, where the documents do not say it.")] = "",
) -> None:
    """Say what in Envoy's configuration would undo a Check.

    FILE is a bootstrap (YAML or JSON), a /config_dump, a file of resources, or
    Kubernetes manifests. With -c the rules know which certificate counts and
    which routes spend tokens or need the body; without it they suspect all.

    Exit code: 0 nothing found at or above --fail-on, 1 something, 2 something
    cannot be read. A warning fails by default: most of them are guards whose
    loss nobody sees in operation.
    """
    from ott_extauthz.envoy_lint.catalogue import RULES  # noqa: PLC0415 - no other command should pay for the rules
    from ott_extauthz.envoy_lint.linting import findings  # noqa: PLC0415
    from ott_extauthz.envoy_lint.reports import data_of, sarif_of, text_of  # noqa: PLC0415
    from ott_extauthz.envoy_lint.rules.server import version_from  # noqa: PLC0415
    from ott_extauthz.envoy_lint.sources import read_sources  # noqa: PLC0415

    if as_json and as_sarif:
        raise typer.BadParameter("one of --json and --sarif")
    if envoy_version and version_from(envoy_version) is None:
        raise typer.BadParameter("like 1.38.4", param_hint="--envoy-version")
    ignored = dict(_ignored(each) for each in ignore or ())
    unknown = sorted(ignored.keys() - RULES.keys())
    if unknown:
        raise typer.BadParameter("; ".join(_no_rule(name, sorted(RULES)) for name in unknown), param_hint="--ignore")
    try:
        expected = _expected(config)
        read = read_sources(sources)
    except DocumentError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNREADABLE) from None
    for name in read.skipped:
        typer.echo(f"{name}: skipped what is no configuration of Envoy or Kubernetes", err=True)
    found = findings(read.documents, expected, cluster=cluster, version=envoy_version or read.version)
    if as_sarif:
        typer.echo(json.dumps(sarif_of(found, ignored, RULES, __version__), indent=1))
    elif as_json:
        typer.echo(json.dumps(data_of(found, ignored), indent=1))
    else:
        typer.echo(text_of(found, ignored, len(read.documents)))
    raise typer.Exit(int(any(_counts(each, fail_on) for each in found if each.rule.name not in ignored)))


def _no_rule(name: str, rules: list[str]) -> str:
    near = difflib.get_close_matches(name, rules, n=3)
    return f"no rule {name}; " + (f"did you mean {', '.join(near)}?" if near else "docs/lint-envoy.md lists them")


def _ignored(text: str) -> tuple[str, str]:
    name, _, reason = text.partition("=")
    return name.strip(), reason.strip()


def _counts(found: Finding, fail_on: Severity) -> bool:
    return _ORDER.index(found.rule.severity) >= _ORDER.index(fail_on)


def _expected(config: Path | None) -> "Expectations":
    from ott_extauthz.envoy_lint.expectations import Expectations  # noqa: PLC0415 - as above
    from ott_extauthz.envoy_lint.told import expectations_at  # noqa: PLC0415

    return Expectations() if config is None else expectations_at(config)
