"""Who owns which bucket, by the servers of a cluster?  One question to each: CLUSTER NODES, with everybody's epoch.

A bucket's keys share a hash tag, so a slot; 256 buckets spread over the 16384 slots, and each has its own fence.
Which bucket a use goes to is its account's to say (``routed.py``).
"""

import binascii
from bisect import bisect_left, bisect_right
from typing import Final

import hiredis

from ott_extauthz.stores.redislist import refusals, script
from ott_extauthz.stores.redislist.lease import NoVote, Owner, Poll, View
from ott_extauthz.stores.redislist.places import Place

BUCKETS: Final = tuple(f"{{b{number}}}" for number in range(256))
_SLOTS: Final = 16384
_FIELDS: Final = 8


def slot_of(bucket: str) -> int:
    """Return the hash slot of every key of ``bucket``."""
    return binascii.crc_hqx(bucket.strip("{}").encode(), 0) % _SLOTS


_IN_ORDER: Final = sorted((slot_of(bucket), number) for number, bucket in enumerate(BUCKETS))
_BUCKET_SLOTS: Final = [slot for slot, _ in _IN_ORDER]


def _read(reply: object, asked: Place) -> View:
    """Return the owner of each bucket as one server sees it.

    Raises:
        NoVote: it sees none, and what to mend.
    """
    if isinstance(reply, hiredis.ReplyError):
        if "cluster support disabled" in str(reply):
            raise NoVote("it is no cluster; a single primary is written redis:// in store.url")
        raise NoVote(refusals.advice(reply))
    if not isinstance(reply, bytes):
        raise NoVote("its answer is not a cluster's")
    owners: list[Owner | None] = [None] * len(BUCKETS)
    for line in reply.decode(errors="replace").splitlines():
        fields = line.split(" ")
        if len(fields) > _FIELDS and "master" in fields[2].split(","):
            owner = _owner(fields[1], fields[6], asked)
            for slots in fields[_FIELDS:]:
                first, _, last = slots.partition("-")
                if first.isdecimal():  # a slot on its way is in brackets, and still with its old owner
                    low, high = bisect_left(_BUCKET_SLOTS, int(first)), bisect_right(_BUCKET_SLOTS, int(last or first))
                    for _, number in _IN_ORDER[low:high]:
                        owners[number] = owner
    if not any(owners):
        raise NoVote("the cluster it knows has no slots")
    return tuple(owners)


def _owner(address: str, term: str, asked: Place) -> Owner:
    """Read ``host:port@bus[,hostname[,…]]``; a server that has met nobody does not know its own host."""
    where, _, rest = address.partition("@")
    host, _, port = where.rpartition(":")
    name = rest.partition(",")[2].partition(",")[0]
    return Owner((name if "=" not in name else "") or host or asked.host, int(port), term)


POLL: Final = Poll(script.packed("CLUSTER", "NODES"), _read, BUCKETS)
