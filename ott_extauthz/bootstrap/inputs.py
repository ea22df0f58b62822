"""What does a Check server start from?  Policy and key sets read and judged, every problem of every file at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ott_extauthz.authn.api_keys import ApiKeys
from ott_extauthz.authn.decryption import DecryptionKeys
from ott_extauthz.authn.jwks import KeySetError, issuer_from
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_format import of_both_formats
from ott_extauthz.authn.outgoing.shared_keys import shared_keys
from ott_extauthz.authn.partners import Partners
from ott_extauthz.authn.paseto import PasetoUnavailableError, require_pyseto
from ott_extauthz.authn.trust_bundle import TrustBundle
from ott_extauthz.bootstrap.access_tokens import issuer_lacks
from ott_extauthz.bootstrap.attaching import AttachInputs, asks_for_tokens, attach_inputs
from ott_extauthz.bootstrap.introspection import are_all_asked_about, introspection_lacks, introspection_problems
from ott_extauthz.bootstrap.key_sets import in_file, key_set_problems, not_fetched
from ott_extauthz.bootstrap.named_files import NamedFiles
from ott_extauthz.bootstrap.partner_files import files_of_partners, read_partners
from ott_extauthz.bootstrap.partner_lacks import known_partners, partner_lacks
from ott_extauthz.bootstrap.policy_files import policy_files, read_policy
from ott_extauthz.bootstrap.proofs import nonce_secret
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.bootstrap.signing_keys import signing_lacks
from ott_extauthz.bootstrap.store_files import store_problems
from ott_extauthz.bootstrap.tracing_files import TracingFiles, tracing_files
from ott_extauthz.bootstrap.trust_bundles import bundle_files, read_bundles
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.policy.document import Policy
from ott_extauthz.policy.routes import CredentialKind, Route
from ott_extauthz.ports import AsnLookup
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.reload.looks import Look, look_at
from ott_extauthz.sections.trusted_issuers import IssuerKeys
from ott_extauthz.settings import Settings
from ott_extauthz.stores.api_key_file import load_api_keys
from ott_extauthz.stores.asn_file import AsnFileError, asn_lookup
from ott_extauthz.stores.encryption_files import load_decryption, private_files

_WITHOUT_GEOIP: Final = (
    "asks for the caller's network, which no call could meet: ott.yaml has no geoip, read at the start only"
)

_WITHOUT_DECRYPTION: Final = (
    "asks for encrypted tokens, and none could be opened: ott.yaml has no decryption, read at the start only"
)

_WITHOUT_API_KEYS: Final = "asks for an API key, and there could be none: ott.yaml has no api_keys"
_DNS_OF_NO_DOMAIN: Final = (
    "lists certificates by dns, and with trust_domains (ott.yaml) no such name counts: any authority could sign it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInputs:
    """Everything a Check server reads from files before it may start."""

    policy: Policy
    trust: dict[str, TrustedIssuer]
    asn_of: AsnLookup | None = None
    shadow_policy: Policy | None = None
    decryption: DecryptionKeys = field(default_factory=dict)
    api_keys: ApiKeys = field(default_factory=dict)
    looks: dict[tuple[Path, ...], Look] = field(default_factory=dict)
    attach: AttachInputs | None = None
    nonce_secret: bytes | None = field(default=None, repr=False)
    partners: Partners = field(default_factory=dict)
    trust_bundles: dict[str, TrustBundle] = field(default_factory=dict)
    paseto_trust: dict[str, TrustedIssuer] = field(default_factory=dict)
    tracing: TracingFiles = field(default_factory=TracingFiles)

    def look_of(self, paths: Sequence[Path]) -> Look:
        """Return how files looked before they were read, so that a change during the start is still a change."""
        return self.looks.get(tuple(paths)) or look_at(paths)


def check_inputs(settings: Settings, source: str, *, is_offline: bool = False) -> CheckInputs:
    """Read the policy and the key sets that ``settings`` name.

    ``is_offline`` is for whoever only looks: nobody is asked, and no private key of a ring is read.

    Raises:
        DocumentError: everything that keeps a Check server from starting, files and all.
    """
    problems: list[Problem] = []
    looks = {tuple(paths): look_at(paths) for paths in _changing(settings)}
    policy = _policy(settings, source, problems)
    shadow_policy = _read(settings.shadow_policy, settings, problems) if settings.shadow_policy else None
    _trust_problems(settings, source, problems, is_needed=_needs_keys(policy, settings))
    trust, paseto_trust = (_trust(settings.trusted(form), problems) for form in ("jwt", "paseto"))
    for issuer in paseto_trust.values():
        problems += [Problem(source, 0, 0, "trust", each) for each in of_both_formats(issuer, trust.values())]
    problems += introspection_problems(settings.introspection, source)
    if settings.listen.tls:
        problems += readable_by_others(settings.listen.tls.key)
    problems += store_problems(settings.store, source)
    asn_of = _asn_lookup(settings, problems)
    decryption = _decryption(settings, problems)
    partners = _partners(settings, problems)
    api_keys = _api_keys(settings, problems)
    attach = attach_inputs(settings, policy, source, problems, is_offline=is_offline)
    problems += _shared_keys(attach, partners, source)
    secret = nonce_secret(settings.dpop.nonce_secret, problems)
    trust_bundles = read_bundles(settings, problems)
    tracing = tracing_files(settings.tracing, source, problems)
    if problems or policy is None:
        raise DocumentError(problems)
    return CheckInputs(
        policy=policy, trust=trust, asn_of=asn_of, shadow_policy=shadow_policy, decryption=decryption, looks=looks,
        attach=attach, nonce_secret=secret, partners=partners, api_keys=api_keys, trust_bundles=trust_bundles,
        paseto_trust=paseto_trust, tracing=tracing,
    )  # fmt: skip


def _needs_keys(policy: Policy | None, settings: Settings) -> bool:
    return asks_for_tokens(policy) and not (policy and are_all_asked_about(policy.table.routes, settings))


def _policy(settings: Settings, source: str, problems: list[Problem]) -> Policy | None:
    if settings.policy is None:
        problems.append(Problem(source, 0, 0, "policy", "required: the file that says who may do what"))
        return None
    return _read(settings.policy, settings, problems)


def _read(paths: Sequence[Path], settings: Settings, problems: list[Problem]) -> Policy | None:
    try:
        return read_servable_policy(paths, settings)
    except DocumentError as error:
        problems += error.problems
    return None


def _trust_problems(settings: Settings, source: str, problems: list[Problem], *, is_needed: bool) -> None:
    if is_needed and not settings.trust:
        problems.append(Problem(source, 0, 0, "trust", "required: without a trusted issuer every token is refused"))
    if settings.trusted("paseto"):
        try:
            require_pyseto()
        except PasetoUnavailableError as error:
            problems.append(Problem(source, 0, 0, "trust", f"format: paseto {error}"))
    problems += key_set_problems(settings.trust or (), source)


def _trust(entries: Sequence[IssuerKeys], problems: list[Problem]) -> dict[str, TrustedIssuer]:
    trusted: dict[str, TrustedIssuer] = {}
    for entry in entries:
        path = in_file(entry)
        try:
            trusted[entry.issuer] = not_fetched(entry) if path is None else read_issuer(entry, path)
        except DocumentError as error:
            problems += error.problems
    return trusted


def read_servable_policy(paths: Sequence[Path], settings: Settings) -> Policy:
    """Read a policy that this server can enforce as it was started.

    Raises:
        DocumentError: every problem at once; also where a route asks for what ``settings`` do not have.
    """
    policy = read_policy(paths)
    partners = known_partners(settings.partners)
    problems = [
        Problem(", ".join(map(str, paths)), 0, 0, f"route {route.name}", lack)
        for route in policy.table.routes
        for lack in (*_lacks(route, settings), *partner_lacks(route, partners))
    ]
    if problems:
        raise DocumentError(problems)
    return policy


def _lacks(route: Route, settings: Settings) -> Iterator[str]:
    if settings.geoip is None and _asks_for_network(route):
        yield _WITHOUT_GEOIP
    if settings.decryption is None and route.encrypted:
        yield _WITHOUT_DECRYPTION
    if settings.api_keys is None and any(asks.credential is CredentialKind.API_KEY for asks in route.parts):
        yield _WITHOUT_API_KEYS
    if settings.trust_domains is not None and any(asks.callers and asks.callers.dns_names for asks in route.parts):
        yield _DNS_OF_NO_DOMAIN
    yield from issuer_lacks(route, settings)
    yield from signing_lacks(route, settings)
    yield from introspection_lacks(route, settings)


def _asks_for_network(route: Route) -> bool:
    own = route.limits.constraints
    return (own is not None and own.asn is not None) or route.rules.needs_asn


def _asn_lookup(settings: Settings, problems: list[Problem]) -> AsnLookup | None:
    if settings.geoip is None:
        return None
    try:
        return asn_lookup(settings.geoip.asn)
    except AsnFileError as error:
        problems.append(Problem(str(settings.geoip.asn), 0, 0, "", str(error)))
    except OSError as error:
        problems.append(unreadable(settings.geoip.asn, error))
    return None


def _decryption(settings: Settings, problems: list[Problem]) -> DecryptionKeys:
    if settings.decryption is None:
        return {}
    try:
        return load_decryption(settings.decryption)
    except DocumentError as error:
        problems += error.problems
    return {}


def _partners(settings: Settings, problems: list[Problem]) -> Partners:
    if settings.partners is None:
        return {}
    try:
        return read_partners(settings.partners)
    except DocumentError as error:
        problems += error.problems
    return {}


def _shared_keys(attach: AttachInputs | None, partners: Partners, source: str) -> Iterator[Problem]:
    for name, partner in shared_keys({} if attach is None else attach.signing_keys, partners):
        message = f"{name} is a key of the partner {partner}, too: what we sign could be sent back to us as its own"
        yield Problem(source, 0, 0, "attach.signing_keys", message)


def _api_keys(settings: Settings, problems: list[Problem]) -> ApiKeys:
    if settings.api_keys is None:
        return {}
    try:
        return load_api_keys(settings.api_keys.file)
    except DocumentError as error:
        problems += error.problems
    return {}


def read_issuer(entry: IssuerKeys, path: Path) -> TrustedIssuer:
    """Read a trusted issuer's key set from its file.

    Raises:
        DocumentError: every problem at once; also where the file cannot be read.
    """
    try:
        return issuer_from(entry.issuer, frozenset[str](entry.algorithms), bounded(path))
    except KeySetError as error:
        raise DocumentError(Problem(str(path), 0, 0, "", problem) for problem in error.problems) from None
    except OSError as error:
        raise DocumentError([unreadable(path, error)]) from None


def read_issuer_apart(entry: IssuerKeys, path: Path, others: Mapping[str, TrustedIssuer]) -> TrustedIssuer:
    """Read it as :func:`read_issuer` does, where ``others`` are the issuers that are trusted for the other format.

    Raises:
        DocumentError: the same; also where one of them has one of its keys.
    """
    issuer = read_issuer(entry, path)
    problems = [Problem(str(path), 0, 0, "", each) for each in of_both_formats(issuer, others.values())]
    if problems:
        raise DocumentError(problems)
    return issuer


def _changing(settings: Settings) -> list[list[Path]]:
    """Return the files of each thing that may change while we serve."""
    policies = [policy_files(paths) for paths in (settings.policy, settings.shadow_policy) if paths is not None]
    sealed = [private_files(settings.decryption)] if settings.decryption else []
    api_keys = [[settings.api_keys.file]] if settings.api_keys else []
    in_files = ([path] for entry in settings.trust or () if (path := in_file(entry)) is not None)
    partners = [NamedFiles(settings.partners, files_of_partners).all()] if settings.partners else []
    signing = ([entry.file] for entry in (settings.attach.signing_keys if settings.attach else ()))
    return [*policies, *sealed, *partners, *signing, *api_keys, *in_files, *bundle_files(settings)]
