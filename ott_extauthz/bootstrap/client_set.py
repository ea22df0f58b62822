"""Which clients does the issuer have?  ``clients.yaml`` and every file it names, judged together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ott_extauthz.authn.paseto import PasetoUnavailableError, require_pyseto
from ott_extauthz.bootstrap.client_files import read_client_files
from ott_extauthz.bootstrap.rings import ring_settings
from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.clients import Clients, clients_from
from ott_extauthz.issuer.credentials import Credentials
from ott_extauthz.issuer.kinds import GrantedToken
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.issuer import Issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSet:
    """Clients, and what they are known by; ``self_signed`` are the certificates (DER) that TLS must know.

    ``digests`` tell two contents of a client's file apart.
    """

    clients: Clients
    credentials: Credentials = field(repr=False)
    self_signed: tuple[bytes, ...]
    digests: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientChanges:
    """Names of clients, sorted; ``changed``: its entry in ``clients.yaml``, or what is in its file."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def read_clients(issuer: Issuer, source: str, problems: list[Problem]) -> ClientSet | None:
    """Read and judge them; what is wrong is added to ``problems``, and None is a ``clients.yaml`` that is none."""
    clients = read_client_list(issuer, problems)
    if clients is None:
        return None
    files = read_client_files(clients, issuer, source)
    problems += files.problems
    problems += [*_misplaced(issuer, clients, source), *_pasetos(issuer, clients, source)]
    return ClientSet(
        clients=clients,
        credentials=files.credentials,
        self_signed=files.self_signed_der,
        digests=files.digests,
    )


def read_client_list(issuer: Issuer, problems: list[Problem]) -> Clients | None:
    """Read ``clients.yaml`` alone, and none of the files that it names."""
    path = issuer.clients
    try:
        return clients_from(bounded(path).decode(), str(path), rings=ring_settings(issuer))
    except DocumentError as error:
        problems += error.problems
    except UnicodeDecodeError:
        problems.append(Problem(str(path), 0, 0, "", "cannot be read: not UTF-8"))
    except OSError as error:
        problems.append(unreadable(path, error))
    return None


def files_of_clients(path: Path, text: str) -> Iterator[Path]:
    """Yield the files that a ``clients.yaml`` names.

    Raises:
        DocumentError: it is none.
    """
    for client in clients_from(text, str(path)).values():
        files = (client.jwks, client.certificate_file, client.secret)
        yield from (path.parent / file for file in files if file is not None)


def changes_between(before: ClientSet, after: ClientSet) -> ClientChanges:
    """Return whose clients' entries or files differ."""
    kept = before.clients.keys() & after.clients.keys()
    return ClientChanges(
        added=tuple(sorted(after.clients.keys() - before.clients.keys())),
        removed=tuple(sorted(before.clients.keys() - after.clients.keys())),
        changed=tuple(sorted(name for name in kept if _of(name, before) != _of(name, after))),
    )


def _of(name: str, clients: ClientSet) -> tuple[object, ...]:
    return clients.clients[name], clients.digests.get(name)


def _pasetos(issuer: Issuer, clients: Clients, source: str) -> Iterator[Problem]:
    """Yield why tokens that are granted as PASETO cannot be made."""
    audiences = sorted({
        name for client in clients.values() for name, grant in client.audiences.items() if grant.format == "paseto"
    })  # fmt: skip
    if not audiences:
        return
    try:
        require_pyseto()
    except PasetoUnavailableError as error:
        yield Problem(str(issuer.clients), 0, 0, "format", f"paseto {error}")
    for name in audiences:
        if name in issuer.encryption:
            yield Problem(source, 0, 0, f"issuer.encryption.{name}", "a JWE holds a JWT, and this audience has PASETOs")


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
