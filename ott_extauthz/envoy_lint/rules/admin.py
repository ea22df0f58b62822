"""Who reaches Envoy's admin port?  Its own address, and the listeners that lead to it."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch, branches_of
from ott_extauthz.envoy_lint.chains import chains_of
from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.re2 import full_match
from ott_extauthz.envoy_lint.rules.addresses import bound_to, is_local, shown
from ott_extauthz.envoy_lint.streams import streams_of
from ott_extauthz.envoy_lint.upstreams import ends_of

ADMIN: Final = Rule(
    name="admin-exposed",
    severity=Severity.WARNING,
    title="Others can reach Envoy's admin port",
    why="it shows the configuration, and can stop Envoy or change its runtime keys",
    mend="admin: address: 127.0.0.1, or a Unix socket; routes to it for /stats and /ready alone",
)
RULES: Final = (ADMIN,)

_HARMFUL: Final = (
    "/certs", "/clusters", "/config_dump", "/contention", "/cpuprofiler", "/drain_listeners", "/healthcheck/fail",
    "/healthcheck/ok", "/heap_dump", "/heapprofiler", "/allocprofiler", "/init_dump", "/listeners", "/logging",
    "/memory", "/quitquitquit", "/reopen_logs", "/reset_counters", "/runtime", "/runtime_modify", "/tap",
)  # fmt: skip
_ANY: Final = frozenset({"0.0.0.0", "::", "127.0.0.1", "::1", "localhost"})  # noqa: S104 - compared, not bound


def findings(envoy: Envoy) -> Iterator[Finding]:
    """Yield the ways to the admin port from elsewhere."""
    admin = envoy.bootstrap.at("admin", "address")
    if not admin.is_there:
        return
    if not is_local(admin):
        yield admin.breaks(ADMIN, f"the admin port is {shown(admin)}")
    for chain in chains_of(envoy):
        if not _is_open(chain.listener):
            continue
        for branch in branches_of(chain.routes):
            if any(leads_to_admin(envoy, name) for name in branch.clusters) and _is_harmful(branch):
                yield branch.route.breaks(ADMIN, f"listener {chain.listener['name'].text or '?'} leads to it")
    for stream in streams_of(envoy):
        if _is_open(stream.listener) and any(leads_to_admin(envoy, name) for name in stream.clusters):
            yield stream.place.breaks(ADMIN, f"listener {stream.listener['name'].text or '?'} hands bytes on to it")


def leads_to_admin(envoy: Envoy, cluster: str) -> bool:
    """Whether a cluster is this Envoy's own admin port."""
    admin = _named(envoy.bootstrap.at("admin", "address"))
    return admin is not None and any(_named(end) == admin for end in ends_of(envoy, cluster))


def _named(address: Node) -> tuple[str, float | None] | None:
    socket, pipe = address["socket_address"], address.at("pipe", "path").text
    if pipe:
        return pipe, None
    name = socket["address"].text
    return ("here" if name in _ANY else name, socket["port_value"].number) if name else None


def _is_open(listener: Node) -> bool:
    return not listener["internal_listener"].is_there and not all(map(is_local, bound_to(listener)))


def _is_harmful(branch: Branch) -> bool:
    """Whether more than numbers and readiness can be asked for."""
    match, action = branch.route["match"], branch.route["route"]
    if branch.is_answered_here:
        return False
    regex = match.at("safe_regex", "regex").text
    rewritten = action["prefix_rewrite"].text or action.at("regex_rewrite", "substitution").text
    if rewritten:
        return _may_be(rewritten, is_whole=bool(match["path"].text))
    if match["path"].text:
        return _may_be(match["path"].text, is_whole=True)
    if regex:
        return any(full_match(regex, each) is not False for each in _HARMFUL)
    return _may_be(match["prefix"].text or match["path_separated_prefix"].text, is_whole=False)


def _may_be(path: str, *, is_whole: bool) -> bool:
    return any(each == path if is_whole else each.startswith(path) for each in _HARMFUL)
