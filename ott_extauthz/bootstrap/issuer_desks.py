"""Who judges at the issuer?  Its desks, put together anew for each set of clients."""

from collections.abc import Callable

from ott_extauthz.bootstrap.client_authentication import client_authentication, failure_limits, new_once
from ott_extauthz.bootstrap.issuer_grants import grants_of
from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.bootstrap.issuer_proofs import dpop_proofs
from ott_extauthz.bootstrap.issuer_tracing import IssuerTracer
from ott_extauthz.issuer.batch import BatchDesk
from ott_extauthz.issuer.desks import Desks
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS
from ott_extauthz.issuer.introspection import Introspection
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.own_tokens import OwnTokens
from ott_extauthz.issuer.token_endpoint import TokenEndpoint
from ott_extauthz.issuer.trail import IssuerTrail
from ott_extauthz.ports import Clock, Entropy, UsedList
from ott_extauthz.settings import Settings
from ott_extauthz.wire.issuer_metadata import IssuerUrls


def endpoints(  # noqa: PLR0913 - the parts of one issuer
    inputs: IssuerInputs,
    settings: Settings,
    used_list: UsedList,
    *,
    clock: Clock,
    entropy: Entropy,
    observer: IssuerObserver,
    trail: IssuerTrail,
    tracer: IssuerTracer | None = None,
) -> Callable[[IssuerInputs], TokenEndpoint]:
    """Return what puts together who judges token requests, anew for each set of clients.

    What counts failures, and remembers proofs and assertions, is one for all of them.  A ``tracer`` times their steps.
    """
    issuer = inputs.settings
    if tracer is not None:
        used_list = tracer.used_list(used_list, settings)
    once = new_once(used_list, settings.clock, entropy=entropy, observer=observer)
    limits = failure_limits(issuer)
    proofs = dpop_proofs(
        issuer.dpop, endpoint=IssuerUrls(issuer.url).token, once=once, entropy=entropy, secret=inputs.nonce_secret
    )
    rings = tracer.rings(inputs) if tracer else inputs.rings
    minter = Minter(issuer=issuer.url, rings=rings, clock=clock, entropy=entropy, seal=inputs.sealer.seal)

    def endpoint(known: IssuerInputs) -> TokenEndpoint:
        clients = client_authentication(known, settings.clock, once=once, limits=limits, observer=observer)
        grants = grants_of(known, known.rings, iat_lead_ms=settings.clock.iat_lead, entropy=entropy)
        return TokenEndpoint(
            authenticator=tracer.authenticator(clients) if tracer else clients,
            possession=tracer.possession(proofs) if tracer else proofs,
            grants=tracer.grants(grants) if tracer else grants,
            minter=minter,
            trail=trail,
        )

    return endpoint


def desks_of(inputs: IssuerInputs, endpoint: TokenEndpoint, *, iat_lead_ms: int) -> Desks:
    """Return every desk, judging as ``endpoint`` does."""
    return Desks(
        endpoint=endpoint,
        introspection=Introspection(
            authenticator=endpoint.authenticator,
            tokens=OwnTokens(issuer=inputs.settings.url, rings=inputs.rings, iat_lead_ms=iat_lead_ms),
        ),
        batch=BatchDesk(
            clients=inputs.clients,
            authenticator=endpoint.authenticator,
            grant=endpoint.grants[CLIENT_CREDENTIALS],
            minter=endpoint.minter,
            proxies=frozenset(inputs.settings.client_certificate.hop_identities),
            trail=endpoint.trail,
        ),
    )
