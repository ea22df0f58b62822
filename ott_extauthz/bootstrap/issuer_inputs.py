"""What does the issuer start from?  Its clients and keys read and judged, every problem of every file at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ott_extauthz.bootstrap.rings import ring_settings, rings_from
from ott_extauthz.bootstrap.secret_files import readable_by_others
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.clients import Clients, clients_from
from ott_extauthz.issuer.key_change import KeyListener
from ott_extauthz.ports import Clock, KeyRing
from ott_extauthz.settings import Issuer, Settings
from ott_extauthz.wire.issuer_tls import TlsFiles

CONFIGURATION = "configuration"
"""What problems of the settings are attributed to when nobody says which file they came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerInputs:
    """Everything the issuer reads from files before it may start."""

    settings: Issuer
    tls: TlsFiles
    clients: Clients
    rings: Mapping[str, KeyRing]


def issuer_inputs(
    settings: Settings, *, clock: Clock, listener: KeyListener, source: str = CONFIGURATION
) -> IssuerInputs:
    """Read the clients and the keys that ``settings`` name; ``listener`` hears of the keys from now on.

    Raises:
        DocumentError: everything that keeps the issuer from starting, files and all.
    """
    issuer = issuer_settings(settings, source)
    problems: list[Problem] = []
    tls = _tls(issuer, source, problems)
    clients = _clients(issuer.clients, ring_settings(issuer), problems)
    rings = rings_from(issuer, clock=clock, listener=listener, source=source, problems=problems)
    if problems or tls is None or clients is None:
        raise DocumentError(problems)
    return IssuerInputs(settings=issuer, tls=tls, clients=clients, rings=rings)


def issuer_settings(settings: Settings, source: str) -> Issuer:
    """Return the issuer's part of the settings.

    Raises:
        DocumentError: there is none.
    """
    if settings.issuer is None:
        raise DocumentError([Problem(source, 0, 0, "issuer", "required: the issuer's url, keys and clients")])
    return settings.issuer


def _tls(issuer: Issuer, source: str, problems: list[Problem]) -> TlsFiles | None:
    tls = issuer.tls
    if tls is None or tls.client_ca is None:
        message = "required, with client_ca: clients authenticate with their TLS certificate and in no other way"
        problems.append(Problem(source, 0, 0, "issuer.tls", message))
        return None
    problems += readable_by_others(tls.key)
    return TlsFiles(certificate=tls.certificate, key=tls.key, client_ca=tls.client_ca)


def _clients(path: Path, rings: Collection[str], problems: list[Problem]) -> Clients | None:
    try:
        return clients_from(path.read_text(encoding="utf-8"), str(path), rings=rings)
    except DocumentError as error:
        problems += error.problems
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        problems.append(Problem(str(path), 0, 0, "", f"cannot be read: {why or type(error).__name__}"))
    return None
