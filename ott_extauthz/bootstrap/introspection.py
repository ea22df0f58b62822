"""Who asks token issuers, with which files, and what is wrong with those, or with the routes that count on them?"""

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ott_extauthz.authn.introspection import AnswerRules
from ott_extauthz.bootstrap.secret_files import readable_by_others, why_unreadable
from ott_extauthz.check.answers import Answers
from ott_extauthz.check.credentials.introspected import AskedIssuer
from ott_extauthz.check.introspecting import IntrospectionObserver, Introspector
from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.routes import CredentialKind, Route
from ott_extauthz.ports import Clock, Entropy, Signer
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.sections.introspection import AssertionAlgorithm, Introspection, confusable
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.settings import Settings
from ott_extauthz.stores.signing import signer_from
from ott_extauthz.wire.files_in_use import FilesInUse
from ott_extauthz.wire.introspection_client import AsClient, ByAssertion, ByCertificate, BySecret
from ott_extauthz.wire.introspection_http import HttpIntrospection
from ott_extauthz.wire.verified_tls import client_context

CONFUSABLE: Final = (
    "takes opaque tokens of several issuers that nobody could tell apart, and a token is shown to its own issuer "
    "alone: give each a prefix in ott.yaml (introspection), or name one of them in issuers"
)
UNNAMED: Final = (
    "takes access tokens of several issuers, one of which is asked about them, and their users and clients may have "
    "one name: say which ones in issuers"
)


@dataclass(frozen=True, slots=True)
class Introspectors:
    """Those who ask, and what they ask."""

    issuers: tuple[AskedIssuer, ...] = ()
    endpoints: tuple[HttpIntrospection, ...] = ()

    async def aclose(self) -> None:
        """End every question, and let go of the connections."""
        for issuer in self.issuers:
            await issuer.introspector.aclose()
        for endpoint in self.endpoints:
            await endpoint.aclose()


def new_introspectors(
    entries: Sequence[Introspection],
    bounds: ClockBounds,
    *,
    clock: Clock,
    entropy: Entropy,
    observer: IntrospectionObserver,
) -> Introspectors:
    """Return who asks the issuers of ``entries``; nobody is asked yet.

    Raises:
        OSError: a file cannot be used any more.
        ValueError: the same.
    """
    endpoints = tuple(_endpoint(entry, clock, entropy) for entry in entries)
    return Introspectors(
        tuple(
            _asked_issuer(entry, endpoint, bounds, clock, observer)
            for entry, endpoint in zip(entries, endpoints, strict=True)
        ),
        endpoints,
    )


def introspection_problems(entries: Sequence[Introspection], source: str) -> list[Problem]:
    """Return what is wrong with the files that asking needs, each with the setting that names it."""
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        place = f"introspection[{index}]"
        for setting, path, read in _files_of(entry):
            try:
                read()
            except OSError as error:
                why = f"{path}: {_NO_PEM}" if isinstance(error, ssl.SSLError) else why_unreadable(path, error)
                problems.append(Problem(source, 0, 0, f"{place}.{setting}", why))
            except ValueError as error:
                problems.append(Problem(source, 0, 0, f"{place}.{setting}", f"{path}: {error}"))
        for secret in filter(None, (entry.secret_file, entry.key)):
            if secret.exists():
                problems += readable_by_others(secret)
    return problems


def introspection_lacks(route: Route, settings: Settings) -> Iterator[str]:
    """Yield what keeps a route's opaque tokens, and whom they name, from being their own issuer's business alone."""
    for asks in route.parts:
        if asks.credential is not CredentialKind.ACCESS_TOKEN:
            continue
        if confusable([each for each in settings.introspection if asks.issuers is None or each.issuer in asks.issuers]):
            yield CONFUSABLE
        elif asks.issuers is None and settings.introspection and len(_who_may_come(settings)) > 1:
            yield UNNAMED


def _who_may_come(settings: Settings) -> set[str]:
    return {each.issuer for each in (*settings.introspection, *(settings.trust or ()))}


