"""Which keys does the issuer sign with?  The rings of the settings, built in one place and kept running."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ott_extauthz.bootstrap.remote_rings import authorities_faults, remote_ring
from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import Problem
from ott_extauthz.issuer.key_change import KeyChange, KeyListener
from ott_extauthz.issuer.order import DEFAULT_RING, ring_title
from ott_extauthz.ports import Clock, KeyRing
from ott_extauthz.reload.source import InForce, Result, Shown
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.rings import KeyDirectory
from ott_extauthz.sections.rings import KeyRing as RingSettings
from ott_extauthz.stores.keyring import FileRing, KeyFileError, Place, Rotation
from ott_extauthz.stores.keyring.key_set import public_keys
from ott_extauthz.stores.keyring.ring_file import keys_in
from ott_extauthz.stores.remotekeys.keys import RingError
from ott_extauthz.wire.issuer_keys import LONGEST_AGE_SECONDS

RESTART_SECONDS: Final = 5.0


def ring_settings(issuer: Issuer) -> dict[str, RingSettings]:
    """Return every ring's settings by name, the default ring first."""
    default = KeyDirectory(directory=issuer.keys) if isinstance(issuer.keys, Path) else issuer.keys
    return {DEFAULT_RING: default, **issuer.rings}


def ring_from(name: str, settings: RingSettings, issuer: Issuer, *, clock: Clock, listener: KeyListener) -> KeyRing:
    """Build one ring, wherever it lives.

    Raises:
        KeyFileError: it cannot be signed with.
        RingError: the same, of a ring that lives elsewhere.
    """
    if not isinstance(settings, KeyDirectory):
        return remote_ring(name, settings, issuer.rotation, clock=clock, listener=listener)
    rotation = rotation_of(issuer)
    return FileRing(name, place_of(settings, issuer), rotation=rotation, clock=clock, listener=listener)


def rings_elsewhere(issuer: Issuer) -> list[str]:
    """Return the settings of the rings that are kept by somebody who would have to be asked."""
    return [_setting(name) for name, one in ring_settings(issuer).items() if not isinstance(one, KeyDirectory)]


def rings_from(
    issuer: Issuer, *, clock: Clock, listener: KeyListener, source: str, problems: list[Problem]
) -> dict[str, KeyRing]:
    """Build every ring; what is wrong with them is added to ``problems``."""
    problems += _shared_directories(issuer, source)
    rings: dict[str, KeyRing] = {}
    for name, settings in ring_settings(issuer).items():
        try:
            rings[name] = ring_from(name, settings, issuer, clock=clock, listener=listener)
        except KeyFileError as error:
            problems.append(Problem(str(error.path), 0, 0, "", f"{error.problem}; {error.mend}"))
        except RingError as error:
            problems.append(Problem(source, 0, 0, _setting(name), str(error)))
    problems += _shared_keys(rings, source)
    return rings


def ring_problems(issuer: Issuer, source: str) -> list[Problem]:
    """Return what is wrong with the rings as far as their public files tell: nothing secret is read, nobody asked."""
    problems = _shared_directories(issuer, source)
    for name, settings in ring_settings(issuer).items():
        if not isinstance(settings, KeyDirectory):
            problems += [Problem(source, 0, 0, _setting(name), why) for why in authorities_faults(settings)]
        else:
            place = place_of(settings, issuer)
            try:
                public_keys(place, keys_in(place))
            except KeyFileError as error:
                problems.append(Problem(str(error.path), 0, 0, "", f"{error.problem}; {error.mend}"))
            except OSError as error:
                problems.append(unreadable(settings.directory, error))
    return problems


def place_of(settings: KeyDirectory, issuer: Issuer) -> Place:
    """Return where a ring's files lie; what it leaves out is as for the default ring."""
    return Place(
        directory=settings.directory,
        passphrase_file=settings.passphrase_file or issuer.passphrase_file,
        is_read_only=issuer.read_only if settings.read_only is None else settings.read_only,
    )


def rotation_of(issuer: Issuer) -> Rotation:
    """Return how the keys turn."""
    chosen = issuer.rotation
    return Rotation(every_ms=chosen.every, publish_before_ms=chosen.publish_before, retire_after_ms=chosen.retire_after)


def jwks_max_age_seconds(issuer: Issuer) -> int:
    """Return how long a verifier may keep a JWK Set: it must ask twice before a new key signs."""
    return min(LONGEST_AGE_SECONDS, issuer.rotation.publish_before // 2000)


class NobodyListens:
    """For whoever looks at a ring or a key set once."""

    def key_changed(self, change: KeyChange) -> None:
        """Say nothing."""

    def ring_failed(self, ring: str, problem: str) -> None:
        """Say nothing."""

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        """Say nothing."""


async def running_rings(rings: Iterable[KeyRing], *, on_fault: Callable[[str], None]) -> AsyncIterator[None]:
    """Have every ring do its work until the application leaves (aiohttp's ``cleanup_ctx``)."""
    tasks = [asyncio.create_task(keep_running(ring, on_fault=on_fault)) for ring in rings]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def keep_running(
    ring: KeyRing, *, on_fault: Callable[[str], None], restart_seconds: float = RESTART_SECONDS
) -> None:
    """Have a ring do its work until cancelled; one that dies is counted and started again."""
    while True:
        try:
            return await ring.run()
        except Exception as error:  # noqa: BLE001 - whatever it was: without its work a ring never turns again
            on_fault(type(error).__name__)
        await asyncio.sleep(restart_seconds)


def _setting(name: str) -> str:
    return f"issuer.rings.{name}" if name else "issuer.keys"


def _shared_keys(rings: Mapping[str, KeyRing], source: str) -> list[Problem]:
    """The same, wherever two rings live: one key of a place elsewhere, or a directory that was copied."""
    holders: dict[str, str] = {}
    problems = []
    for name, ring in rings.items():
        found = {holders.setdefault(key["kid"], name) for key in msgspec.json.decode(ring.jwks)["keys"]} - {name}
        problems += [
            Problem(
                source, 0, 0, f"issuer.rings.{name}", f"has a key of ring {ring_title(first)}; each ring has its own"
            )
            for first in sorted(found)
        ]
    return problems


def _shared_directories(issuer: Issuer, source: str) -> list[Problem]:
    """Two rings in one directory would be one ring, and what one region signs the other's verifiers would take."""
    names: dict[str, str] = {}
    problems = []
    directories = ((name, one) for name, one in ring_settings(issuer).items() if isinstance(one, KeyDirectory))
    for name, settings in directories:
        first = names.setdefault(str(settings.directory.resolve()), name)
        if first != name:
            message = f"the directory of ring {ring_title(first)}; each ring has its own"
            problems.append(Problem(source, 0, 0, f"issuer.rings.{name}", message))
    return problems
