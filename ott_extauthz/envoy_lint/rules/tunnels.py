"""Does one Check stand for one request?  Upgrades after which nobody looks at HTTP any more."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded

TUNNEL: Final = Rule(
    name="tunnel",
    severity=Severity.ERROR,
    title="One Check opens a tunnel",
    why="what goes through it is requests to the upstream that nobody checks, as many as the caller likes",
    mend="no upgrade_configs with h2c, and no connect_config on routes that are guarded",
)
CHUNKED_LENGTH: Final = Rule(
    name="request-smuggling",
    severity=Severity.WARNING,
    title="A request may have two lengths",
    why="a server that reads the other one finds a second request in the body, which nobody checked",
    mend="no allow_chunked_length",
)
RULES: Final = (TUNNEL, CHUNKED_LENGTH)

_RAW: Final = frozenset({"h2c", "connect", "connect-udp", "connect-ip"})


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what lets requests through behind another one."""
    hcm = guarded.chain.hcm
    for upgrade in hcm["upgrade_configs"]:
        if _kind(upgrade) == "h2c" and not upgrade["enabled"].is_false:
            yield upgrade.breaks(TUNNEL, "the listener hands on upgrades to h2c")
    for branch, _ in guarded.checked:
        for upgrade in branch.route.at("route", "upgrade_configs"):
            if _opens(upgrade) and not upgrade["enabled"].is_false:
                yield upgrade.breaks(TUNNEL, f"a route upgrades to {_kind(upgrade)}")
    length = hcm.at("http_protocol_options", "allow_chunked_length")
    if length.truth:
        yield length.breaks(CHUNKED_LENGTH, "allow_chunked_length is true")


def _kind(upgrade: Node) -> str:
    return upgrade["upgrade_type"].text.lower()


def _opens(upgrade: Node) -> bool:
    """Whether the upstream gets bare bytes; a CONNECT that is handed on as it is asks the next proxy."""
    return _kind(upgrade) == "h2c" or (_kind(upgrade) in _RAW and upgrade["connect_config"].is_there)
