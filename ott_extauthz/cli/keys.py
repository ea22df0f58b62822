"""``ott-extauthz keys``: the issuer's signing keys."""

import json
from datetime import UTC
from typing import Annotated, Any, cast, get_args

import typer

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.settings import Issuer
from ott_extauthz.stores.key_files import JWKS_FILE, KeyFileError, RingKey, init_keys, list_keys
from ott_extauthz.stores.signing import SigningAlgorithm

app = typer.Typer(help="The issuer's signing keys.", no_args_is_help=True)
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("init")
def init(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    algorithm: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(SigningAlgorithm))}.")] = "EdDSA",
    as_json: _JsonOption = False,
) -> None:
    """Make the key directory that `issuer.keys` names, with one active signing key."""
    issuer = _issuer(config)
    if algorithm not in get_args(SigningAlgorithm):
        raise typer.BadParameter(f"one of {', '.join(get_args(SigningAlgorithm))}", param_hint="--algorithm")
    try:
        key = init_keys(issuer.keys, algorithm=cast("SigningAlgorithm", algorithm), now_ms=SystemClock().now_ms())
    except KeyFileError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(_row(key)))
    else:
        typer.echo(f"{issuer.keys}: made signing key {key.kid} ({key.alg}); verifiers read {issuer.keys / JWKS_FILE}")


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, *, as_json: _JsonOption = False) -> None:
    """List the signing keys and their states."""
    try:
        rows = [_row(key) for key in list_keys(_issuer(config).keys)]
    except KeyFileError as error:
        fail(error)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo("  ".join(row.values()))


def _issuer(config: Any) -> Issuer:  # noqa: ANN401 - the option's path
    issuer = settings_or_exit(config).issuer
    if issuer is None:
        fail(f"{config}: issuer: required; it names the key directory")
    return issuer


def _row(key: RingKey) -> dict[str, str]:
    created = key.created.astimezone(UTC).isoformat(timespec="seconds")
    return {"kid": key.kid, "algorithm": key.alg, "state": key.state, "created": created}
