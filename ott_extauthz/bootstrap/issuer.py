"""The issuer: built from settings, run until it is told to leave; and the operator's way to mint without it."""

import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.issuer_inputs import CONFIGURATION, IssuerInputs, issuer_inputs, issuer_settings
from ott_extauthz.bootstrap.rings import NobodyListens, jwks_max_age_seconds, ring_from, ring_settings, running_rings
from ott_extauthz.bootstrap.signals import stop_on_signals
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.authentication import MutualTls
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS, ClientCredentials
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder, OrderError
from ott_extauthz.issuer.token_endpoint import TokenEndpoint
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.listeners import IssuerListeners
from ott_extauthz.observe.log import new_logger
from ott_extauthz.observe.metrics import exposition
from ott_extauthz.ports import Clock, Entropy
from ott_extauthz.settings import Issuer as IssuerSettings
from ott_extauthz.settings import Settings
from ott_extauthz.wire.admin_http import Admin, admin_app
from ott_extauthz.wire.http_server import serve_http
from ott_extauthz.wire.issuer_http import Issuer, issuer_app
from ott_extauthz.wire.issuer_keys import PublishedKeys
from ott_extauthz.wire.issuer_metadata import IssuerUrls
from ott_extauthz.wire.issuer_peer import presented_from
from ott_extauthz.wire.issuer_tls import RotatingContext, TlsFilesError


def build_issuer(
    settings: Settings, *, clock: Clock, entropy: Entropy, observer: IssuerObserver, source: str = CONFIGURATION
) -> web.Application:
    """Put the issuer together; nothing listens yet.

    Raises:
        DocumentError: everything that keeps the issuer from starting.
    """
    inputs = issuer_inputs(settings, clock=clock, listener=observer, source=source)
    return _app(inputs, clock=clock, entropy=entropy, observer=observer)


def run_issuer(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy = secrets.token_bytes,
    source: str = CONFIGURATION,
) -> int:
    """Serve until SIGTERM or SIGINT, then let running requests finish; returns the exit code.

    Raises:
        DocumentError: everything that keeps the issuer from starting.
        OSError: the address cannot be listened on.
    """
    clock = clock or SystemClock()
    metrics = IssuerMetrics(clock.now_ms)
    observer = IssuerListeners(metrics, IssuerLog(new_logger(settings.log.level)), on_broken=metrics.faulted)
    inputs = issuer_inputs(settings, clock=clock, listener=observer, source=source)
    context = _context(inputs, observer, source)
    app = _app(inputs, clock=clock, entropy=entropy, observer=observer)
    grace = settings.drain.grace / 1000
    uvloop.run(_serve(app, context, inputs.settings, grace=grace, metrics=metrics))
    return 0


async def mint_token(  # noqa: PLR0913 - each is an option of `mint`
    settings: Settings,
    *,
    audience: str,
    client_id: str,
    scope: frozenset[str],
    certificate_pem: bytes | None = None,
    subject: str | None = None,
    lifetime_ms: int | None = None,
    narrowing: Mapping[str, Any] | None = None,
    ring: str = DEFAULT_RING,
    clock: Clock | None = None,
    entropy: Entropy = secrets.token_bytes,
    source: str = CONFIGURATION,
) -> str:
    """Mint one token with the issuer's own key, for tests and emergencies.

    Whoever may read the key may sign anything, so ``clients.yaml`` is not asked.  Without ``subject`` it is the
    certificate's SPIFFE ID, else ``client_id``: as the token endpoint does it.

    Raises:
        DocumentError: no issuer is configured, or it has no such ring.
        KeyFileError: the keys cannot be used.
        OrderError: a token like this must not exist, or the certificate cannot be read.
    """
    issuer = issuer_settings(settings, source)
    if ring not in ring_settings(issuer):
        raise DocumentError([Problem(source, 0, 0, "issuer.rings", f"no ring {ring}")])
    certificate = None if certificate_pem is None else _certificate(certificate_pem)
    order = MintOrder(
        subject=subject or (certificate and certificate.spiffe_id) or client_id,
        client_id=client_id,
        audience=audience,
        scope=scope,
        lifetime_ms=issuer.lifetime if lifetime_ms is None else lifetime_ms,
        thumbprint=None if certificate is None else certificate.sha256,
        narrowing=narrowing or {},
        ring=ring,
    )
    clock = clock or SystemClock()
    signing = ring_from(ring, ring_settings(issuer)[ring], issuer, clock=clock, listener=NobodyListens())
    minter = Minter(issuer=issuer.url, rings={ring: signing}, clock=clock, entropy=entropy)
    (token,) = await minter.mint([order])
    return token


async def _serve(
    app: web.Application,
    context: RotatingContext,
    settings: IssuerSettings,
    *,
    grace: float,
    metrics: IssuerMetrics,
) -> None:
    until, on_fault = stop_on_signals(), metrics.faulted
    async with AsyncExitStack() as stack:
        if settings.admin is not None:
            endpoints = Admin(metrics=lambda: exposition(metrics.registry), readiness=_ready)
            admin = await serve_http(admin_app(endpoints), settings.admin, on_fault=on_fault)
            stack.push_async_callback(admin.cleanup)
        runner = await serve_http(app, settings.listen, context=context, grace=grace, on_fault=on_fault)
        stack.push_async_callback(runner.cleanup)
        sys.stderr.write(f"issuer: serving {_address(runner)}\n")
        sys.stderr.flush()
        await until.wait()


async def _ready() -> tuple[bool, list[str]]:
    # Keys and clients are loaded before anything listens, so whoever can ask is answered by an issuer that can mint.
    return True, []


def _address(runner: web.AppRunner) -> str:
    """Name the address really taken: with port 0 the system chose it."""
    taken = runner.addresses[0]
    if isinstance(taken, str):
        return f"unix://{taken}"
    host, port = taken[:2]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _app(inputs: IssuerInputs, *, clock: Clock, entropy: Entropy, observer: IssuerObserver) -> web.Application:
    url = inputs.settings.url
    minter = Minter(issuer=url, rings=inputs.rings, clock=clock, entropy=entropy)
    endpoint = TokenEndpoint(
        authenticator=MutualTls(inputs.clients),
        grants={CLIENT_CREDENTIALS: ClientCredentials(lifetime_ms=inputs.settings.lifetime)},
        minter=minter,
    )
    keys = PublishedKeys(inputs.rings, max_age_seconds=jwks_max_age_seconds(inputs.settings))
    app = issuer_app(Issuer(urls=IssuerUrls(url), endpoint=endpoint, keys=keys, clock=clock, observer=observer))
    app.cleanup_ctx.append(lambda _: running_rings(inputs.rings.values(), on_fault=observer.faulted))
    return app


def _context(inputs: IssuerInputs, observer: IssuerObserver, source: str) -> RotatingContext:
    try:
        return RotatingContext(inputs.tls, on_fault=observer.faulted)
    except TlsFilesError as error:
        raise DocumentError([Problem(source, 0, 0, "issuer.tls", str(error))]) from None


def _certificate(pem: bytes) -> PresentedCertificate:
    try:
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError:
        raise OrderError("certificate: not a PEM certificate") from None
    certificate = presented_from(der)
    if certificate is None or not certificate.is_sound:
        raise OrderError("certificate: its names cannot be read, or it names more than one workload")
    return certificate
