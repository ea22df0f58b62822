"""How is a token's issuer asked (RFC 7662 §2)?  One POST over verified TLS, bounded in size and time.

- Redirects are not followed: a token goes where the operator said, not where whoever answers there says.
- No proxy of the environment, no cookies, no compression (a few bytes could become gigabytes).
- Connections are kept, as many as may be asked at a time.  One that the issuer had closed meanwhile costs a second try:
  asking changes nothing there.
- Files of authorities and of our certificate are looked at for each question, so that they may be rotated.
- A fault is told in words of ours; nothing of the answer, and nothing of the token, is quoted.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
)

from ott_extauthz.authn.introspection import MAX_ANSWER_BYTES
from ott_extauthz.check.introspecting import IntrospectionError, IntrospectionResult
from ott_extauthz.wire.files_in_use import FilesInUse
from ott_extauthz.wire.introspection_client import AsClient
from ott_extauthz.wire.verified_tls import why_unreached

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "ott-extauthz",
}
_OK, _TOO_MANY = 200, 429
_SERVER_ERRORS: Final = range(500, 600)
_REDIRECTS: Final = range(300, 400)


@dataclass(slots=True, kw_only=True)
class HttpIntrospection:
    """An introspection endpoint; ``context`` None is plain HTTP, which settings allow to this machine alone."""

    url: str
    context: FilesInUse[ssl.SSLContext] | None
    client: AsClient
    timeout_seconds: float
    connections: int
    _session: ClientSession | None = field(default=None, repr=False)

    async def ask(self, token: str) -> bytes:
        """Return the document that the issuer answers with.

        Raises:
            IntrospectionError: nothing usable came within the time.
            SigningError: we could not say who we are.
        """
        try:
            async with asyncio.timeout(self.timeout_seconds):
                try:
                    return await self._asked(token)
                except (ServerDisconnectedError, ClientOSError) as error:
                    if isinstance(error, ClientConnectorError):
                        raise
                    return await self._asked(token)
        except TimeoutError:
            raise IntrospectionError(IntrospectionResult.TIMEOUT, "no answer in time") from None
        except ClientPayloadError:
            raise IntrospectionError(IntrospectionResult.MALFORMED, "cut short") from None
        except (ClientOSError, ServerDisconnectedError, OSError) as error:  # ssl.SSLError is an OSError
            raise IntrospectionError(IntrospectionResult.CONNECT, why_unreached(error)) from None
        except ClientError as error:
            raise IntrospectionError(IntrospectionResult.MALFORMED, type(error).__name__) from None

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()

    async def _asked(self, token: str) -> bytes:
        said = await self.client.said()
        form = {"token": token, "token_type_hint": "access_token"} | said.form
        async with self._opened().post(
            self.url,
            data=urlencode(form).encode("ascii"),
            headers=_HEADERS | said.headers,
            allow_redirects=False,
            ssl=True if self.context is None else self.context.current(),
        ) as response:
            return await _read(response)

    def _opened(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=self.connections),
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=None),  # ours is for both tries
                auto_decompress=False,
            )
        return self._session


async def _read(response: ClientResponse) -> bytes:
    status = response.status
    if status in _REDIRECTS:
        raise IntrospectionError(IntrospectionResult.REFUSED, f"answered {status}; redirects are not followed")
    if status == _TOO_MANY or status in _SERVER_ERRORS:
        raise IntrospectionError(IntrospectionResult.FAILED, f"answered {status}")
    if status != _OK:
        raise IntrospectionError(IntrospectionResult.REFUSED, f"answered {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise IntrospectionError(IntrospectionResult.MALFORMED, "compressed, which was not asked for")
    if response.content_type != "application/json":
        raise IntrospectionError(IntrospectionResult.MALFORMED, "not application/json")
    document = bytearray()
    async for chunk in response.content.iter_any():
        document += chunk
        if len(document) > MAX_ANSWER_BYTES:
            raise IntrospectionError(IntrospectionResult.MALFORMED, f"larger than {MAX_ANSWER_BYTES} bytes")
    return bytes(document)
