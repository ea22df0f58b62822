"""Which trusted issuers' keys come from a URL, and who follows them?

A URL that does not answer keeps nothing from starting: several replicas that restart in an outage would all stay down.
Until a key set came once, tokens of its issuer are refused, and /readyz says no, so that a rolling update stops while
the old replicas, who have the keys, go on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from ott_extauthz.authn.discovery import WellKnown, metadata_url
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.store_files import authorities_problems
from ott_extauthz.documents.https_url import HttpsUrl
from ott_extauthz.documents.problems import Problem
from ott_extauthz.ports import Clock
from ott_extauthz.reload.source import ReloadListener
from ott_extauthz.sections.trusted_issuers import IssuerKeys
from ott_extauthz.wire.discovered_key_set import DiscoveredKeySet
from ott_extauthz.wire.followed_key_set import FollowedKeySet, OnFetched, unseen
from ott_extauthz.wire.key_set_http import HttpsKeySet, KeySetSource

FIRST_TRY_SECONDS: Final = 5.0
"""How long a start waits for the first answers: long enough for an issuer that is there."""


def in_file(entry: IssuerKeys) -> Path | None:
    """Return the file of an issuer whose keys stand in one."""
    return entry.jwks if isinstance(entry.jwks, Path) else None


def not_fetched(entry: IssuerKeys) -> TrustedIssuer:
    """Return an issuer without keys, for whoever asks nobody: every token of it is refused."""
    return TrustedIssuer(entry.issuer, frozenset[str](entry.algorithms), {})


def key_set_problems(entries: Iterable[IssuerKeys], source: str, setting: str = "trust") -> list[Problem]:
    """Return what is wrong with the files that fetching needs, each with the setting that names it."""
    return [
        Problem(source, 0, 0, f"{setting}[{index}].ca", why)
        for index, entry in enumerate(entries)
        if entry.ca is not None
        for why in authorities_problems(entry.ca)
    ]


def followed_key_sets(  # noqa: PLR0913 - what is followed, how it is judged, and who is told
    entries: Iterable[IssuerKeys],
    *,
    clock: Clock,
    listener: ReloadListener,
    on_fault: Callable[[str], None],
    judge: Callable[[TrustedIssuer], Iterable[str]] = lambda _: (),
    on_fetched: OnFetched = unseen,
) -> tuple[FollowedKeySet, ...]:
    """Return a follower for each issuer whose keys come from a URL; none fetches before :func:`following`.

    ``judge`` says what is wrong with a set that is good by itself.
    """
    return tuple(
        FollowedKeySet(
            entry.issuer,
            frozenset[str](entry.algorithms),
            source,
            place=place,
            clock=clock,
            listener=listener,
            on_fault=on_fault,
            judge=judge,
            on_fetched=on_fetched,
        )
        for entry in entries
        for place, source in _place_and_source(entry, clock)
    )


def _place_and_source(entry: IssuerKeys, clock: Clock) -> Iterator[tuple[str, KeySetSource]]:
    """Yield the URL that is asked, and how; nothing for keys that stand in a file."""
    if entry.discovery is not None:
        url = metadata_url(entry.issuer, WellKnown(entry.discovery))
        yield url, DiscoveredKeySet(issuer=entry.issuer, metadata=url, hosts=entry.jwks_hosts, ca=entry.ca, clock=clock)
    elif isinstance(entry.jwks, HttpsUrl):
        yield entry.jwks, HttpsKeySet(url=entry.jwks, ca=entry.ca)


@asynccontextmanager
async def following(key_sets: Sequence[FollowedKeySet], *, patience: float = FIRST_TRY_SECONDS) -> AsyncIterator[None]:
    """Follow within this block; it begins once each was tried, or ``patience`` seconds later."""
    tasks = [asyncio.create_task(key_set.run()) for key_set in key_sets]
    try:
        tried = [asyncio.create_task(key_set.tried.wait()) for key_set in key_sets]
        if tried:
            _, late = await asyncio.wait(tried, timeout=patience)
            for waiting in late:
                waiting.cancel()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
