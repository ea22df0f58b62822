"""What may change under a running issuer?  Its clients with their files, and the keys of foreign issuers.

``ott.yaml`` itself is read at the start only.  Key rings and TLS files are followed by themselves.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.client_set import ClientSet, files_of_clients, read_clients
from ott_extauthz.bootstrap.inputs import read_issuer
from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.bootstrap.key_sets import followed_key_sets, following, in_file
from ott_extauthz.bootstrap.named_files import NamedFiles
from ott_extauthz.bootstrap.span_outlet import SpanOutlet
from ott_extauthz.bootstrap.tracing_files import TracingFiles, tracing_source
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.issuer.desks import Desks
from ott_extauthz.ports import Clock
from ott_extauthz.reload.looks import look_at
from ott_extauthz.reload.reloader import Reloader
from ott_extauthz.reload.source import InForce, Kind, ReloadListener, Shown, Source
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.tracing import Tracing
from ott_extauthz.wire.followed_key_set import FollowedKeySet, unseen
from ott_extauthz.wire.issuer_tls import RotatingContext, TlsFilesError

NewDesks = Callable[[ClientSet], Desks]
"""Puts desks together that judge by these clients."""


class FollowedClients:
    """The clients in force, and the desks that judge by them: replaced together, or not at all."""

    def __init__(  # noqa: PLR0913 - what it follows, for whom, and who is told
        self,
        issuer: Issuer,
        new_desks: NewDesks,
        *,
        context: RotatingContext | None,
        source: str,
        clock: Clock,
        listener: ReloadListener,
    ) -> None:
        """``context`` is the TLS that knows listed certificates; None where no client shows one here.

        Raises:
            DocumentError: everything that is wrong with the clients.
        """
        self._issuer, self._new_desks, self._context, self._source_name = issuer, new_desks, context, source
        self._named = NamedFiles(issuer.clients, files_of_clients)
        look = look_at(self._files())  # before it is read: a change in between is one more look
        clients = self._load()
        self._desks = new_desks(clients)
        self.source: Source[ClientSet] = Source(
            kind=Kind.CLIENTS,
            name=str(issuer.clients),
            files=self._files,
            load=self._load,
            take=self._take,
            now_ms=clock.now_ms,
            listener=listener,
            in_force=InForce(clients, look, clock.now_ms()),
        )

    def desks(self) -> Desks:
        """Return the desks in force."""
        return self._desks

    def _files(self) -> list[Path]:
        return [self._issuer.clients, *self._named.now()]

    def _load(self) -> ClientSet:
        problems: list[Problem] = []
        clients = read_clients(self._issuer, self._source_name, problems)
        if not problems and clients is not None and self._context is not None:
            try:
                self._context.judge(clients.self_signed)
            except TlsFilesError as error:
                problems.append(Problem(str(self._issuer.clients), 0, 0, "clients", str(error)))
        if problems or clients is None:
            raise DocumentError(problems)
        return clients

    def _take(self, clients: ClientSet) -> None:
        if self._context is not None:
            self._context.relist(clients.self_signed)
        self._desks = self._new_desks(clients)


class IssuerSources:
    """Everything that may change, and who looks."""

    def __init__(
        self,
        clients: FollowedClients,
        key_sets: Sequence[Source[TrustedIssuer]],
        followed: Sequence[FollowedKeySet],
        tracing: Source[TracingFiles] | None = None,
    ) -> None:
        self.clients, self.key_sets, self.followed, self.tracing = clients, tuple(key_sets), tuple(followed), tracing

    def all(self) -> list[Shown]:
        """Return everything that may change, the clients first."""
        return [*self._in_files(), *self.followed]

    @asynccontextmanager
    async def looked_after(
        self, *, every: float | None, on_fault: Callable[[str], None]
    ) -> AsyncIterator[Callable[[], None]]:
        """Look every so many seconds (None: only when asked) within this block; yields what asks for a look now."""
        reloader = Reloader(self._in_files(), every=every, on_fault=on_fault)

        def ask() -> None:
            reloader.ask()
            for key_set in self.followed:
                key_set.want()

        async with following(self.followed):
            reloader.start()
            try:
                yield ask
            finally:
                reloader.stop()

    def _in_files(self) -> list[Source[Any]]:
        return [self.clients.source, *self.key_sets, *([self.tracing] if self.tracing else ())]


def issuer_sources(  # noqa: PLR0913 - what is followed, for whom, and who is told
    inputs: IssuerInputs,
    new_desks: Callable[[IssuerInputs], Desks],
    *,
    context: RotatingContext | None,
    source: str,
    clock: Clock,
    listener: ReloadListener,
    on_fault: Callable[[str], None],
    tracing: Tracing | None = None,
    outlet: SpanOutlet | None = None,
) -> IssuerSources:
    """Return what ``inputs`` were read from; ``inputs.subject_trust`` follows its key sets from now on.

    ``outlet`` sends spans, and follows the files of ``tracing``.

    Raises:
        DocumentError: a file has turned bad since it was read first.
    """
    trust, entries = inputs.subject_trust, inputs.settings.subject_issuers

    def key_set(name: str, path: Path, load: Callable[[], TrustedIssuer]) -> Source[TrustedIssuer]:
        look = look_at([path])
        trust[name] = load()
        return Source(
            kind=Kind.KEY_SET, name=name, files=partial(list, [path]), load=load, now_ms=clock.now_ms,
            listener=listener, in_force=InForce(trust[name], look, clock.now_ms()),
            take=partial(trust.__setitem__, name), ends_itself=True,
        )  # fmt: skip

    in_files = [
        key_set(entry.issuer, path, partial(read_issuer, entry, path))
        for entry in entries
        if (path := in_file(entry)) is not None
    ]
    followed = followed_key_sets(
        entries, clock=clock, listener=listener, on_fault=on_fault, on_fetched=outlet.fetched if outlet else unseen
    )
    trust |= {each.name: each.issuer for each in followed}
    clients = FollowedClients(
        inputs.settings,
        lambda clients: new_desks(replace(inputs, known=clients)),
        context=context if inputs.settings.client_certificate.source == "peer" else None,
        source=source,
        clock=clock,
        listener=listener,
    )
    if tracing is None or outlet is None:
        return IssuerSources(clients, in_files, followed)
    files = tracing_source(tracing, inputs.tracing, take=outlet.use, clock=clock, listener=listener)
    return IssuerSources(clients, in_files, followed, files)
