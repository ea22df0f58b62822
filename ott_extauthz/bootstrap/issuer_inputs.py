"""What does the issuer start from?  Its clients and keys read and judged, every problem of every file at once."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.client_files import ClientFiles, read_client_files
from ott_extauthz.bootstrap.inputs import read_issuer
from ott_extauthz.bootstrap.issuer_proofs import nonce_secret
from ott_extauthz.bootstrap.key_sets import followed_key_sets, in_file, key_set_problems, not_fetched
from ott_extauthz.bootstrap.rings import ring_settings, rings_from
from ott_extauthz.bootstrap.sealing import sealer_from
from ott_extauthz.bootstrap.secret_files import readable_by_others
from ott_extauthz.bootstrap.store_files import store_problems
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.clients import Clients, clients_from
from ott_extauthz.issuer.credentials import Credentials
from ott_extauthz.issuer.key_change import KeyListener
from ott_extauthz.issuer.kinds import GrantedToken
from ott_extauthz.issuer.sealing import Sealer
from ott_extauthz.ports import Clock, KeyRing
from ott_extauthz.reload.source import ReloadListener
from ott_extauthz.settings import Issuer, Settings, host_and_port
from ott_extauthz.wire.followed_key_set import FollowedKeySet
from ott_extauthz.wire.issuer_tls import TlsFiles

CONFIGURATION = "configuration"
"""What problems of the settings are attributed to when nobody says which file they came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerInputs:
    """Everything the issuer reads from files before it may start."""

    settings: Issuer
    tls: TlsFiles | None
    clients: Clients
    credentials: Credentials
    rings: Mapping[str, KeyRing]
    subject_trust: Mapping[str, TrustedIssuer]
    nonce_secret: bytes | None = field(repr=False)
    sealer: Sealer
    followed: tuple[FollowedKeySet, ...] = ()


def issuer_inputs(
    settings: Settings, *, clock: Clock, listener: KeyListener, source: str = CONFIGURATION
) -> IssuerInputs:
    """Read the clients and the keys that ``settings`` name; ``listener`` hears of the keys from now on.

    Raises:
        DocumentError: everything that keeps the issuer from starting, files and all.
    """
    issuer = issuer_settings(settings, source)
    problems: list[Problem] = []
    clients = _clients(issuer.clients, ring_settings(issuer), problems)
    files = read_client_files(clients or {}, issuer, source)
    problems += files.problems
    tls = _tls(issuer, files, source, problems)
    if issuer.grpc is not None and (tls is None or tls.client_ca is None):
        told = "needs issuer.tls with client_ca: who asks there is known by a certificate alone"
        problems.append(Problem(source, 0, 0, "issuer.grpc", told))
    rings = rings_from(issuer, clock=clock, listener=listener, source=source, problems=problems)
    subject_trust = _subject_trust(issuer, problems)
    problems += key_set_problems(issuer.subject_issuers, source, "issuer.subject_issuers")
    secret = nonce_secret(issuer.dpop.nonce_secret, problems)
    sealer = sealer_from(issuer, problems)
    problems += store_problems(settings.store, source)
    if clients is not None:
        problems += _misplaced(issuer, clients, source)
    if problems or clients is None:
        raise DocumentError(problems)
    return IssuerInputs(
        settings=issuer, tls=tls, clients=clients, credentials=files.credentials, rings=rings,
        subject_trust=subject_trust, nonce_secret=secret, sealer=sealer,
    )  # fmt: skip


def with_fetched_keys(
    inputs: IssuerInputs, *, clock: Clock, listener: ReloadListener, on_fault: Callable[[str], None]
) -> IssuerInputs:
    """Return the same with the subject issuers' keys that are at URLs; none is fetched before they are followed."""
    followed = followed_key_sets(inputs.settings.subject_issuers, clock=clock, listener=listener, on_fault=on_fault)
    trust = {**inputs.subject_trust, **{each.name: each.issuer for each in followed}}
    return replace(inputs, subject_trust=trust, followed=followed)


def issuer_settings(settings: Settings, source: str) -> Issuer:
    """Return the issuer's part of the settings.

    Raises:
        DocumentError: there is none.
    """
    if settings.issuer is None:
        raise DocumentError([Problem(source, 0, 0, "issuer", "required: the issuer's url, keys and clients")])
    return settings.issuer


def _tls(issuer: Issuer, files: ClientFiles, source: str, problems: list[Problem]) -> TlsFiles | None:
    tls = issuer.tls
    if tls is None:
        problems += [Problem(source, 0, 0, "issuer.tls", message) for message in _without_tls(issuer)]
        return None
    problems += readable_by_others(tls.key)
    # Behind a proxy no client comes here itself: a listed certificate must not pass for the proxy's own.
    is_direct = issuer.client_certificate.source == "peer"
    self_signed = files.self_signed_der if is_direct else ()
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


def _clients(path: Path, rings: Collection[str], problems: list[Problem]) -> Clients | None:
    try:
        return clients_from(path.read_text(encoding="utf-8"), str(path), rings=rings)
    except DocumentError as error:
        problems += error.problems
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        problems.append(Problem(str(path), 0, 0, "", f"cannot be read: {why or type(error).__name__}"))
    return None


def _subject_trust(issuer: Issuer, problems: list[Problem]) -> dict[str, TrustedIssuer]:
    trusted: dict[str, TrustedIssuer] = {}
    for entry in issuer.subject_issuers:
        path = in_file(entry)
        try:
            trusted[entry.issuer] = not_fetched(entry) if path is None else read_issuer(entry, path)
        except DocumentError as error:
            problems += error.problems
    return trusted


def _misplaced(issuer: Issuer, clients: Clients, source: str) -> Iterator[Problem]:
    """Yield what clients.yaml grants and the settings have no place for, or for something else."""
    known = {each.issuer for each in issuer.subject_issuers}
    for client in clients.values():
        for name, grant in client.audiences.items():
            if (GrantedToken.TRANSACTION_TOKEN in grant.tokens) != (name in issuer.trust_domains):
                message = (
                    f"the client {client.client_id} has {name}: transaction_token is for a trust domain, and it alone"
                )
                yield Problem(source, 0, 0, "issuer.trust_domains", message)
        for entry in client.delegates_for:
            if entry.issuer is not None and entry.issuer not in known:
                message = f"the client {client.client_id} delegates for {entry.issuer}, which is none of them"
                yield Problem(source, 0, 0, "issuer.subject_issuers", message)
            if entry.client is not None and entry.client not in clients:
                message = f"the client {client.client_id} delegates for {entry.client}, which is no client"
                yield Problem(str(issuer.clients), 0, 0, "delegates_for", message)
