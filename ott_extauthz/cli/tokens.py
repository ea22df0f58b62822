"""``ott-extauthz mint`` and ``inspect``: one token, made or looked at."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from ott_extauthz.authn.inspect import inspect_token
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.cli.options import BAD, DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.documents.validated import Duration
from ott_extauthz.issuer.minter import OrderError
from ott_extauthz.stores.key_files import KeyFileError


def mint(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    audience: Annotated[str, typer.Option(help="The one service the token is for.")],
    certificate: Annotated[Path | None, typer.Option(help="The caller's certificate (PEM) to bind it to.")] = None,
    client_id: Annotated[str, typer.Option(help="Who calls.")],
    subject: Annotated[
        str | None, typer.Option(help="`sub`; else the certificate's SPIFFE ID, else client_id.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Scopes, separated by spaces.")] = "",
    lifetime: Annotated[str | None, typer.Option(help="Like 30s; at most 300s; else issuer.lifetime.")] = None,
) -> None:
    """Print a one-time token signed with the issuer's own key; asks neither the issuer nor clients.yaml."""
    from ott_extauthz.bootstrap.issuer import mint_token  # noqa: PLC0415 - `inspect` does not need it

    settings = settings_or_exit(config)
    try:
        token = mint_token(
            settings,
            audience=audience,
            client_id=client_id,
            scope=frozenset(scope.split()),
            certificate_pem=None if certificate is None else certificate.read_bytes(),
            subject=subject,
            lifetime_ms=None if lifetime is None else _milliseconds(lifetime),
            source=str(config),
        )
    except (DocumentError, KeyFileError, OrderError) as error:
        fail(error)
    except OSError as error:
        fail(f"--certificate: {error.strerror}")
    typer.echo(token)


def _milliseconds(text: str) -> int:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("a number with a unit: 30s, 500ms", param_hint="--lifetime") from None


def inspect(
    token: Annotated[str, typer.Argument(help="The token, or - to read it from standard input.")] = "-",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a token's header and claims and what is wrong with them; never its signature, which is not verified."""
    text = sys.stdin.read().strip() if token == "-" else token
    found = inspect_token(text, SystemClock().now_ms())
    if as_json:
        typer.echo(json.dumps({"header": found.header, "claims": found.claims, "problems": found.problems}))
    else:
        typer.echo(f"header: {json.dumps(found.header, indent=2)}\nclaims: {json.dumps(found.claims, indent=2)}")
        for problem in found.problems or ("nothing wrong in form; the signature was not verified",):
            typer.echo(problem)
    raise typer.Exit(BAD if found.problems else 0)
