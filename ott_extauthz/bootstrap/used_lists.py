"""Which used-list does a store URL mean?"""

from collections.abc import Callable

from ott_extauthz.ports import Clock, StoreHealth, UsedList
from ott_extauthz.settings import Settings
from ott_extauthz.stores.guarded import GuardedUsedList
from ott_extauthz.stores.memory import MemoryUsedList


def new_used_list(
    settings: Settings,
    *,
    clock: Clock,
    on_change: Callable[[StoreHealth], None],
    on_look: Callable[[StoreHealth], None] = lambda _: None,
    on_sweep_failed: Callable[[], None] = lambda: None,
) -> UsedList:
    """Return the used-list that ``store`` names; settings have refused every URL but these.

    A list that can fail is guarded; ``on_change`` is told when its store becomes ready, and when it no longer is,
    ``on_look`` what every look at it found, the first of which comes before it serves; ``on_sweep_failed`` that what
    has ended could not be deleted, of a list that has to.
    """
    if settings.store.is_memory:
        memory = MemoryUsedList(clock=clock, iat_lead_ms=settings.clock.iat_lead)
        on_look(memory.look())
        return memory
    return GuardedUsedList(_of_a_store(settings, clock, on_sweep_failed), on_change=on_change, on_look=on_look)


def _of_a_store(settings: Settings, clock: Clock, on_sweep_failed: Callable[[], None]) -> UsedList:
    # Each family costs 100 ms or more to import, and a server uses one of them.
    if settings.store.url.startswith("redis"):
        from ott_extauthz.stores.redislist.factory import redis_used_list  # noqa: PLC0415

        return redis_used_list(settings=settings.store, bounds=settings.clock, clock=clock)
    from ott_extauthz.stores.sqllist.list import SqlUsedList  # noqa: PLC0415

    return SqlUsedList(settings=settings.store, bounds=settings.clock, clock=clock, on_sweep_failed=on_sweep_failed)