def are_all_asked_about(routes: Sequence[Route], settings: Settings) -> bool:
    """Whether every token that these routes take is one that somebody is asked about: no key need be trusted."""
    names = {each.issuer for each in settings.introspection}
    return bool(names) and all(
        asks.credential is CredentialKind.ACCESS_TOKEN and names >= (names if asks.issuers is None else asks.issuers)
        for route in routes
        for asks in route.parts
    )


_NO_PEM: Final = "no certificate in PEM form, or no unencrypted key of that certificate"


def _files_of(entry: Introspection) -> Iterator[tuple[str, Path, Callable[[], object]]]:
    if entry.ca is not None:
        yield "ca", entry.ca, partial(client_context, entry.ca)
    if entry.secret_file is not None:
        yield "secret_file", entry.secret_file, partial(_secret, entry.secret_file)
    if entry.certificate is not None:
        yield "certificate", entry.certificate, partial(client_context, None, entry.certificate, entry.key)
    if entry.key is not None and entry.algorithm is not None:
        yield "key", entry.key, partial(_signer, entry.key, entry.algorithm)


def _asked_issuer(
    entry: Introspection,
    endpoint: HttpIntrospection,
    bounds: ClockBounds,
    clock: Clock,
    observer: IntrospectionObserver,
) -> AskedIssuer:
    kept = entry.cache
    return AskedIssuer(
        prefix=entry.prefix,
        is_always_asked=entry.always,
        introspector=Introspector(
            issuer=entry.issuer,
            endpoint=endpoint,
            answers=Answers(
                clock=clock,
                active_seconds=kept.active / 1000,
                inactive_seconds=kept.inactive / 1000,
                most=kept.entries,
            ),
            most_in_flight=entry.max_in_flight,
            clock=clock,
            observer=observer,
        ),
        rules=AnswerRules(
            issuer=entry.issuer,
            audiences={ours: frozenset(theirs) for ours, theirs in entry.audiences.items()},
            may_lack=frozenset[str](entry.may_lack),
            is_single_use=entry.single_use,
            iat_lead_ms=bounds.iat_lead,
            exp_leeway_ms=bounds.exp_leeway,
        ),
    )


def _endpoint(entry: Introspection, clock: Clock, entropy: Entropy) -> HttpIntrospection:
    context = None
    if entry.plain_loopback is None:
        key = None if entry.certificate is None else entry.key
        paths = [path for path in (entry.ca, entry.certificate, key) if path is not None]
        context = FilesInUse(paths, partial(client_context, entry.ca, entry.certificate, key))
    return HttpIntrospection(
        url=entry.endpoint,
        context=context,
        client=_client(entry, clock, entropy),
        timeout_seconds=entry.timeout / 1000,
        connections=entry.max_in_flight,
    )


def _client(entry: Introspection, clock: Clock, entropy: Entropy) -> AsClient:
    if entry.secret_file is not None:
        return BySecret(entry.client_id, FilesInUse([entry.secret_file], partial(_secret, entry.secret_file)))
    if entry.algorithm is None or entry.key is None:
        return ByCertificate(entry.client_id)
    return ByAssertion(
        client_id=entry.client_id,
        audience=entry.assertion_audience or entry.issuer,
        kid=entry.kid,
        signer=FilesInUse([entry.key], partial(_signer, entry.key, entry.algorithm)),
        clock=clock,
        entropy=entropy,
    )


def _secret(path: Path) -> str:
    try:
        secret = bounded(path).decode("ascii").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("not ASCII") from None
    if not secret:
        raise ValueError("empty")
    return secret


def _signer(path: Path, algorithm: AssertionAlgorithm) -> Signer:
    try:
        key = load_pem_private_key(bounded(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts may quote what they read
        raise ValueError("no unencrypted PKCS#8 private key") from None
    signer = signer_from(key, algorithm)
    if signer is None:
        raise ValueError(f"no key that {algorithm} may sign with")
    return signer
