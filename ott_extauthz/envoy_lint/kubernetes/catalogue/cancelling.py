"""What must be bounded, lest one caller who cancels calls ends the connection that everybody's Checks are on?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

_STREAMS: Final = (
    "On the transport native one caller who cancels more than 20 Checks of a connection at a time ends it, and "
    "everybody's Checks on it fail."
)
_PER_CYCLE: Final = (
    "A caller who cancels what it opens in the same breath makes Checks by the thousand, and others' fail."
)
ISTIO_STREAMS: Final = Rule(
    name="istio-check-streams",
    severity=Severity.WARNING,
    title="More Checks share a connection to the server than may be cancelled at a time.",
    why=_STREAMS,
    mend="Set connectionPool.http.maxConcurrentStreams: 20; further Checks take further connections.",
)
ISTIO_PER_CYCLE: Final = Rule(
    name="istio-requests-per-cycle",
    severity=Severity.WARNING,
    title="No proxy is told to take up a connection's requests one at a time.",
    why=_PER_CYCLE,
    mend='Set meshConfig.defaultConfig.runtimeValues: {http.max_requests_per_io_cycle: "1"}, or by annotation.',
)
GATEWAY_STREAMS: Final = Rule(
    name="gateway-check-streams",
    severity=Severity.WARNING,
    title="More Checks share a connection to the server than may be cancelled at a time.",
    why=_STREAMS,
    mend="Set extAuth.grpc.backendSettings.http2.maxConcurrentStreams: 20; further Checks take further connections.",
)
GATEWAY_PER_CYCLE: Final = Rule(
    name="gateway-requests-per-cycle",
    severity=Severity.WARNING,
    title="No EnvoyProxy has Envoy take up a connection's requests one at a time.",
    why=_PER_CYCLE,
    mend="Add a layer to layered_runtime in spec.bootstrap: http.max_requests_per_io_cycle: 1.",
)
RULES: Final = (ISTIO_STREAMS, ISTIO_PER_CYCLE, GATEWAY_STREAMS, GATEWAY_PER_CYCLE)
