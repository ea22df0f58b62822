"""How do clients get tokens?  OAuth 2.0 over TLS: ``/token``, ``/introspect``, ``/jwks``, metadata, ``/healthz``."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ott_extauthz.issuer.answer import answer_of
from ott_extauthz.issuer.desks import CurrentDesks
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.request import Form, TokenRequest
from ott_extauthz.issuer.tracing import NoTracing, RequestTracing
from ott_extauthz.issuer.trail import Door, IssuerTrail, Refusal
from ott_extauthz.model.trace_context import HEADER as TRACEPARENT
from ott_extauthz.model.trace_context import parsed
from ott_extauthz.ports import Clock
from ott_extauthz.wire.issuer_keys import PublishedKeys
from ott_extauthz.wire.issuer_metadata import Abilities, IssuerUrls, metadata
from ott_extauthz.wire.issuer_peer import ClientCertificates, peer_network

MAX_FORM_BYTES: Final = 16 * 1024
MAX_FORM_FIELDS: Final = 64
FORM: Final = "application/x-www-form-urlencoded"
_BODY_WITHIN_SECONDS: Final = 5.0  # a form is one packet; whoever drips it holds a connection for nothing
_NEVER_STORED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 §5.1
_PUBLIC: Final = {"Cache-Control": "public, max-age=300"}

_TRACE_ID: Final = web.RequestKey("trace_id", str)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What the endpoints answer with."""

    urls: IssuerUrls
    abilities: Abilities
    desks: CurrentDesks
    keys: PublishedKeys
    clock: Clock
    observer: IssuerObserver
    trail: IssuerTrail
    certificates: ClientCertificates
    tracing: RequestTracing = field(default_factory=NoTracing)

    async def token(self, request: web.Request) -> web.Response:
        """Judge one token request and mint, or refuse in the words of RFC 6749 §5.2."""
        asked = await self._asked(request)
        trace_id = _trace_id(request)
        issued = asked if isinstance(asked, OAuthError) else await self.desks().endpoint.answer(asked)
        if isinstance(issued, OAuthError):
            return self._refused(issued, Door.TOKEN, trace_id)
        self.observer.issued(issued.order.client_id, issued.order.audience, trace_id=trace_id)
        nonce = {} if issued.dpop_nonce is None else {"DPoP-Nonce": issued.dpop_nonce}
        return _json(_present(asdict(answer_of(issued))), headers={**_NEVER_STORED, **nonce})

    async def introspect(self, request: web.Request) -> web.Response:
        """Tell a resource server what a token of ours says (RFC 7662)."""
        asked = await self._asked(request)
        answer = asked if isinstance(asked, OAuthError) else await self.desks().introspection.answer(asked)
        if isinstance(answer, OAuthError):
            return self._refused(answer, Door.INTROSPECT, _trace_id(request))
        return _json(answer, headers=_NEVER_STORED)

    async def metadata(self, _: web.Request) -> web.Response:
        """Describe the server (RFC 8414 §3.2)."""
        return _json(metadata(self.urls, self.abilities), headers=_PUBLIC)

    async def health(self, _: web.Request) -> web.Response:
        """Say that the process answers."""
        return web.Response(text="ok\n")

    @web.middleware
    async def traced(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Have a request for a decision timed, from before it is read until its answer is made."""
        door = self._doors.get(request.path) if request.method == "POST" else None
        if door is None:
            return await handler(request)
        said = request.headers.getall(TRACEPARENT, ())
        trace_id = self.tracing.arrived(door, parsed(said[0]) if len(said) == 1 else None)
        if trace_id is not None:
            request[_TRACE_ID] = trace_id
        try:
            return await handler(request)
        finally:
            self.tracing.answered()

    @web.middleware
    async def guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer every failure as RFC 6749 JSON; of a fault of ours nothing is told but that there was one."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            # A stray path or method is no token request: answered in kind, told to nobody.
            allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return _refusal(OAuthError(OAuthErrorCode.INVALID_REQUEST, error.reason, error.status), allow)
        except Exception as error:  # noqa: BLE001 - the last resort; its type is told to the observer
            self.observer.faulted(type(error).__name__)
            door = self._doors.get(request.path, Door.TOKEN)
            fault = OAuthError(OAuthErrorCode.SERVER_ERROR, "an internal fault", 500)
            return self._refused(fault, door, _trace_id(request))

    @property
    def _doors(self) -> Mapping[str, Door]:
        return {self.urls.path + "/token": Door.TOKEN, self.urls.path + "/introspect": Door.INTROSPECT}

    async def _asked(self, request: web.Request) -> TokenRequest | OAuthError:
        form = await _form(request)
        if isinstance(form, OAuthError):
            return form
        certificate = self.certificates.of(request)
        if isinstance(certificate, OAuthError):
            return certificate
        return TokenRequest(
            form=form,
            certificate=certificate,
            authorization=tuple(request.headers.getall("Authorization", ())),
            dpop=tuple(request.headers.getall("DPoP", ())),
            address=peer_network(request),
            trace_id=_trace_id(request),
            now_ms=self.clock.now_ms(),
        )

    def _refused(self, error: OAuthError, door: Door, trace_id: str | None) -> web.Response:
        self.trail.refused(Refusal(at_ms=self.clock.now_ms(), door=door, error=error, trace_id=trace_id))
        self.observer.refused(error.client_id, error.error, trace_id=trace_id)
        return _refusal(error)


def issuer_app(issuer: Issuer) -> web.Application:
    """Return the HTTP application."""
    app = web.Application(middlewares=[issuer.traced, issuer.guard], client_max_size=MAX_FORM_BYTES)
    app.add_routes(
        [
            web.post(issuer.urls.path + "/token", issuer.token),
            web.post(issuer.urls.path + "/introspect", issuer.introspect),
            web.get(issuer.urls.path + "/jwks", issuer.keys.of_all_rings),
            web.get(issuer.urls.path + "/jwks/{ring}", issuer.keys.of_one_ring),
            web.get(issuer.urls.metadata_path, issuer.metadata),
            web.get("/healthz", issuer.health),
        ]
    )
    return app


def _trace_id(request: web.Request) -> str | None:
    return request.get(_TRACE_ID)


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


async def _form(request: web.Request) -> Form | OAuthError:
    if request.content_type != FORM:
        return _invalid(f"the content type is not {FORM}")
    try:
        async with asyncio.timeout(_BODY_WITHIN_SECONDS):
            body = await request.read()
        # Strict: what one parser drops and another keeps is how a parameter comes twice unseen.
        return parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except web.HTTPRequestEntityTooLarge:
        return _invalid(f"the form is larger than {MAX_FORM_BYTES} bytes", 413)
    except TimeoutError:
        return _invalid("the form took too long", 408)
    except (ValueError, HttpProcessingError, web.RequestPayloadError, ConnectionResetError):
        # Text, chunks or connection broken by the client; which of these aiohttp raises depends on its parser.
        return _invalid("the form is malformed")


def _invalid(description: str, status: int = 400) -> OAuthError:
    return OAuthError(OAuthErrorCode.INVALID_REQUEST, description, status)


def _refusal(error: OAuthError, headers: Mapping[str, str] = _NEVER_STORED) -> web.Response:
    body = {"error": error.error, "error_description": error.description}
    told = {
        "WWW-Authenticate": error.challenge,
        "DPoP-Nonce": error.dpop_nonce,
        "Retry-After": None if error.retry_after_ms is None else str(-(-error.retry_after_ms // 1000)),
    }
    said = {name: text for name, text in told.items() if text is not None}
    return _json(body, status=error.status, headers={**_NEVER_STORED, **headers, **said})


def _json(content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str]) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), status=status, content_type="application/json", headers=headers
    )
