"""How does a ring that lives elsewhere join the others?  Opened from its settings, heard in the issuer's words."""

from dataclasses import dataclass

from ott_extauthz.bootstrap.store_files import authorities_problems
from ott_extauthz.issuer.key_change import KeyChange, KeyListener, KeyState
from ott_extauthz.key_backends import AwsKmsRing, VaultRing
from ott_extauthz.ports import Clock, KeyRing
from ott_extauthz.sections.rings import Rotation
from ott_extauthz.stores.remotekeys.keys import RingError, State
from ott_extauthz.stores.remotekeys.opening import open_kms_ring, open_vault_ring
from ott_extauthz.stores.remotekeys.versions import Overlap


@dataclass(slots=True)
class RingTold:
    """Passes on what the ring ``name`` tells; what it holds when it is opened is no news."""

    name: str
    listener: KeyListener
    is_news: bool = False

    def key_changed(self, kid: str, before: State | None, after: State | None, made_ms: int) -> None:
        """Pass a key's new state on."""
        change = KeyChange(
            ring=self.name,
            kid=kid,
            before=None if before is None else KeyState(before),
            after=KeyState.RETIRED if after is None else KeyState(after),
            made_ms=made_ms,
            is_news=self.is_news,
        )
        self.listener.key_changed(change)

    def failed(self, problem: str) -> None:
        """Pass a failure on."""
        self.listener.ring_failed(self.name, problem)


def remote_ring(
    name: str, settings: VaultRing | AwsKmsRing, rotation: Rotation, *, clock: Clock, listener: KeyListener
) -> KeyRing:
    """Open a ring elsewhere; blocks for as long as a few requests may take.

    Raises:
        RingError: there is none to be had.
    """
    told = RingTold(name, listener)
    for fault in authorities_faults(settings):
        raise RingError(fault)
    if isinstance(settings, AwsKmsRing):
        ring = open_kms_ring(settings.aws_kms, clock=clock, listener=told)
    else:
        overlap = Overlap(publish_before_ms=rotation.publish_before, retire_after_ms=rotation.retire_after)
        ring = open_vault_ring(settings.vault, overlap=overlap, clock=clock, listener=told)
    told.is_news = True
    return ring


def authorities_faults(settings: VaultRing | AwsKmsRing) -> list[str]:
    """Return what is wrong with the file that says whom to believe there; nobody is asked."""
    ca = settings.aws_kms.ca if isinstance(settings, AwsKmsRing) else settings.vault.ca
    return [] if ca is None else [f"ca: {problem}" for problem in authorities_problems(ca)]
