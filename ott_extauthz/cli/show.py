"""``ott-extauthz demo``: the tour."""

from typing import Annotated

import typer


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Leave after the tour; non-zero if a step differs.")] = False,
    store: Annotated[str | None, typer.Option(help="A used-list to spend in, like redis://127.0.0.1:6379/0.")] = None,
) -> None:
    """Show a real Envoy that lets a call through once and refuses the same call the second time."""
    from ott_extauthz.demo.tour import run_demo  # noqa: PLC0415 - no other command should pay for loading the demo

    raise typer.Exit(run_demo(once=once, store=store))
