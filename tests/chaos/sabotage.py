"""Take one safeguard out of the product, in this process only: a suite that finds nothing must be shown to look.

A module is executed from its own source with one passage replaced, before anyone imports it.  A passage that is not
there ends the process: a sabotage that sabotages nothing would prove nothing.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One passage of one module, and what stands there instead."""

    module: str
    passage: str
    instead: str


SABOTAGES: Final = {
    "no-fence": Sabotage(
        "ott_extauthz.stores.redislist.script", "if not (number(issued_at) > since + margin) then", "if false then"
    ),
    "no-nonce": Sabotage(
        "ott_extauthz.stores.redislist.script", "string.sub(rest, 1, #nonce + 1) == nonce .. ':'", "false"
    ),
    "no-lease": Sabotage("ott_extauthz.stores.redislist.lease", "asked_at + LEASE_SECONDS", "asked_at + 3600"),
    # The look at every second asks the sentinels too, and so covers for a lease that never ends.
    "no-watch": Sabotage("ott_extauthz.stores.guarded", "WATCH_SECONDS: Final = 1.0", "WATCH_SECONDS: Final = 3600.0"),
}


def commit(names: Iterable[str]) -> None:
    """Carry out the sabotages with these names."""
    for name in names:
        _replace(SABOTAGES[name])


def _replace(sabotage: Sabotage) -> None:
    spec = importlib.util.find_spec(sabotage.module)
    if spec is None or spec.origin is None or sabotage.module in sys.modules:
        raise SystemExit(f"sabotage: {sabotage.module} cannot be replaced")
    source = Path(spec.origin).read_text(encoding="utf-8")
    if source.count(sabotage.passage) != 1:
        raise SystemExit(f"sabotage: {sabotage.module} does not hold {sabotage.passage!r} once")
    module = importlib.util.module_from_spec(spec)
    sys.modules[sabotage.module] = module
    code = compile(source.replace(sabotage.passage, sabotage.instead), spec.origin, "exec")
    exec(code, module.__dict__)  # noqa: S102 - the product's own source, but for the passage
    parent, _, name = sabotage.module.rpartition(".")
    setattr(importlib.import_module(parent), name, module)
