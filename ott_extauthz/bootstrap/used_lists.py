"""Which used-list does a store URL mean?"""

from ott_extauthz.ports import Clock, UsedList
from ott_extauthz.settings import Settings
from ott_extauthz.stores.memory import MemoryUsedList


def new_used_list(settings: Settings, *, clock: Clock) -> UsedList:
    """Return the used-list that ``store`` names; settings have refused every URL but these."""
    if settings.store.is_memory:
        return MemoryUsedList(clock=clock, iat_lead_ms=settings.clock.iat_lead)
    from ott_extauthz.stores.redislist.list import RedisUsedList  # noqa: PLC0415 - redis-py costs 100 ms to import

    return RedisUsedList(settings=settings.store, bounds=settings.clock, clock=clock)
