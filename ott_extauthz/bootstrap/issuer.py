"""The issuer: built from settings, and run until it is told to leave."""

import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

import uvloop
from aiohttp import web

from ott_extauthz.authn.dpop import DPOP_ALGORITHMS
from ott_extauthz.authn.mandates import MANDATE
from ott_extauthz.bootstrap.client_authentication import client_certificates, warnings_of
from ott_extauthz.bootstrap.client_set import changes_between
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.issuer_audit import issuer_audit
from ott_extauthz.bootstrap.issuer_batches import batch_server
from ott_extauthz.bootstrap.issuer_desks import desks_of, endpoints
from ott_extauthz.bootstrap.issuer_inputs import CONFIGURATION, IssuerInputs, issuer_inputs
from ott_extauthz.bootstrap.issuer_reloading import IssuerSources, issuer_sources
from ott_extauthz.bootstrap.issuer_tracing import IssuerTracer, new_issuer_tracer
from ott_extauthz.bootstrap.known_clients import known_to_issuer
from ott_extauthz.bootstrap.lost_lines import count_lost
from ott_extauthz.bootstrap.rings import jwks_max_age_seconds, running_rings
from ott_extauthz.bootstrap.signals import on_hangup, stop_on_signals
from ott_extauthz.bootstrap.used_lists import new_used_list
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.client import Method
from ott_extauthz.issuer.desks import CurrentDesks
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.private_key_jwt import ALGORITHMS
from ott_extauthz.issuer.token_endpoint import TokenEndpoint
from ott_extauthz.issuer.tracing import NoTracing, RequestTracing
from ott_extauthz.issuer.trail import IssuerTrail
from ott_extauthz.observe.certificate_ends import CertificateEnds
from ott_extauthz.observe.departures import Departures
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.in_force import report_of, show_policies
from ott_extauthz.observe.issuer_audit import AuditedEvents
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.issuer_reloads import IssuerReloads
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.listeners import IssuerListeners
from ott_extauthz.observe.log import new_logger, tell_audit, tell_store
from ott_extauthz.observe.standard_error import StandardError
from ott_extauthz.ports import Clock, Entropy, StoreHealth, UsedList
from ott_extauthz.reload.source import ReloadListener
from ott_extauthz.settings import Settings
from ott_extauthz.wire.admin_http import Admin, admin_app
from ott_extauthz.wire.http_server import serve_http
from ott_extauthz.wire.issuer_grpc_server import IssuerServer
from ott_extauthz.wire.issuer_http import Issuer, issuer_app
from ott_extauthz.wire.issuer_keys import PublishedKeys
from ott_extauthz.wire.issuer_metadata import Abilities, IssuerUrls
from ott_extauthz.wire.issuer_tls import RotatingContext, TlsFiles, TlsFilesError


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerApp:
    """The parts of one issuer: its HTTP application, what judges requests, and what may change."""

    app: web.Application
    inputs: IssuerInputs
    sources: IssuerSources
    used_list: UsedList
    context: RotatingContext | None
    trail: IssuerTrail
    tracing: RequestTracing
    tracer: IssuerTracer | None

    async def readiness(self) -> tuple[bool, list[str]]:
        """Whether requests are taken, and what is in force.

        Keys and clients are loaded before anything listens, so whoever can ask is answered by an issuer that can mint.
        A broken store, or a foreign issuer whose keys never came, shows, and stops only clients who need them; it does
        not take every issuer out of rotation.
        """
        store = await self.used_list.health()
        return True, [*report_of(self.sources.all()).lines, f"store: {store.detail}"]


