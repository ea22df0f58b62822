"""``ott-extauthz config``: check a configuration without serving, print its schema."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ott_extauthz.authn.partner_document import PartnersDocument
from ott_extauthz.bootstrap.inputs import CheckInputs, check_inputs
from ott_extauthz.bootstrap.rings import rings_elsewhere
from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.model.counting import counted
from ott_extauthz.observe.reloads import in_shadow
from ott_extauthz.policy.document import PolicyDocument
from ott_extauthz.settings import Settings, schema

if TYPE_CHECKING:
    from ott_extauthz.bootstrap.client_set import ClientSet

app = typer.Typer(help="Check the configuration, print its schema.", no_args_is_help=True)


@app.command("check")
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Read everything `serve` and `issue` would read, private keys excepted; exit 1 when there is a problem."""
    settings = settings_or_exit(config)
    problems: set[Problem] = set()
    inputs, clients = _checked(settings, config, problems), _issuer_checked(settings, config, problems)
    if problems:
        fail(DocumentError(problems))
    for place in () if settings.issuer is None else rings_elsewhere(settings.issuer):
        typer.echo(f"warning: {place}: not checked; the ring lies elsewhere, and nobody is asked", err=True)
    if inputs is not None:
        _tell(inputs, config)
    if clients is not None:
        typer.echo(f"{config}: fine; an issuer with {len(clients.clients)} clients")


def _checked(settings: Settings, config: Path, problems: set[Problem]) -> CheckInputs | None:
    if settings.policy is None and settings.issuer is not None:
        return None  # an issuer's own file
    try:
        return check_inputs(settings, str(config), is_offline=True)
    except DocumentError as error:
        problems |= {*error.problems}
    return None


def _issuer_checked(settings: Settings, config: Path, problems: set[Problem]) -> "ClientSet | None":
    from ott_extauthz.bootstrap.issuer_inputs import check_issuer  # noqa: PLC0415 - the Check server does not need it

    issuer = settings.issuer
    if issuer is None:
        return None
    # With neither `issue` never starts: such an issuer is for `keys`, `mint` and attaching, which judge it themselves.
    is_served = issuer.tls is not None or issuer.client_certificate.source != "peer"
    if not is_served and settings.policy is not None:
        return None
    try:
        return check_issuer(settings, str(config))
    except DocumentError as error:
        problems |= {*error.problems}
    return None


def _tell(inputs: CheckInputs, config: Path) -> None:
    for warning in inputs.policy.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(
        f"{config}: fine; policy revision {inputs.policy.revision} with "
        f"{counted(len(inputs.policy.table.routes), 'route')}, {counted(len(inputs.trust), 'trusted issuer')}"
    )
    for policy in filter(None, (inputs.policy, inputs.shadow_policy)):
        for name in in_shadow(policy):
            typer.echo(f"warning: revision {policy.revision}: route {name} is in shadow and enforces nothing", err=True)


@app.command("schema")
def print_schema(
    *,
    policy: Annotated[bool, typer.Option("--policy", help="The schema of policy.yaml instead.")] = False,
    partners: Annotated[bool, typer.Option("--partners", help="The schema of partners.yaml instead.")] = False,
) -> None:
    """Print the JSON Schema of ott.yaml, for editors."""
    document = PolicyDocument if policy else PartnersDocument if partners else None
    typer.echo(json.dumps(schema() if document is None else document.model_json_schema(), indent=2))
