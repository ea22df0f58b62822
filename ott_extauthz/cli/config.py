"""``ott-extauthz config``: check a configuration without serving, print its schema."""

import json
from typing import Annotated

import typer

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.observe.reloads import in_shadow
from ott_extauthz.policy.document import PolicyDocument
from ott_extauthz.settings import schema

app = typer.Typer(help="Check the configuration, print its schema.", no_args_is_help=True)


@app.command("check")
def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Read everything `serve` would read and show every problem and warning; exit 1 when there is a problem."""
    settings = settings_or_exit(config)
    try:
        inputs = check_inputs(settings, str(config))
    except DocumentError as error:
        fail(error)
    for warning in inputs.policy.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(
        f"{config}: fine; policy revision {inputs.policy.revision} with {len(inputs.policy.table.routes)} routes, "
        f"{len(inputs.trust)} trusted issuers"
    )
    for policy in filter(None, (inputs.policy, inputs.shadow_policy)):
        for name in in_shadow(policy):
            typer.echo(f"warning: revision {policy.revision}: route {name} is in shadow and enforces nothing", err=True)


@app.command("schema")
def print_schema(
    *, policy: Annotated[bool, typer.Option("--policy", help="The schema of policy.yaml instead.")] = False
) -> None:
    """Print the JSON Schema of ott.yaml, for editors."""
    typer.echo(json.dumps(PolicyDocument.model_json_schema() if policy else schema(), indent=2))
