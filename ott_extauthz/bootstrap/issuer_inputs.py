"""What does the issuer start from?  Its clients and keys read and judged, every problem of every file at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.client_set import ClientSet, read_clients
from ott_extauthz.bootstrap.inputs import read_issuer
from ott_extauthz.bootstrap.key_sets import in_file, key_set_problems, not_fetched
from ott_extauthz.bootstrap.proofs import nonce_secret
from ott_extauthz.bootstrap.rings import ring_problems, rings_from
from ott_extauthz.bootstrap.sealing import sealer_from
from ott_extauthz.bootstrap.secret_files import readable_by_others
from ott_extauthz.bootstrap.store_files import store_problems
from ott_extauthz.bootstrap.tracing_files import TracingFiles, tracing_files
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.credentials import Credentials
from ott_extauthz.issuer.key_change import KeyListener
from ott_extauthz.issuer.sealing import Sealer
from ott_extauthz.ports import Clock, KeyRing
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.words import host_and_port
from ott_extauthz.settings import Settings
from ott_extauthz.wire.issuer_tls import TlsFiles

CONFIGURATION = "configuration"
"""What problems of the settings are attributed to when nobody says which file they came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerInputs:
    """Everything the issuer reads from files before it may start.

    ``subject_trust`` is changed where it stands when a foreign issuer's keys change.
    """

    settings: Issuer
    tls: TlsFiles | None
    known: ClientSet
    rings: Mapping[str, KeyRing]
    subject_trust: dict[str, TrustedIssuer]
    nonce_secret: bytes | None = field(repr=False)
    sealer: Sealer
    tracing: TracingFiles = field(default_factory=TracingFiles)

    @property
    def clients(self) -> Clients:
        """The clients."""
        return self.known.clients

    @property
    def credentials(self) -> Credentials:
        """What they are known by."""
        return self.known.credentials


def issuer_inputs(
    settings: Settings, *, clock: Clock, listener: KeyListener, source: str = CONFIGURATION
) -> IssuerInputs:
    """Read the clients and the keys that ``settings`` name; ``listener`` hears of the keys from now on.

    Raises:
        DocumentError: everything that keeps the issuer from starting, files and all.
    """
    issuer = issuer_settings(settings, source)
    problems: list[Problem] = []
    known = read_clients(issuer, source, problems)
    tls = _tls(issuer, known, source, problems)
    rings = rings_from(issuer, clock=clock, listener=listener, source=source, problems=problems)
    subject_trust = _subject_trust(issuer, problems)
    problems += key_set_problems(issuer.subject_issuers, source, "issuer.subject_issuers")
    secret = nonce_secret(issuer.dpop.nonce_secret, problems)
    sealer = sealer_from(issuer, problems)
    problems += store_problems(settings.store, source)
    tracing = tracing_files(settings.tracing, source, problems)
    if problems or known is None:
        raise DocumentError(problems)
    return IssuerInputs(
        settings=issuer, tls=tls, known=known, rings=rings,
        subject_trust=subject_trust, nonce_secret=secret, sealer=sealer, tracing=tracing,
    )  # fmt: skip


def check_issuer(settings: Settings, source: str) -> ClientSet:
    """Read what the issuer would start from, but for private keys and what lies elsewhere; for `config check`.

    Raises:
        DocumentError: everything that is wrong with it.
    """
    issuer = issuer_settings(settings, source)
    problems = ring_problems(issuer, source)
    known = read_clients(issuer, source, problems)
    _tls(issuer, known, source, problems)
    _subject_trust(issuer, problems)
    problems += key_set_problems(issuer.subject_issuers, source, "issuer.subject_issuers")
    nonce_secret(issuer.dpop.nonce_secret, problems)
    sealer_from(issuer, problems)
    problems += store_problems(settings.store, source)
    tracing_files(settings.tracing, source, problems)
    if problems or known is None:
        raise DocumentError(problems)
    return known


def issuer_settings(settings: Settings, source: str) -> Issuer:
    """Return the issuer's part of the settings.

    Raises:
        DocumentError: there is none.
    """
    if settings.issuer is None:
        raise DocumentError([Problem(source, 0, 0, "issuer", "required: the issuer's url, keys and clients")])
    return settings.issuer


def _tls(issuer: Issuer, known: ClientSet | None, source: str, problems: list[Problem]) -> TlsFiles | None:
    tls = issuer.tls
    if tls is None:
        problems += [Problem(source, 0, 0, "issuer.tls", message) for message in _without_tls(issuer)]
        return None
    problems += readable_by_others(tls.key)
    # Behind a proxy no client comes here itself: a listed certificate must not pass for the proxy's own.
    is_direct = issuer.client_certificate.source == "peer"
    self_signed = known.self_signed if is_direct and known is not None else ()
    return TlsFiles(certificate=tls.certificate, key=tls.key, client_ca=tls.client_ca, self_signed=self_signed)


def _without_tls(issuer: Issuer) -> Iterator[str]:
    """Say why a server without TLS must not start: anyone who can reach it could claim any certificate."""
    if issuer.client_certificate.source == "peer":
        yield "required; behind a proxy that speaks TLS, set client_certificate.source to xfcc or rfc9440"
    elif issuer.listen.startswith("unix://"):
        return
    elif not _is_loopback(issuer.listen):
        yield "required: without TLS the proxy is reached over a Unix socket"
    elif issuer.plain_loopback is None:
        yield (
            "required: every process that reaches the loopback port could claim any client's certificate; listen on "
            "a Unix socket, or `plain_loopback: accept the risk`"
        )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(host_and_port(address)[0]).is_loopback
    except ValueError:
        return False  # a name may resolve to anything


def _subject_trust(issuer: Issuer, problems: list[Problem]) -> dict[str, TrustedIssuer]:
    trusted: dict[str, TrustedIssuer] = {}
    for entry in issuer.subject_issuers:
        path = in_file(entry)
        try:
            trusted[entry.issuer] = not_fetched(entry) if path is None else read_issuer(entry, path)
        except DocumentError as error:
            problems += error.problems
    return trusted
