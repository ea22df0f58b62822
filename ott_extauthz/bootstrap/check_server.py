"""One Check server: built from settings, started, watched, drained."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from ott_extauthz.bootstrap.audit_files import audit_path, not_opened, rotation_of
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.credentials import credentials_from
from ott_extauthz.bootstrap.inputs import CheckInputs
from ott_extauthz.bootstrap.introspection import Introspectors, new_introspectors
from ott_extauthz.bootstrap.key_sets import following
from ott_extauthz.bootstrap.known_clients import KnownClients, known_names
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.bootstrap.signals import on_hangup
from ott_extauthz.bootstrap.tracing import CheckTracer, new_check_tracer
from ott_extauthz.bootstrap.used_lists import new_used_list
from ott_extauthz.bootstrap.workload_tokens import WorkloadTokens, new_tokens
from ott_extauthz.check.attaching import Attaching
from ott_extauthz.check.checker import Checker
from ott_extauthz.check.introspecting import IntrospectionObserver
from ott_extauthz.check.shadow import SecondPolicy
from ott_extauthz.check.signing_out import Signing
from ott_extauthz.check.single_use import SingleUse
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.observe.alarms import Alarms
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.observe.api_keys import show_api_keys
from ott_extauthz.observe.audit import AuditFile, NoAudit
from ott_extauthz.observe.certificate_ends import CertificateEnds
from ott_extauthz.observe.departures import Departures
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.in_force import Report, report_of, show_policies
from ott_extauthz.observe.introspections import IntrospectionMetrics
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.listeners import Listeners
from ott_extauthz.observe.log import DecisionLog, Logger, tell_audit, tell_store
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.observe.reloads import Reloads, warn_of_shadow
from ott_extauthz.observe.step_times import StepTimes
from ott_extauthz.observe.timing import CheckTimes, TimedIntrospections
from ott_extauthz.ports import Clock, UsedList
from ott_extauthz.reload.reloader import Reloader
from ott_extauthz.sections.words import file_name
from ott_extauthz.settings import Settings
from ott_extauthz.wire.admin_http import Admin, admin_app
from ott_extauthz.wire.authorization import Authorization
from ott_extauthz.wire.check_server import CheckServer
from ott_extauthz.wire.http_server import serve_http
from ott_extauthz.wire.peer import PeerCertificates

SHADOW_DELAY_SECONDS: Final = 0.002
"""The answer is on its way by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckApp:
    """The running parts of one Check server."""

    server: CheckServer
    used_list: UsedList
    metrics: Metrics
    audit: AuditFile | NoAudit
    sources: Sources
    reloads: Reloads
    reloader: Reloader
    introspectors: Introspectors
    known: Callable[[], dict[str, frozenset[str]]]
    departures: Departures
    tokens: WorkloadTokens | None = None
    tracer: CheckTracer | None = None

    def report(self) -> Report:
        """Return what is in force, and which names the metrics have by it."""
        return replace(report_of(self.sources.all()), known=self.known())

    async def readiness(self) -> tuple[bool, list[str]]:
        """Whether calls are taken; a broken store shows, but does not take every server out of rotation at once.

        Nor does an issuer that is out of reach, once its keys were there.
        """
        store = await self.used_list.health()
        report = self.report()
        return self.server.is_serving and report.is_ready, [*report.lines, f"store: {store.detail}"]

    def metrics_text(self, accept: str) -> tuple[bytes, str]:
        """Return what a scrape gets, and its content type."""
        return exposition(self.metrics.registry, accept, self.metrics.exemplars.latest(), self.departures)

    def ask(self) -> None:
        """Have every file looked at, and every key set fetched, as soon as may be."""
        self.reloader.ask()
        for key_set in self.sources.followed:
            key_set.want()


def build(
    settings: Settings,
    inputs: CheckInputs,
    *,
    address: str,
    logger: Logger,
    clock: Clock | None = None,
) -> CheckApp:
    """Put one Check server together; nothing runs yet but the listening socket.

    Raises:
        ListenError: the address cannot be listened on.
        DocumentError: the audit file cannot be opened.
        OSError: a file of ``introspection`` cannot be used any more.
        ValueError: such a file holds something else by now.
    """
    clock, bounds = clock or SystemClock(), settings.clock
    metrics = Metrics(transport=settings.listen.chosen_transport, region=settings.region, max_skew_ms=bounds.max_skew)
    tracer = new_check_tracer(
        settings, inputs.tracing, address=address, registry=metrics.registry, logger=logger, clock=clock,
        on_fault=metrics.faulted,
    )  # fmt: skip
    times = _times(settings, metrics, tracer, clock)
    log = _decision_log(settings, logger, metrics, clock)
    observer = Listeners(metrics, log, *([times] if times else []), on_broken=metrics.faulted)
    used_list = new_used_list(
        settings, clock=clock, on_change=partial(tell_store, logger), on_look=metrics.store.looked,
        on_sweep_failed=metrics.store.sweep_failed,
    )  # fmt: skip
    audit = _audit(settings, address, metrics, logger)
    reloads = Reloads(logger, metrics)
    sources = sources_of(
        settings, inputs, clock=clock, listener=reloads, on_fault=metrics.faulted,
        outlet=tracer.outlet if tracer else None,
    )  # fmt: skip
    show_policies(metrics.registry, lambda: [report_of(sources.all())])
    show_api_keys(metrics.registry, lambda: [report_of(sources.all())], clock.now_ms)
    metrics.registry.register(CertificateEnds.of("check", settings.listen.tls))
    clients = metrics.clients = KnownClients(sources)
    metrics.expect(inputs.policy)
    warn_of_shadow(logger, inputs.policy)
    domains = sources.trust_domains
    tokens = new_tokens(inputs.attach, settings.issuer, clock=clock, entropy=secrets.token_bytes)
    introspectors = new_introspectors(
        settings.introspection, bounds, clock=clock, entropy=secrets.token_bytes,
        observer=_introspections(metrics, times),
    )  # fmt: skip
    checker = Checker(
        policy=sources.policy.current,
        credentials=credentials_from(settings, sources, introspectors, nonce_secret=inputs.nonce_secret),
        single_use=SingleUse(
            used_list=used_list,
            clock=clock,
            observer=observer,
            exp_leeway_ms=bounds.exp_leeway,
            max_skew_ms=bounds.max_skew,
            on_repeat=metrics.repeated,
        ),
        audit=audit,
        observer=observer,
        clock=clock,
        entropy=secrets.token_bytes,
        region=settings.region,
        asn_of=inputs.asn_of,
        second=_second(sources, audit, observer),
        attaching=_attaching(tokens, sources, clock),
        is_timed=times is not None,
    )
    authorization = Authorization(
        checker=checker,
        certificates=PeerCertificates(
            settings.client_certificate, None if domains is None else domains.proves_principal
        ),
        observer=observer,
        clock=clock,
        expose_reasons=settings.expose_reasons,
        metadata_namespace=settings.envoy_payload.namespace,
        timing=times,
    )
    server = CheckServer(authorization=authorization, settings=settings.listen, address=address, drain=settings.drain)
    every = settings.reload.every / 1000 or None
    reloader = Reloader(sources.in_files(), every=every, on_fault=metrics.faulted)

    def known() -> dict[str, frozenset[str]]:
        return known_names(sources, clients())

    departures = Departures(
        lambda: known() | {"server": metrics.store.servers}, clock.monotonic, metrics.forget
    )  # fmt: skip

    return CheckApp(
        server=server, used_list=used_list, metrics=metrics, audit=audit,
        sources=sources, reloads=reloads, reloader=reloader, introspectors=introspectors,
        tokens=tokens, tracer=tracer, known=known, departures=departures,
    )  # fmt: skip


