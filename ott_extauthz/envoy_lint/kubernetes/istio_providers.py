"""Does the mesh ask our server as it must be asked?  Istio's extension provider."""

import re
from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import providers as rules
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part

LONGEST_TIMEOUT_SECONDS: Final = 1.0
"""The server's own limit for one Check."""
SMALLEST_BODY: Final = 8 * 1024
TOO_LARGE_BODY: Final = 4 << 20
"""What one gRPC message may hold, the request around the body included."""
_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


def found_in_providers(mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield what is wrong with the mesh's providers."""
    for part in mesh.unreadable:
        yield part.finding(rules.UNREADABLE, "not a YAML mapping")
    for provider in ours.providers:
        name = provider.at("name")
        if not _NAME.fullmatch(name.text):
            yield name.finding(rules.PROVIDER_NAME, f"the name is {name.text!r}")
        if provider.at("envoyExtAuthzHttp").is_there:
            yield provider.at("envoyExtAuthzHttp").finding(rules.HTTP_PROVIDER, f"provider {name.text}")
            continue
        yield from _asking(provider.at("envoyExtAuthzGrpc"), name.text)
        yield from _body(provider.at("envoyExtAuthzGrpc", "includeRequestBodyInCheck"), name.text, expected)
    yield from _named_by_policies(mesh, ours)


def _asking(grpc: Part, name: str) -> Iterator[Finding]:
    if grpc.at("failOpen").is_true:
        yield grpc.at("failOpen").finding(rules.FAIL_OPEN, f"provider {name}: failOpen is true")
    timeout = grpc.at("timeout")
    if not timeout.is_there:
        yield timeout.finding(rules.TIMEOUT, f"provider {name}: no timeout, so 600s")
    elif timeout.seconds is None or not 0 < timeout.seconds <= LONGEST_TIMEOUT_SECONDS:
        yield timeout.finding(rules.TIMEOUT, f"provider {name}: timeout is {timeout.value}")
    if not grpc.at("statusOnError").is_there:
        yield grpc.at("statusOnError").finding(rules.STATUS, f"provider {name}: no statusOnError, so 403")
    if grpc.at("clearRouteCache").is_true:
        yield grpc.at("clearRouteCache").finding(rules.ROUTE_CACHE, f"provider {name}: clearRouteCache is true")


def _body(body: Part, name: str, expected: Expectations) -> Iterator[Finding]:
    needing = [route.name for route in expected.routes if route.needs_body]
    exactly = [route.name for route in expected.routes if route.needs_raw_body]
    if not body.is_there:
        if needing or exactly:
            yield body.finding(rules.NO_BODY, f"provider {name}: {_shown(needing or exactly)}")
        return
    if expected.routes and not (needing or exactly):
        yield body.finding(rules.NEEDLESS_BODY, f"provider {name}: no route of the policy judges a body")
    if exactly and not body.at("packAsBytes").is_true:
        yield body.at("packAsBytes").finding(rules.TEXT_BODY, f"provider {name}: {_shown(exactly)}")
    if (needing or exactly) and body.at("allowPartialMessage").is_true:
        yield body.at("allowPartialMessage").finding(
            rules.PARTIAL_BODY, f"provider {name}: {_shown(needing or exactly)}"
        )
    limit = body.at("maxRequestBytes")
    if limit.number is None or not SMALLEST_BODY <= limit.number < TOO_LARGE_BODY:
        yield limit.finding(rules.BODY_LIMIT, f"provider {name}: maxRequestBytes is {limit.value}")


def _named_by_policies(mesh: Mesh, ours: Ours) -> Iterator[Finding]:
    names = {provider.at("name").text for provider in mesh.providers()}
    for policy in ours.policies:
        name = policy.spec.at("provider", "name")
        if not _NAME.fullmatch(name.text):
            yield name.finding(rules.PROVIDER_NAME, f"the name is {name.text!r}")
        elif mesh.is_known and names and name.text not in names:
            yield name.finding(rules.PROVIDER_UNKNOWN, f"{name.text} is not among {_shown(sorted(names))}")


def _shown(names: list[str]) -> str:
    """Return a few names: there may be hundreds."""
    few = ", ".join(names[:3])
    return f"{few} and {len(names) - 3} more" if len(names) > 3 else few  # noqa: PLR2004 - a few
