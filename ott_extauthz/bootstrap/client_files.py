"""By what are the issuer's clients known?  The files that ``clients.yaml`` names, read and judged."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.authn.jwks import KeySetError, keys_from
from ott_extauthz.authn.keys import VerificationKey
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.documents.problems import Problem
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.client_secret import SecretFileError, SecretHashes, hashes_from
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.credentials import Credentials
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.wire.self_signed import SelfSignedError, listed_in_jwks, listed_in_pem, refuse_names_of

T = TypeVar("T")


@dataclass(slots=True)
class ClientFiles:
    """What was read, and what is wrong with it."""

    keys: dict[str, dict[str, VerificationKey]] = field(default_factory=dict)
    self_signed: dict[Thumbprint, str] = field(default_factory=dict)
    anchors: list[x509.Certificate] = field(default_factory=list)
    secrets: dict[str, SecretHashes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    digests: dict[str, bytes] = field(default_factory=dict)

    @property
    def credentials(self) -> Credentials:
        """What the clients are known by."""
        return Credentials(keys=self.keys, self_signed=self.self_signed, secrets=self.secrets)

    @property
    def self_signed_der(self) -> tuple[bytes, ...]:
        """The self-signed certificates that TLS must know."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.anchors)

    def read(self, client: Client, folder: Path) -> None:
        """Read the file by which a client is known; its path is relative to ``folder``."""
        if client.authentication is Method.PRIVATE_KEY_JWT and client.jwks is not None:
            self.keys[client.client_id] = dict(self._read(client, folder / client.jwks, keys_from) or {})
        elif client.authentication is Method.CLIENT_SECRET_BASIC and client.secret is not None:
            self.secrets[client.client_id] = self._secret(client, folder / client.secret)
        elif client.authentication is Method.SELF_SIGNED_TLS:
            for thumbprint in self._certificates(client, folder):
                owner = self.self_signed.setdefault(thumbprint, client.client_id)
                if owner != client.client_id:
                    told = f"the clients {owner} and {client.client_id} list the same certificate"
                    self.problems.append(Problem(str(folder), 0, 0, "clients", told))

    def _secret(self, client: Client, path: Path) -> SecretHashes:
        found = self._read(client, path, lambda raw: hashes_from(raw.decode("ascii", "replace")))
        if found is not None:
            self.problems += readable_by_others(path)
        return found or SecretHashes()

    def _certificates(self, client: Client, folder: Path) -> list[Thumbprint]:
        if client.certificate is not None:
            return [Thumbprint(bytes.fromhex(client.certificate.sha256 or ""))]
        found: list[x509.Certificate] | None = None
        if client.jwks is not None:
            found = self._read(client, folder / client.jwks, listed_in_jwks)
        elif client.certificate_file is not None:
            found = self._read(client, folder / client.certificate_file, listed_in_pem)
        self.anchors += found or []
        return [Thumbprint(certificate.fingerprint(SHA256())) for certificate in found or []]

    def _read(self, client: Client, path: Path, parse: Callable[[bytes], T]) -> T | None:
        try:
            raw = bounded(path)
            self.digests[client.client_id] = hashlib.sha256(raw).digest()
            return parse(raw)
        except OSError as error:
            self.problems.append(unreadable(path, error))
        except (KeySetError, SelfSignedError, SecretFileError) as error:
            self.problems.append(Problem(str(path), 0, 0, "", str(error)))
        return None


def read_client_files(clients: Clients, issuer: Issuer, source: str) -> ClientFiles:
    """Read every file that clients are known by; problems are kept with what was read."""
    files = ClientFiles()
    for client in clients.values():
        files.read(client, issuer.clients.parent)
    files.problems += [Problem(source, 0, 0, place, told) for place, told in _disagreements(clients, issuer)]
    files.problems += _names_of_authorities(files.anchors, issuer)
    return files


def _disagreements(clients: Clients, issuer: Issuer) -> Iterator[tuple[str, str]]:
    """Compare the clients with the settings."""
    methods = {client.authentication for client in clients.values()}
    if Method.CLIENT_SECRET_BASIC in methods and issuer.client_secret_basic is None:
        told = "required for a client that authenticates with a secret: `accept the risk`, or a better method"
        yield "issuer.client_secret_basic", told
    if issuer.client_certificate.source != "peer":
        return
    if Method.TLS in methods and (issuer.tls is None or issuer.tls.client_ca is None):
        yield "issuer.tls.client_ca", "required: the authorities of clients that authenticate with tls_client_auth"
    for client in clients.values():
        if client.authentication is Method.SELF_SIGNED_TLS and client.certificate is not None:
            told = f"the client {client.client_id}: TLS must know its certificate; give certificate_file or jwks"
            yield "issuer.clients", told


def _names_of_authorities(anchors: list[x509.Certificate], issuer: Issuer) -> list[Problem]:
    path = issuer.tls.client_ca if issuer.tls else None
    if path is None or not anchors:
        return []
    try:
        authorities = x509.load_pem_x509_certificates(bounded(path))
        for anchor in anchors:
            refuse_names_of(authorities, anchor)
    except SelfSignedError as error:
        return [Problem(str(issuer.clients), 0, 0, "clients", str(error))]
    except OSError as error:
        return [unreadable(path, error)]
    except ValueError:
        return []  # the TLS context says what is wrong with the file
    return []