def assemble(  # noqa: PLR0913 - what an issuer is made of, and who is told
    settings: Settings,
    *,
    clock: Clock,
    entropy: Entropy,
    observer: IssuerObserver,
    trail: IssuerTrail,
    listener: ReloadListener,
    on_store_change: Callable[[StoreHealth], None] = lambda _: None,
    on_store_look: Callable[[StoreHealth], None] = lambda _: None,
    on_sweep_failed: Callable[[], None] = lambda: None,
    new_tracer: Callable[[IssuerInputs], IssuerTracer | None] = lambda _: None,
    source: str = CONFIGURATION,
) -> IssuerApp:
    """Put the issuer together; nothing listens or looks yet.  ``new_tracer`` says who tells of it as spans.

    Raises:
        DocumentError: everything that keeps the issuer from starting.
    """
    inputs = issuer_inputs(settings, clock=clock, listener=observer, source=source)
    context = None if inputs.tls is None else _context(inputs.tls, observer, source)
    used_list = new_used_list(
        settings, clock=clock, on_change=on_store_change, on_look=on_store_look, on_sweep_failed=on_sweep_failed
    )
    tracer = new_tracer(inputs)
    trail, tracing = (tracer.trail(trail), tracer.spans) if tracer else (trail, NoTracing())
    new_endpoint_for = endpoints(
        inputs, settings, used_list, clock=clock, entropy=entropy, observer=observer, trail=trail, tracer=tracer
    )
    sources = issuer_sources(
        inputs,
        lambda known: desks_of(known, new_endpoint_for(known), iat_lead_ms=settings.clock.iat_lead),
        context=context, source=source, clock=clock, listener=listener, on_fault=observer.faulted,
        tracing=settings.tracing, outlet=tracer.outlet if tracer else None,
    )  # fmt: skip
    app = _app(inputs, sources.clients.desks, used_list, clock=clock, observer=observer, trail=trail, tracing=tracing)
    return IssuerApp(
        app=app, inputs=inputs, sources=sources, used_list=used_list, context=context, trail=trail, tracing=tracing,
        tracer=tracer,
    )  # fmt: skip


