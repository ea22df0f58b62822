"""What can one caller who opens and cancels calls by the hundred (rapid reset) do to everybody else's Checks?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.cancelled_calls import MOST_STREAMS, PER_CYCLE, as_it_counts
from ott_extauthz.envoy_lint.chains import http_options
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded

STREAMS: Final = Rule(
    name="check-streams",
    severity=Severity.WARNING,
    title="More Checks share a connection than may be cancelled at a time",
    why="on the transport native one caller who cancels them ends the connection, and everybody's Checks on it fail",
    mend="http2_protocol_options: {max_concurrent_streams: 20}: further Checks take further connections",
)
REQUESTS_PER_CYCLE: Final = Rule(
    name="requests-per-cycle",
    severity=Severity.WARNING,
    title="Envoy takes up any number of a connection's requests at a time",
    why="a caller who cancels what it opens in the same breath makes Checks by the thousand, and others' fail",
    mend="layered_runtime: {layers: [{name: static, static_layer: {http.max_requests_per_io_cycle: 1}}]}",
)
RULES: Final = (STREAMS, REQUESTS_PER_CYCLE)

_FROM_ELSEWHERE: Final = ("rtds_layer", "disk_layer")
_CODECS: Final = ("AUTO", "HTTP1", "HTTP2", "HTTP3")


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what leaves a connection's Checks to any one caller's mercy."""
    cluster = guarded.chain.envoy.clusters.get(guarded.guard.check_cluster)
    if guarded.expected.transport != "grpcio" and cluster is not None:
        yield from _shared(cluster, as_it_counts(STREAMS, guarded.expected))
    yield from _taken_up(guarded, as_it_counts(REQUESTS_PER_CYCLE, guarded.expected))


def _shared(cluster: Node, rule: Rule) -> Iterator[Finding]:
    options = http_options(cluster)
    found = [
        options.at("explicit_http_config", "http2_protocol_options"),
        options.at("auto_config", "http2_protocol_options"),
        options.at("use_downstream_protocol_config", "http2_protocol_options"),
        cluster["http2_protocol_options"],
    ]
    for http2 in [each for each in found if each.is_there][:1]:
        most = http2["max_concurrent_streams"]
        if most.number is None or most.number > MOST_STREAMS:
            told = "is not set" if most.number is None else f"is {most.number:g}"
            yield most.breaks(rule, f"max_concurrent_streams of {cluster['name'].text} {told}")


def _taken_up(guarded: Guarded, rule: Rule) -> Iterator[Finding]:
    """A workload's own calls, another listener's, and those of HTTP/1 do not come by the hundred in one breath."""
    chain, bootstrap = guarded.chain, guarded.chain.envoy.bootstrap
    if guarded.is_attaching or chain.is_internal or chain.hcm["codec_type"].enum(_CODECS) == "HTTP1":
        return
    runtime = bootstrap["layered_runtime"]
    is_hidden = any(layer[kind].is_there for layer in runtime["layers"] for kind in _FROM_ELSEWHERE)
    said = chain.envoy.runtime(PER_CYCLE)
    if bootstrap.is_there and not is_hidden and (said is None or said.number != 1):
        told = "is not set" if said is None else f"is {said.value}"
        yield (said or runtime).breaks(rule, f"{PER_CYCLE} {told}")
