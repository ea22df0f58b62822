"""How is a key set fetched whose place the issuer itself says?  Its metadata first, then the keys, both bounded.

- The metadata is asked for once an hour, and at once when the place that it named does not answer.
- While the metadata cannot be had, the place that it named last is asked: an outage of one page is none of the keys.
- Metadata that is there and wrong (of another issuer, leading elsewhere) is a fault, and nothing is fetched: somebody
  else may be answering.  The keys in force stay, as after any fault.
"""

from collections.abc import Sequence
from pathlib import Path

from ott_extauthz.authn.discovery import MAX_METADATA_BYTES, DiscoveryError, jwks_url_from
from ott_extauthz.authn.key_set_schedule import REDISCOVERED_SECONDS
from ott_extauthz.documents.https_url import HttpsUrl
from ott_extauthz.ports import Clock
from ott_extauthz.wire.key_set_http import Fetched, FetchError, HttpsKeySet


class DiscoveredKeySet:
    """A key set at the ``jwks_uri`` of an issuer's metadata; ``hosts`` may have it besides the issuer's own."""

    def __init__(
        self, *, issuer: str, metadata: HttpsUrl, hosts: Sequence[str], clock: Clock, ca: Path | None = None
    ) -> None:
        self._issuer, self._hosts, self._clock, self._ca = issuer, tuple(hosts), clock, ca
        self._metadata = HttpsKeySet(url=metadata, ca=ca, most_bytes=MAX_METADATA_BYTES)
        self._place: HttpsUrl | None = None
        self._answered: HttpsUrl | None = None
        self._due_at = clock.monotonic()

    async def fetch(self, etag: str | None) -> Fetched:
        """Ask for the keys once, where they are.

        Raises:
            FetchError: nothing usable came.
        """
        place = await self._found()
        try:
            # An ETag of another place would say nothing here.
            fetched = await HttpsKeySet(url=place, ca=self._ca).fetch(etag if place == self._answered else None)
        except FetchError as error:
            self._due_at = self._clock.monotonic()
            raise FetchError(f"jwks_uri: {error}") from None
        self._answered = place
        return fetched

    async def _found(self) -> HttpsUrl:
        now = self._clock.monotonic()
        if self._place is not None and now < self._due_at:
            return self._place
        try:
            document = (await self._metadata.fetch(None)).document
        except FetchError as error:
            if self._place is None:
                raise FetchError(f"metadata: {error}") from None
            return self._place
        try:
            self._place = jwks_url_from(document or b"", issuer=self._issuer, hosts=self._hosts)
        except DiscoveryError as error:
            raise FetchError(str(error)) from None
        self._due_at = now + REDISCOVERED_SECONDS
        return self._place
