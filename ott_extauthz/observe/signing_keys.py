"""Which keys are there, how old, and is a rotation late?  Gauges made at each scrape: no key leaves a series."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ott_extauthz.issuer.key_change import KeyChange, KeyState
from ott_extauthz.issuer.order import ring_title


class SigningKeys(Collector):
    """What is known of all rings' keys from their changes."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._keys: dict[tuple[str, str], KeyChange] = {}

    def key_changed(self, change: KeyChange) -> None:
        """Take a key's new state; a retired one is shown no more."""
        if change.after is KeyState.RETIRED:
            self._keys.pop((change.ring, change.kid), None)
        else:
            self._keys[change.ring, change.kid] = change

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the keys' ages, and by how much each ring's rotation is late."""
        now_ms, keys = self._now_ms(), tuple(self._keys.values())
        age = GaugeMetricFamily("ott_signing_key_age_seconds", "Since the key was made.", labels=["kid", "state"])
        late = GaugeMetricFamily(
            "ott_key_rotation_overdue_seconds",
            "How long the active key should have been replaced by now; 0 while it need not, or is never by itself.",
            labels=["ring"],
        )
        for key in keys:
            age.add_metric([key.kid, key.after], (now_ms - key.made_ms) / 1000)
            if key.after is KeyState.ACTIVE:
                due_ms = now_ms if key.rotation_due_ms is None else key.rotation_due_ms
                late.add_metric([ring_title(key.ring)], max(0, now_ms - due_ms) / 1000)
        yield age
        yield late
