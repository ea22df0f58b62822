"""What several commands share: the configuration option, and how its mistakes are shown."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import Settings, load

ConfigOption = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.")]
DEFAULT_CONFIG = Path("ott.yaml")
BAD = 1


def settings_or_exit(path: Path) -> Settings:
    """Load the settings, or show every problem and exit with 1."""
    try:
        return load(path, os.environ)
    except DocumentError as error:
        fail(error)


def fail(error: Exception | str) -> NoReturn:
    """Show what is wrong on standard error, a line each, and exit with 1."""
    for line in str(error).splitlines() or [type(error).__name__]:
        typer.echo(line, err=True)
    raise typer.Exit(BAD)
