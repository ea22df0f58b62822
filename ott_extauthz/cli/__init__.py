"""The command line: parses arguments, calls a composition root, returns an exit code.

Exit codes: 0 fine, 1 the thing checked is bad, 2 usage.
"""

import sys
from typing import Annotated

import typer

import ott_extauthz.cli.before_grpc  # noqa: F401 - first of all
from ott_extauthz import __version__
from ott_extauthz.cli import (
    api_keys,
    clients,
    config,
    drill,
    issuer,
    keys,
    lint_envoy,
    policy,
    probe,
    serve,
    show,
    tokens,
)  # fmt: skip
from ott_extauthz.cli.output import told_when_full

app = typer.Typer(
    name="ott-extauthz",
    help="One-time, certificate-bound tokens enforced at Envoy's ext_authz gRPC Check API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(show.demo)
app.command("drill")(drill.drill)
app.command("serve")(serve.serve)
app.command("issue")(issuer.issue)
app.command("probe")(probe.probe)
app.command("mint")(tokens.mint)
app.command("inspect")(tokens.inspect)
app.command("lint-envoy")(lint_envoy.lint_envoy)
app.add_typer(api_keys.app, name="api-keys")
app.add_typer(clients.app, name="clients")
app.add_typer(config.app, name="config")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")


@app.callback(invoke_without_command=True)
def _root(*, version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        typer.echo(f"ott-extauthz {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    with told_when_full():
        sys.exit(app())
