"""Who is the primary, by the sentinels?  One question to each: the address, and the config-epoch, which only grows."""

from typing import Final

import hiredis

from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist import refusals, script
from ott_extauthz.stores.redislist.lease import NoVote, Owner, Poll, View
from ott_extauthz.stores.redislist.places import Place, sentinel_name

_NO_SUCH_NAME: Final = "No such master"
_NO_SENTINEL: Final = "unknown command"


def _read(reply: object, _: Place) -> View:
    """Return the one owner that a sentinel names.

    Raises:
        NoVote: it names none, and what to mend.
    """
    if isinstance(reply, hiredis.ReplyError):
        if _NO_SUCH_NAME in str(reply):
            raise NoVote("it knows no primary of that name; mend the name in store.url")
        if _NO_SENTINEL in str(reply):
            raise NoVote("it is no sentinel; mend store.url")
        raise NoVote(refusals.advice(reply).replace("store.password_file", "store.sentinel_password_file"))
    fields = dict(zip(reply[::2], reply[1::2], strict=False)) if isinstance(reply, list) else {}
    match fields.get(b"ip"), fields.get(b"port"), fields.get(b"config-epoch"):
        case bytes(host), bytes(port), bytes(term) if host and port.isdigit() and term.isdigit():
            return (Owner(host.decode(), int(port), term.decode()),)
    raise NoVote("its answer is not a sentinel's; mend store.url")


def poll(settings: Store) -> Poll:
    """Return how the sentinels are asked for the primary of the name in ``store.url``."""
    return Poll(script.packed("SENTINEL", "MASTER", sentinel_name(settings.url)), _read, (script.BUCKET,))
