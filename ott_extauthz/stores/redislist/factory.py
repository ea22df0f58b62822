"""Which Redis used-list does ``store.url`` mean?"""

from ott_extauthz.ports import Clock, UsedList
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist import cluster, sentinel
from ott_extauthz.stores.redislist.list import RedisUsedList
from ott_extauthz.stores.redislist.quorum import QuorumUsedList
from ott_extauthz.stores.redislist.routed import RoutedUsedList


def redis_used_list(*, settings: Store, bounds: ClockBounds, clock: Clock) -> UsedList:
    """Return the used-list for a ``redis…://`` URL, which the settings have judged."""
    if settings.kind == "quorum":
        return QuorumUsedList(settings=settings, bounds=bounds, clock=clock)
    if settings.kind == "sentinel":
        return RoutedUsedList(settings=settings, bounds=bounds, clock=clock, poll=sentinel.poll(settings))
    if settings.kind == "cluster":
        return RoutedUsedList(settings=settings, bounds=bounds, clock=clock, poll=cluster.POLL)
    return RedisUsedList(settings=settings, bounds=bounds, clock=clock)
