"""Do we get the body that the policy needs, whole and byte for byte?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded

BODY_MISSING: Final = Rule(
    name="body-missing",
    severity=Severity.WARNING,
    title="The server does not get the body",
    why="a route of the policy needs it (a signature, a digest, an amount, a condition), so its calls are refused",
    mend="with_request_body: {max_request_bytes: 65536, allow_partial_message: false, pack_as_bytes: true}",
)
BODY_PARTIAL: Final = Rule(
    name="body-partial",
    severity=Severity.WARNING,
    title="The server may get the first part of a body",
    why="the upstream gets all of it: nothing can be said of what was not seen, so such calls are refused",
    mend="allow_partial_message: false, which answers 413",
)
BODY_AS_TEXT: Final = Rule(
    name="body-as-text",
    severity=Severity.WARNING,
    title="The body is sent as text",
    why="bytes that are no UTF-8 come as '!', and no signature or digest fits any more",
    mend="with_request_body: pack_as_bytes: true",
)
BODY_TOO_LARGE: Final = Rule(
    name="body-too-large",
    severity=Severity.WARNING,
    title="A Check may be larger than the server takes",
    why="the server takes messages of 4 MiB: a call with such a body is refused, or waits for nothing",
    mend="max_request_bytes: 65536, or what your largest message takes, below 4 MiB",
)
BODY_LIMIT: Final = Rule(
    name="body-limit",
    severity=Severity.WARNING,
    title="Bodies are cut off early",
    why="a larger body is answered with 413 before anybody looks at it; 8 KiB is less than many signed messages have",
    mend="max_request_bytes: 65536, or what your largest message takes",
)
GRPC_BUFFERED: Final = Rule(
    name="grpc-buffered",
    severity=Severity.WARNING,
    title="A gRPC route waits for the whole body",
    why="a stream has no end to wait for: it hangs",
    mend="check_settings: {disable_request_body_buffering: true} on the route",
)
RULES: Final = (BODY_MISSING, BODY_PARTIAL, BODY_AS_TEXT, BODY_TOO_LARGE, BODY_LIMIT, GRPC_BUFFERED)

LEAST_BYTES: Final = 8192
MOST_BYTES: Final = 4 * 1024 * 1024
"""A gRPC message of the usual size, with which nothing else would fit in."""


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield where the body is not as the policy needs it."""
    usual = guarded.config["with_request_body"]
    is_told = bool(guarded.expected.routes)
    if not is_told and usual.is_there:
        yield from _form(usual, is_raw=True)
    for branch, served in guarded.checked:
        body = _body(guarded, branch)
        if branch.route.at("match", "grpc").is_there and body is not None and not _is_short(body):
            yield branch.route.breaks(GRPC_BUFFERED, "a gRPC route with body buffering")
        needing = [route for route in served if route.needs_body]
        if not needing:
            continue
        if body is None or not body.is_there:
            place = branch.route if usual.is_there else usual
            yield place.breaks(BODY_MISSING, f"the policy's route {needing[0].name} needs the body")
        else:
            yield from _form(body, is_raw=any(route.needs_raw_body for route in needing))


def _body(guarded: Guarded, branch: Branch) -> Node | None:
    """Return what says how the body is buffered on this way; None where it is not."""
    settings = branch.check_settings(guarded.guard)
    if settings is not None:
        if settings["disable_request_body_buffering"].truth:
            return None
        if settings["with_request_body"].is_there:
            return settings["with_request_body"]
    usual = guarded.config["with_request_body"]
    return usual if usual.is_there else None


def _is_short(body: Node) -> bool:
    return not body["max_request_bytes"].number


def _form(body: Node, *, is_raw: bool) -> Iterator[Finding]:
    if body["allow_partial_message"].truth:
        yield body["allow_partial_message"].breaks(BODY_PARTIAL, "allow_partial_message is true")
    if is_raw and not body["pack_as_bytes"].truth:
        yield body["pack_as_bytes"].breaks(BODY_AS_TEXT, "pack_as_bytes is not true")
    limit = body["max_request_bytes"].number or 0
    if limit >= MOST_BYTES:
        yield body["max_request_bytes"].breaks(BODY_TOO_LARGE, f"max_request_bytes is {limit:.0f}")
    if limit < LEAST_BYTES:
        yield body["max_request_bytes"].breaks(BODY_LIMIT, f"max_request_bytes is {limit:g}")