def _decision_log(settings: Settings, logger: Logger, metrics: Metrics, clock: Clock) -> DecisionLog:
    room = {what: Allowance(settings.log.refusals_per_second, clock.monotonic) for what in LeftOut}
    return DecisionLog(logger, room=room, alarms=Alarms(clock.monotonic), on_left_out=metrics.log_left_out)


def _times(settings: Settings, metrics: Metrics, tracer: CheckTracer | None, clock: Clock) -> CheckTimes | None:
    tell = [] if tracer is None else [tracer.checks.answered]
    if settings.metrics.steps:
        tell.append(StepTimes(metrics.registry).answered)
    if not tell:
        return None
    return CheckTimes(monotonic=clock.monotonic, tell=tell, on_fault=metrics.faulted, store=settings.store.asked)


def _introspections(metrics: Metrics, times: CheckTimes | None) -> IntrospectionObserver:
    counts = IntrospectionMetrics(metrics.registry, on_fault=metrics.faulted)
    return counts if times is None else TimedIntrospections(counts, times)


def _attaching(tokens: WorkloadTokens | None, sources: Sources, clock: Clock) -> Attaching:
    signatures = Signing(key_named=sources.signing_key, entropy=secrets.token_bytes)
    return Attaching(clock=clock, tokens=tokens, signatures=signatures)


def _second(sources: Sources, audit: AuditFile | NoAudit, observer: Listeners) -> SecondPolicy | None:
    if sources.shadow_policy is None:
        return None
    return SecondPolicy(policy=sources.shadow_policy.current, audit=audit, observer=observer, later=_after_the_answer)


def _after_the_answer(ask: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(SHADOW_DELAY_SECONDS, ask)


async def serve(
    app: CheckApp,
    *,
    admin: str | None,
    until: asyncio.Event,
    on_serving: Callable[[], None],
    on_report: Callable[[Callable[[], Report]], None] = lambda _: None,
) -> None:
    """Serve until ``until`` is set, then drain; the order of starting and leaving is this function.

    ``on_report`` is told, from any thread, to ask what is in force, whenever that changes.

    Raises:
        ListenError: the admin address cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(
            on_hangup(app.audit.reopen, app.ask)
        )  # first: while the store is looked for, it would end us
        if app.tracer is not None:
            stack.push_async_callback(app.tracer.aclose)
        stack.callback(app.audit.close)
        stack.push_async_callback(app.used_list.close)
        stack.push_async_callback(app.introspectors.aclose)
        await app.used_list.start()
        if app.tokens is not None:
            app.tokens.start(on_fault=app.metrics.faulted)
            stack.push_async_callback(app.tokens.aclose)
        if admin is not None:
            endpoints = Admin(metrics=app.metrics_text, readiness=app.readiness)
            runner = await serve_http(admin_app(endpoints), admin, setting="listen.admin", on_fault=app.metrics.faulted)
            stack.push_async_callback(runner.cleanup)
        await stack.enter_async_context(following(app.sources.followed))
        await app.server.start()
        stack.push_async_callback(app.server.leave)
        app.reloads.on_change = lambda: on_report(app.report)
        app.reloader.start()
        stack.callback(app.reloader.stop)
        on_serving()
        await until.wait()


def _audit(settings: Settings, address: str, metrics: Metrics, logger: Logger) -> AuditFile | NoAudit:
    audit = settings.audit
    if audit is None:
        return NoAudit()
    path, tell = audit_path(audit, f"decisions-{file_name(address)}.jsonl"), partial(tell_audit, logger)
    try:
        return AuditFile(path, required=audit.required, metrics=metrics, rotation=rotation_of(audit), tell=tell)
    except OSError as error:
        raise DocumentError([Problem("audit.path", 0, 0, "", not_opened(path, error))]) from None
