"""What does attaching start from?  What ``attach`` names, read and judged: certificates, keys of our own, a client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.outgoing.signing_keys import SigningKey
from ott_extauthz.bootstrap.client_set import read_client_list
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.rings import ring_problems, rings_from
from ott_extauthz.bootstrap.sealing import sealer_from
from ott_extauthz.bootstrap.secret_files import readable_by_others
from ott_extauthz.bootstrap.signing_keys import read_signing_keys
from ott_extauthz.client.identity import IdentityError, IdentityFiles
from ott_extauthz.documents.problems import Problem
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.sealing import Sealer
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.log import new_logger
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.ports import KeyRing
from ott_extauthz.sections.attach import Attach, AttachIssuer
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.settings import Settings
from ott_extauthz.wire.own_certificate import OwnCertificateError, read_certificate

_VERIFIED: Final = frozenset({CredentialKind.ONE_TIME_TOKEN, CredentialKind.MANDATE, CredentialKind.ACCESS_TOKEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKeys:
    """What minting here starts from."""

    client: Client
    rings: Mapping[str, KeyRing]
    sealer: Sealer


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachInputs:
    """What ``attach`` names, read and judged."""

    settings: Attach
    own: OwnKeys | None = field(default=None, repr=False)
    signing_keys: Mapping[str, SigningKey] = field(default_factory=dict, repr=False)


def attach_inputs(
    settings: Settings, policy: Policy | None, source: str, problems: list[Problem], *, is_offline: bool = False
) -> AttachInputs | None:
    """Read what attaching starts from; what keeps it from starting is added to ``problems``.

    ``is_offline``: nobody is asked, no private key of a ring is read, and so there are no rings.
    """
    attach = settings.attach
    attaching = _attaching_tokens(policy)
    if attaching and (attach is None or not attach.has_tokens):
        message = f"required: the route {attaching[0]} attaches tokens, and there is nowhere to get them from"
        problems.append(Problem(source, 0, 0, "attach" if attach is None else "attach.issuer", message))
    if attach is None:
        return None
    before = len(problems)
    problems += _certificate_problems(attach)
    own = _own_keys(attach.client_id, settings, source, problems, is_offline=is_offline)
    keys = read_signing_keys(attach.signing_keys, problems)
    return None if len(problems) > before else AttachInputs(settings=attach, own=own, signing_keys=keys)


def asks_for_tokens(policy: Policy | None) -> bool:
    """Whether some route would verify a token, or nobody knows."""
    return policy is None or any(asks.credential in _VERIFIED for route in policy.table.routes for asks in route.parts)


def _files(asked: AttachIssuer) -> IdentityFiles:
    return IdentityFiles(certificate=asked.certificate, key=asked.key, ca=asked.ca)


def _attaching_tokens(policy: Policy | None) -> list[str]:
    routes = () if policy is None else policy.table.routes
    return [route.name for route in routes if route.attachment is not None]


def _certificate_problems(attach: Attach) -> list[Problem]:
    problems: list[Problem] = []
    path = attach.certificate
    if attach.issuer is not None:
        path = attach.issuer.certificate
        problems += readable_by_others(attach.issuer.key)
        try:
            _files(attach.issuer).read()
        except IdentityError as error:
            return [*problems, Problem(str(attach.issuer.key), 0, 0, "", str(error))]
    if path is None:
        return problems
    try:
        named = read_certificate(path).spiffe_id
    except OwnCertificateError as error:
        return [*problems, Problem(str(path), 0, 0, "", str(error))]
    if attach.issuer is not None and attach.issuer.binding == "workload" and named is None:
        message = "attach.issuer.binding is workload, and this certificate has no SPIFFE ID to bind to"
        problems.append(Problem(str(path), 0, 0, "", message))
    return problems


def _own_keys(
    client_id: str | None, settings: Settings, source: str, problems: list[Problem], *, is_offline: bool
) -> OwnKeys | None:
    issuer = settings.issuer
    if client_id is None or issuer is None:
        return None
    before = len(problems)
    client = _client(client_id, issuer, source, problems)
    listener = IssuerLog(new_logger(settings.log.level))
    rings: Mapping[str, KeyRing] = {}
    if is_offline:
        problems += ring_problems(issuer, source)
    else:
        rings = rings_from(issuer, clock=SystemClock(), listener=listener, source=source, problems=problems)
    sealer = sealer_from(issuer, problems)
    return None if client is None or len(problems) > before else OwnKeys(client=client, rings=rings, sealer=sealer)


def _client(client_id: str, issuer: Issuer, source: str, problems: list[Problem]) -> Client | None:
    clients = read_client_list(issuer, problems)
    if clients is None:
        return None
    fault = None
    if client_id not in clients:
        fault = "has no such client"
    elif clients[client_id].needs_dpop:
        fault = "has it with dpop: required, and here is no proof"
    if fault is not None:
        problems.append(Problem(source, 0, 0, "attach.client_id", f"{issuer.clients} {fault}"))
    return clients.get(client_id)