def run_issuer(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy = secrets.token_bytes,
    source: str = CONFIGURATION,
    log: StandardError | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, then let running requests finish; returns the exit code.

    ``log`` is what loses lines that are to be counted.

    Raises:
        DocumentError: everything that keeps the issuer from starting.
        ListenError: an address cannot be listened on.
        OSError: the audit cannot be opened.
    """
    clock, logger = clock or SystemClock(), new_logger(settings.log.level)
    metrics = IssuerMetrics(clock.now_ms, max_skew_ms=settings.clock.max_skew)
    audit = issuer_audit(settings, counts=metrics, clock=clock, source=source, tell=partial(tell_audit, logger))
    observer = IssuerListeners(metrics, IssuerLog(logger), AuditedEvents(audit), on_broken=metrics.faulted)
    new_tracer = partial(
        new_issuer_tracer, settings, registry=metrics.registry, logger=logger, clock=clock, on_fault=metrics.faulted
    )
    issuer = assemble(
        settings, clock=clock, entropy=entropy, observer=observer, trail=audit, new_tracer=new_tracer,
        listener=IssuerReloads(logger, metrics, audit, changes_between),
        on_store_change=partial(tell_store, logger), on_store_look=metrics.store.looked,
        on_sweep_failed=metrics.store.sweep_failed, source=source,
    )  # fmt: skip
    show_policies(metrics.registry, lambda: [report_of(issuer.sources.all())])
    metrics.registry.register(CertificateEnds.of("issuer", issuer.inputs.tls))
    for warning in warnings_of(issuer.inputs, settings):
        logger.warning("issuer", warning=warning)
    departures = Departures(
        lambda: known_to_issuer(issuer.sources.clients.source.current().clients, metrics.store.servers),
        clock.monotonic, metrics.forget,
    )  # fmt: skip
    admin = Admin(
        metrics=partial(exposition, metrics.registry, departures=departures), readiness=issuer.readiness
    )  # fmt: skip
    grace = settings.drain.grace / 1000
    desks = issuer.sources.clients.desks
    grpc_server = partial(
        batch_server, issuer.inputs, desks, clock=clock, observer=observer, trail=issuer.trail, grace=grace,
        tracing=issuer.tracing,
    )  # fmt: skip
    following = issuer.sources.looked_after(every=settings.reload.every / 1000 or None, on_fault=metrics.faulted)
    serving = _serve(
        issuer, following, audit.reopen, grace=grace, admin=admin, grpc_server=grpc_server, on_fault=metrics.faulted,
        on_loop=partial(count_lost, log, partial(metrics.log_left_out, LeftOut.UNWRITTEN)),
    )  # fmt: skip
    try:
        uvloop.run(serving)
    finally:
        audit.close()
    return 0


async def _serve(  # noqa: PLR0913 - what is served, where, and who is told
    issuer: IssuerApp,
    following: AbstractAsyncContextManager[Callable[[], None]],
    reopen: Callable[[], None],
    *,
    grace: float,
    admin: Admin,
    grpc_server: Callable[[], IssuerServer | None],
    on_fault: Callable[[str], None],
    on_loop: Callable[[], None],
) -> None:
    on_loop()
    settings, context = issuer.inputs.settings, issuer.context
    until = stop_on_signals()
    async with AsyncExitStack() as stack:
        if issuer.tracer is not None:
            stack.push_async_callback(issuer.tracer.outlet.aclose)
        if settings.admin is not None:
            operators = await serve_http(admin_app(admin), settings.admin, setting="issuer.admin", on_fault=on_fault)
            stack.push_async_callback(operators.cleanup)
        stack.enter_context(on_hangup(reopen, await stack.enter_async_context(following)))
        runner = await serve_http(
            issuer.app, settings.listen, setting="issuer.listen", context=context, grace=grace, on_fault=on_fault
        )
        stack.push_async_callback(runner.cleanup)
        batches = grpc_server()
        if batches is not None:
            stack.push_async_callback(batches.leave)
            await batches.start()
        sys.stderr.write(f"issuer: serving {_address(runner, 'http' if context is None else 'https')}\n")
        if batches is not None:
            sys.stderr.write(f"issuer: serving gRPC on {batches.address}\n")
        sys.stderr.flush()
        await until.wait()


def _address(runner: web.AppRunner, scheme: str) -> str:
    """Name the address really taken: with port 0 the system chose it."""
    taken = runner.addresses[0]
    if isinstance(taken, str):
        return f"unix://{taken}"
    host, port = taken[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _app(  # noqa: PLR0913 - what it answers with, and who is told
    inputs: IssuerInputs,
    desks: CurrentDesks,
    used_list: UsedList,
    *,
    clock: Clock,
    observer: IssuerObserver,
    trail: IssuerTrail,
    tracing: RequestTracing,
) -> web.Application:
    app = issuer_app(
        Issuer(
            urls=IssuerUrls(inputs.settings.url),
            abilities=_abilities(desks().endpoint),
            desks=desks,
            keys=PublishedKeys(inputs.rings, max_age_seconds=jwks_max_age_seconds(inputs.settings)),
            clock=clock,
            observer=observer,
            trail=trail,
            certificates=client_certificates(inputs),
            tracing=tracing,
        )
    )
    app.cleanup_ctx.append(lambda _: running_rings(inputs.rings.values(), on_fault=observer.faulted))
    app.cleanup_ctx.append(partial(_open_store, used_list))
    return app


def _abilities(endpoint: TokenEndpoint) -> Abilities:
    methods = endpoint.authenticator.methods
    return Abilities(
        grant_types=list(endpoint.grants),
        authentication_methods=methods,
        authentication_algorithms=ALGORITHMS if Method.PRIVATE_KEY_JWT in methods else (),
        dpop_algorithms=DPOP_ALGORITHMS,
        authorization_details_types=[MANDATE],
    )


async def _open_store(used_list: UsedList, _: web.Application) -> AsyncIterator[None]:
    """Connect before anything listens, and let go when the last request is answered."""
    await used_list.start()
    yield
    await used_list.close()


def _context(files: TlsFiles, observer: IssuerObserver, source: str) -> RotatingContext:
    try:
        return RotatingContext(files, on_fault=observer.faulted)
    except TlsFilesError as error:
        raise DocumentError([Problem(source, 0, 0, "issuer.tls", str(error))]) from None
