"""How is a ring elsewhere opened?  Settings in, a ring that has shown that it signs out."""

from ott_extauthz.key_backends import AwsKms, Vault
from ott_extauthz.ports import Clock
from ott_extauthz.stores.remotekeys.calls import BoundedCalls
from ott_extauthz.stores.remotekeys.kms import KmsKeys
from ott_extauthz.stores.remotekeys.ring import RemoteRing, RingListener
from ott_extauthz.stores.remotekeys.vault import VaultKeys
from ott_extauthz.stores.remotekeys.versions import Overlap

_TRIES = 2
_SLACK_MS = 500


def open_vault_ring(settings: Vault, *, overlap: Overlap, clock: Clock, listener: RingListener) -> RemoteRing:
    """Open a ring of Vault's transit engine; blocks for as long as a few requests may take.

    Raises:
        RingError: there is none to be had; the message says what to mend.
    """
    return RemoteRing(
        VaultKeys(settings, overlap=overlap),
        calls=BoundedCalls(seconds=_longest_seconds(settings.timeout)),
        clock=clock,
        listener=listener,
        every=settings.every / 1000,
    )


def open_kms_ring(settings: AwsKms, *, clock: Clock, listener: RingListener) -> RemoteRing:
    """Open a ring of AWS KMS; blocks for as long as a few requests may take.

    Raises:
        RingError: there is none to be had; the message says what to mend.
    """
    return RemoteRing(
        KmsKeys(settings),
        calls=BoundedCalls(seconds=_longest_seconds(settings.timeout)),
        clock=clock,
        listener=listener,
        every=None,
    )


def _longest_seconds(timeout_ms: int) -> float:
    return (_TRIES * timeout_ms + _SLACK_MS) / 1000
