"""``ott-extauthz clients``: what clients of the issuer are known by."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from ott_extauthz.bootstrap.client_secret_files import Old, SecretExistsError, make_secret
from ott_extauthz.cli.options import fail
from ott_extauthz.issuer.client_secret import SecretFileError

app = typer.Typer(help="The issuer's clients.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `secret` a command of its own, though it is the only one."""


@app.command("secret")
def secret(
    file: Annotated[Path, typer.Argument(help="The file that `secret` of a client in clients.yaml names.")],
    *,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="The secret before it stays good as well.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="The secrets before it are good no more.")] = False,
) -> None:
    """Make a secret for client_secret_basic, write its hash to FILE, and print it this once."""
    if keep_old and replace:
        raise typer.BadParameter("one of --keep-old and --replace")
    old: Old = "keep" if keep_old else "replace" if replace else "refuse"
    try:
        made = make_secret(file, old=old, entropy=secrets.token_bytes)
    except SecretFileError as error:
        fail(f"{file}: {error}")
    except SecretExistsError as error:
        fail(error)
    except OSError as error:
        fail(f"{file}: {error.strerror or error}")
    typer.echo(made)
    typer.echo(f"{file}: its hash is written; the secret is kept nowhere. Restart the issuer.", err=True)
