"""What do ott.yaml and the policy that it names expect of Envoy?"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ott_extauthz.authn.http_signatures.offered import INPUT_HEADER, SIGNATURE_HEADER
from ott_extauthz.authn.http_signatures.signing import DIGEST_HEADER
from ott_extauthz.authn.partners import SignatureForm
from ott_extauthz.authn.webhooks import stamped, standard
from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.check.signing_out import SIGNATURE_HEADERS
from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute
from ott_extauthz.policy.limits import Bound
from ott_extauthz.policy.routes import Asks, BoundTo, CredentialKind, Match, Route, VerifiedBy
from ott_extauthz.policy.terms import SigningTerms
from ott_extauthz.settings import Settings, load

_ONCE: Final = frozenset({CredentialKind.ONE_TIME_TOKEN, CredentialKind.MANDATE, CredentialKind.SIGNED_REQUEST})
_STAMPED: Final = (stamped.SIGNATURE, stamped.TIMESTAMP, stamped.NONCE)
_SET: Final[Mapping[SignatureForm, tuple[str, ...]]] = {
    SignatureForm.HMAC: _STAMPED,
    SignatureForm.EDDSA: _STAMPED,
    SignatureForm.STANDARD_WEBHOOKS: (standard.ID, standard.TIMESTAMP, standard.SIGNATURE),
    SignatureForm.HTTP_SIGNATURES: (SIGNATURE_HEADER, INPUT_HEADER),
}
"""What is put on a request that leaves signed, by the form of the key."""
_ADDRESS: Final = frozenset({"request.source.ip", "request.source.asn"})


def expectations_at(config: Path) -> Expectations:
    """Return what a configuration and its policy expect.

    Raises:
        DocumentError: either has a problem.
    """
    settings = load(config, os.environ)
    certificate = settings.client_certificate
    table = None if settings.policy is None else read_policy(settings.policy).table
    forms = _forms(settings)
    return Expectations(
        certificate_source=certificate.source,
        trusted_hops=certificate.trusted_hops,
        exact_hops=certificate.exact_hops,
        payload_namespace=settings.envoy_payload.namespace,
        payload_key=settings.envoy_payload.payload,
        header_key=settings.envoy_payload.header,
        routes=() if table is None else tuple(expected(match, route, forms) for match, route in table.entries),
        counts_addresses=bool(settings.introspection),
        transport=settings.listen.chosen_transport,
        is_told=True,
    )


def _forms(settings: Settings) -> Mapping[str, SignatureForm]:
    """Return how each key signs what leaves."""
    return {key.name: key.form for key in (settings.attach.signing_keys if settings.attach else ())}


def expected(match: Match, route: Route, forms: Mapping[str, SignatureForm]) -> ExpectedRoute:
    """Return a route of the policy as far as Envoy matters to it; ``forms`` says how keys sign."""
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
        headers=tuple(dict.fromkeys(_changed(route, forms))),
        judges_address=_judges_address(route),
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


def _judges_address(route: Route) -> bool:
    """Whether a network may be asked for; those of a mandate, an API key or a client are not in the policy."""
    limits = route.limits.constraints
    is_limited = limits is not None and not (limits.cidr is None and limits.asn is None)
    bring_their_own = (CredentialKind.MANDATE, CredentialKind.API_KEY)
    return is_limited or bool(route.rules.names & _ADDRESS) or any(a.credential in bring_their_own for a in route.parts)


def _changed(route: Route, forms: Mapping[str, SignatureForm]) -> Iterator[str]:
    """Yield the headers that are taken off, or put on, beside our own family."""
    for asks in route.parts:
        yield from _taken(asks)
    if route.attachment is not None:
        yield route.attachment.header
    if route.signing is not None:
        yield from _signed(route.signing, forms.get(route.signing.key))


def _signed(signing: SigningTerms, form: SignatureForm | None) -> Iterator[str]:
    """Yield what signs a request that leaves, and what the workload wrote in its place, which is taken off."""
    yield from SIGNATURE_HEADERS
    if form is not None:
        yield from _SET[form]
    if form is SignatureForm.HTTP_SIGNATURES and signing.covers_body:
        yield DIGEST_HEADER


def _taken(asks: Asks) -> Iterator[str]:
    if asks.credential is CredentialKind.SIGNED_REQUEST:
        yield from SIGNATURE_HEADERS
    if asks.keeps_credential:
        return
    if BoundTo.DPOP in asks.bound_to:
        yield "dpop"
    if asks.cookie is not None:
        yield "cookie"
    elif asks.header:
        yield asks.header
