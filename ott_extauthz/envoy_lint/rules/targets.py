"""Does a request go where it was judged to go, or where a header of the client's says?"""

import re
from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node, strings_in
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.rules.order import NOT_JUDGED
from ott_extauthz.model.facts import is_ours

CLIENT_TARGET: Final = Rule(
    name="target-from-header",
    severity=Severity.WARNING,
    title="A header of the request chooses where it goes",
    why="the policy judged host and path; the client wrote this header, and reaches another upstream or host with it",
    mend="no cluster_header, no host_rewrite_header, no header in a rewrite, no use_http_header; "
    "or a header that a filter before ext_authz always sets",
)
RULES: Final = (CLIENT_TARGET,)

_PROXY_PER_ROUTE: Final = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig"
_PLUGINS: Final = ("cluster_specifier_plugin", "inline_cluster_specifier_plugin")
_COMMAND: Final = re.compile(
    r"%(?:REQ|REQUEST_HEADER|REQ_WITHOUT_QUERY)\(([^)]{1,256})\)|%(QUERY_PARAMS?)\(", re.IGNORECASE
)
_DEFAULT_HEADER: Final = "x-envoy-original-dst-host"


def findings(guarded: Guarded, branch: Branch) -> Iterator[Finding]:
    """Yield what lets a client choose the upstream, the host or the path once its request was judged."""
    action = branch.route["route"]
    for place in (action, *action.at("weighted_clusters", "clusters")):
        if place["cluster_header"].text:
            yield place["cluster_header"].breaks(CLIENT_TARGET, f"{place['cluster_header'].text} names the cluster")
        yield from _host(place)
    for key in ("path_rewrite", "host_rewrite"):
        yield from _rewritten(action[key])
    for key in _PLUGINS:
        if action[key].is_there:
            yield action[key].breaks(NOT_JUDGED, "a plugin chooses the cluster of each request")
    for level in branch.levels:
        for _, entry in level["typed_per_filter_config"].entries:
            kind, config = entry.typed
            if kind == _PROXY_PER_ROUTE:
                yield from _host(config)
    yield from _by_cluster(guarded, branch)


def _host(place: Node) -> Iterator[Finding]:
    host = place["host_rewrite_header"]
    if host.text and not is_ours(host.text.lower()):
        yield host.breaks(CLIENT_TARGET, f"{host.text} becomes the host")


def _rewritten(rewrite: Node) -> Iterator[Finding]:
    for node, text in strings_in(rewrite):
        for names, query in _COMMAND.findall(text):
            for name in names.lower().split("?") if names else [query.lower()]:
                if not name.startswith(":") and not is_ours(name):
                    yield node.breaks(CLIENT_TARGET, f"{rewrite.path[-1]} is made of {name}")


def _by_cluster(guarded: Guarded, branch: Branch) -> Iterator[Finding]:
    """A cluster that goes where the connection was meant to go may ask a header first."""
    for name in branch.clusters:
        cluster = guarded.chain.envoy.clusters.get(name)
        options = None if cluster is None else cluster["original_dst_lb_config"]
        if options is not None and options["use_http_header"].truth:
            header = options["http_header_name"].text or _DEFAULT_HEADER
            yield options.breaks(CLIENT_TARGET, f"{header} names the address behind {name}")
