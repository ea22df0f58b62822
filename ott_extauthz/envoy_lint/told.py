"""What do ott.yaml and the policy that it names expect of Envoy?"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute
from ott_extauthz.policy.limits import Bound
from ott_extauthz.policy.routes import Asks, BoundTo, CredentialKind, Match, Route, VerifiedBy
from ott_extauthz.settings import load

_ONCE: Final = frozenset({CredentialKind.ONE_TIME_TOKEN, CredentialKind.MANDATE, CredentialKind.SIGNED_REQUEST})
_SIGNATURES: Final = ("x-signature", "webhook-signature", "signature", "signature-input")
"""What is taken off a signed request: a partner may sign in any form, and its form may change without the policy."""


def expectations_at(config: Path) -> Expectations:
    """Return what a configuration and its policy expect.

    Raises:
        DocumentError: either has a problem.
    """
    settings = load(config, os.environ)
    certificate = settings.client_certificate
    table = None if settings.policy is None else read_policy(settings.policy).table
    return Expectations(
        certificate_source=certificate.source,
        trusted_hops=certificate.trusted_hops,
        exact_hops=certificate.exact_hops,
        payload_namespace=settings.envoy_payload.namespace,
        payload_key=settings.envoy_payload.payload,
        header_key=settings.envoy_payload.header,
        routes=() if table is None else tuple(expected(match, route) for match, route in table.entries),
        is_told=True,
    )


def expected(match: Match, route: Route) -> ExpectedRoute:
    """Return a route of the policy as far as Envoy matters to it."""
    needs_raw_body = _needs_raw_body(route)
    return ExpectedRoute(
        name=route.name,
        hosts=match.hosts or (),
        methods=match.methods or (),
        path=match.template.text,
        is_single_use=any(asks.credential in _ONCE for asks in route.parts),
        needs_body=needs_raw_body or _reads_body(route),
        needs_raw_body=needs_raw_body,
        is_verified_by_envoy=any(asks.verified_by is VerifiedBy.ENVOY for asks in route.parts),
        is_public=route.credential is CredentialKind.PUBLIC,
        headers=tuple(dict.fromkeys(_changed(route))),
    )


def _needs_raw_body(route: Route) -> bool:
    """Whether a signature or a digest is over the body."""
    attached = route.attachment.bound_to_request if route.attachment else frozenset()
    is_signed = any(asks.credential is CredentialKind.SIGNED_REQUEST for asks in route.parts)
    signs = route.signing is not None and route.signing.covers_body
    return is_signed or signs or Bound.BODY in (attached | route.limits.bound_to_request)


def _reads_body(route: Route) -> bool:
    limits = route.limits
    has_brand = limits.brand is not None and limits.brand.pointer is not None
    return route.rules.needs_body or limits.amount is not None or has_brand


def _changed(route: Route) -> Iterator[str]:
    """Yield the headers that are taken off, or put on, beside our own family."""
    for asks in route.parts:
        yield from _taken(asks)
    if route.attachment is not None:
        yield route.attachment.header


def _taken(asks: Asks) -> Iterator[str]:
    if asks.credential is CredentialKind.SIGNED_REQUEST:
        yield from _SIGNATURES
    if asks.keeps_credential:
        return
    if BoundTo.DPOP in asks.bound_to:
        yield "dpop"
    if asks.cookie is not None:
        yield "cookie"
    elif asks.header:
        yield asks.header
