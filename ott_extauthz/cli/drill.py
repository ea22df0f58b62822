"""``ott-extauthz drill``: operations drills on a stage of their own."""

import json
from typing import Annotated

import typer


def drill(
    names: Annotated[list[str] | None, typer.Argument(help="Drills of --list; all, where none is named.")] = None,
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the drills and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Break things on a throwaway stage with a real Envoy, and show that nothing gets through; touches nothing else."""
    from ott_extauthz.drills.catalogue import UnknownDrillError, chosen  # noqa: PLC0415 - no other command needs them
    from ott_extauthz.drills.program import run_drills  # noqa: PLC0415
    from ott_extauthz.drills.shown import listed  # noqa: PLC0415

    try:
        drills = chosen(names or [])
    except UnknownDrillError as error:
        raise typer.BadParameter(str(error), param_hint="NAMES") from None
    if not list_:
        raise typer.Exit(run_drills(drills, json_only=as_json))
    if as_json:
        typer.echo(json.dumps([listed(each) for each in drills]))
    else:
        for each in drills:
            typer.echo(f"{each.name:<14} {each.title}")
