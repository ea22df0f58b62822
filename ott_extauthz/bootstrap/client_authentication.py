"""Which ways of authenticating does the issuer have?  Put together from its settings and its clients' files."""

from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.issuer.attempt import Mechanism
from ott_extauthz.issuer.authentication import ClientAuthentication, Proof
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.failures import FailureLimits
from ott_extauthz.issuer.mutual_tls import MutualTls
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.once import Once
from ott_extauthz.issuer.private_key_jwt import PrivateKeyJwt
from ott_extauthz.issuer.shared_secret import SharedSecret
from ott_extauthz.ports import Entropy, UsedList
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.settings import Settings
from ott_extauthz.wire.issuer_metadata import IssuerUrls
from ott_extauthz.wire.issuer_peer import ClientCertificates


def new_once(used_list: UsedList, bounds: ClockBounds, *, entropy: Entropy, observer: IssuerObserver) -> Once:
    """Return what uses up identifiers in ``used_list``."""
    return Once(
        used_list=used_list,
        entropy=entropy,
        on_fault=observer.faulted,
        exp_leeway_ms=bounds.exp_leeway,
        max_skew_ms=bounds.max_skew,
    )


def client_authentication(
    inputs: IssuerInputs, bounds: ClockBounds, *, once: Once, limits: FailureLimits, observer: IssuerObserver
) -> ClientAuthentication:
    """Return the authenticator; secrets prove something only where they are switched on."""
    issuer, urls = inputs.settings, IssuerUrls(inputs.settings.url)
    proofs: dict[Mechanism, Proof] = {
        Mechanism.CERTIFICATE: MutualTls(inputs.credentials.self_signed),
        Mechanism.ASSERTION: PrivateKeyJwt(
            keys=inputs.credentials.keys,
            audiences=frozenset({issuer.url, urls.base + "/token"}),
            once=once,
            iat_lead_ms=bounds.iat_lead,
            exp_leeway_ms=bounds.exp_leeway,
        ),
    }
    if issuer.client_secret_basic is not None:
        proofs[Mechanism.SECRET] = SharedSecret(inputs.credentials.secrets)
    return ClientAuthentication(
        clients=inputs.clients,
        proofs=proofs,
        limits=limits,
        observer=observer,
    )


def failure_limits(issuer: Issuer) -> FailureLimits:
    """Return what counts failures; it outlives a change of the clients, which must forgive nobody."""
    return FailureLimits(most=issuer.failure_limit.failures, window_ms=issuer.failure_limit.within)


def client_certificates(inputs: IssuerInputs) -> ClientCertificates:
    """Return the rule by which a request's certificate is read."""
    return ClientCertificates(inputs.settings.client_certificate, trusts_plain=inputs.tls is None)


def warnings_of(inputs: IssuerInputs, settings: Settings) -> list[str]:
    """Return what an operator should know of how clients authenticate here."""
    methods = {client.authentication for client in inputs.clients.values()}
    warnings = []
    if settings.store.is_memory and Method.PRIVATE_KEY_JWT in methods:
        warnings.append(
            "store memory://: which client assertions were used is remembered by this process alone; a second issuer "
            "would accept each of them once more"
        )
    warnings += [
        f"client {client.client_id}: its tokens may be bound to nothing (unbound: accept the risk)"
        for client in inputs.clients.values()
        if client.unbound
    ]
    if settings.trust_domains is not None and any(_is_named(client) for client in inputs.clients.values()):
        warnings.append(
            "trust_domains is the Check server's alone: every authority that vouches for clients here may sign for "
            "each that is known by a name; leave partners' out of the list, or name their clients by sha256"
        )
    if settings.issuer and settings.issuer.client_secret_basic:
        warnings.append("client_secret_basic is on: a secret is sent with every request, and good for whoever sees it")
    return warnings


def _is_named(client: Client) -> bool:
    return client.certificate is not None and client.certificate.sha256 is None
