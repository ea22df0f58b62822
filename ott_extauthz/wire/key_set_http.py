"""How is a key set fetched?  One GET over verified TLS, bounded in size and time; anything odd is a fault.

- Redirects are not followed: where keys come from is the operator's word, not that of whoever answers there.
- No proxy of the environment, no cookies, no compression (a few bytes could become gigabytes).
- Authorities are read anew for each fetch, so that they may be rotated.
- A fault is told in words of ours; nothing of the answer is quoted.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from ott_extauthz.authn.jwks import MAX_BYTES
from ott_extauthz.authn.key_set_schedule import freshness
from ott_extauthz.documents.https_url import HttpsUrl
from ott_extauthz.wire.verified_tls import client_context, why_unreached

TIMEOUT_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 5.0
_OK, _NOT_MODIFIED = 200, 304
_REDIRECTS: Final = range(300, 400)
_ACCEPT: Final = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
_MOST_ETAG: Final = 256


class FetchError(Exception):
    """There is no answer, or none that can be used; the message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: ``document`` None is that what we have has not changed."""

    document: bytes | None = field(repr=False)
    etag: str | None
    fresh_seconds: float


class KeySetSource(Protocol):
    """Where a key set comes from."""

    async def fetch(self, etag: str | None) -> Fetched:
        """Return what is there now; ``etag`` is that of what we have.

        Raises:
            FetchError: nothing usable.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsKeySet:
    """A key set at a URL; ``ca`` are the only authorities that count for it, None those of the system."""

    url: HttpsUrl
    ca: Path | None = None
    most_bytes: int = MAX_BYTES
    timeout_seconds: float = TIMEOUT_SECONDS

    async def fetch(self, etag: str | None) -> Fetched:
        """Ask for it once.

        Raises:
            FetchError: nothing usable came within the time.
        """
        headers = _ACCEPT if etag is None else _ACCEPT | {"If-None-Match": etag}
        timeout = ClientTimeout(total=self.timeout_seconds, sock_connect=_CONNECT_SECONDS)
        try:
            context = await asyncio.to_thread(client_context, self.ca)
            async with (
                ClientSession(
                    connector=TCPConnector(ssl=context, force_close=True),
                    cookie_jar=DummyCookieJar(),
                    timeout=timeout,
                    auto_decompress=False,
                ) as session,
                session.get(str(self.url), headers=headers, allow_redirects=False) as response,
            ):
                return await _read(response, most_bytes=self.most_bytes, has_etag=etag is not None)
        except TimeoutError:
            raise FetchError("no answer in time") from None
        except (ClientError, OSError) as error:  # ssl.SSLError is an OSError
            raise FetchError(f"cannot be fetched: {why_unreached(error)}") from None


async def _read(response: ClientResponse, *, most_bytes: int, has_etag: bool) -> Fetched:
    fresh = freshness(response.headers.get("Cache-Control", ""), response.headers.get("Age", ""))
    if response.status == _NOT_MODIFIED and has_etag:
        return Fetched(None, None, fresh)
    if response.status in _REDIRECTS and response.status != _NOT_MODIFIED:
        raise FetchError(f"answered {response.status}; redirects are not followed, name the last URL itself")
    if response.status != _OK:
        raise FetchError(f"answered {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchError("answered compressed, which was not asked for")
    document = bytearray()
    async for chunk in response.content.iter_any():
        document += chunk
        if len(document) > most_bytes:
            raise FetchError(f"larger than {most_bytes} bytes")
    etag = response.headers.get("ETag", "")
    return Fetched(bytes(document), etag if 0 < len(etag) <= _MOST_ETAG and etag.isascii() else None, fresh)
