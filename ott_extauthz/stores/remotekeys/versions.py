"""Which version of a key signs, and which are published?  By the age of versions alone, so that all issuers agree.

- A version signs once it was published for ``publish_before_ms``: verifiers must have read it by then.  Only where no
  version is that old (a new key), or none that is may still sign, is it done earlier.
- A version that was replaced stays published for ``retire_after_ms``: until its last token has died.
- What the key's owner rules goes first: below ``least`` nothing is published, below ``least_signing`` nothing signs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ott_extauthz.stores.remotekeys.keys import Look, RemoteKey, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How long keys stand beside each other."""

    publish_before_ms: int
    retire_after_ms: int


def look_at(
    versions: Mapping[int, RemoteKey], *, seen_ms: Mapping[int, int], least_signing: int, overlap: Overlap, now_ms: int
) -> Look | None:
    """Return the ring that these versions are; None where none may sign.

    ``seen_ms`` is since when each version is published, by what is known.
    """
    ready_ms = {version: seen_ms[version] + overlap.publish_before_ms for version in versions}
    may_sign = sorted(version for version in versions if version >= least_signing)
    if not may_sign:
        return None
    ready = [version for version in may_sign if ready_ms[version] <= now_ms]
    active = ready[-1] if ready else may_sign[0]

    def state(version: int) -> State | None:
        if version >= active:
            return "active" if version == active else "next"
        replaced_ms = min(ready_ms[later] for later in versions if later > version)
        return "retiring" if now_ms < replaced_ms + overlap.retire_after_ms else None

    states = ((versions[version], state(version)) for version in sorted(versions))
    return Look(versions[active], tuple((key, found) for key, found in states if found is not None))
