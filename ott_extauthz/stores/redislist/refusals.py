"""What do the store's own errors mean, for the token and for the operator?"""

import re
from typing import Final

import hiredis

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, UsedListError, UsedListFault
from ott_extauthz.stores.redislist.script import SCRIPT

LONGEST_DETAIL: Final = 160

NOSCRIPT: Final = "NOSCRIPT"

_REPLICA: Final = frozenset({"READONLY", "MASTERDOWN"})

_ADVICE: Final = {
    "NOAUTH": "the store wants a user; mend store.password_file, or the user in store.url",
    "NOPERM": "the user of store.url lacks a permission that docs/stores.md lists",
    "OOM": "the store's memory is full; raise its maxmemory",
    "MISCONF": "the store cannot persist and so refuses writes; see its log",
    "NOREPLICAS": "the store has fewer good replicas than its min-replicas-to-write",
    "LOADING": "the store is loading its data",
    "BUSY": "the store is busy with another script",
    "MOVED": "the slot is another server's; a cluster is written redis+cluster:// in store.url",
    "ASK": "the slot is being moved to another server; its buckets are refused until that is done",
    "TRYAGAIN": "the slot is being moved to another server; its buckets are refused until that is done",
    "CROSSSLOT": "the store is a cluster, which is written redis+cluster:// in store.url",
    "CLUSTERDOWN": "the cluster has slots without a primary; see its log",
}
"""Errors after which the used key is surely not written: they refuse the script as a whole, or its last command."""

_RAISED_BY_SCRIPT: Final = "@user_script"
"""How engines mark an error of a command inside the script.  Ours raises none once a use may have been written."""


def code_of(error: hiredis.ReplyError) -> str:
    """Return the error's first word, which is what a program may rely on."""
    return str(error).partition(" ")[0]


def advice(error: hiredis.ReplyError) -> str:
    """Say in one line what the store complains of, and what to mend."""
    text = str(error).replace("\r", " ").replace("\n", " ")[:LONGEST_DETAIL]
    if _is_forbidden_in_script(text):
        return f"{_ADVICE['NOPERM']}: {_command_at(text)} ({text})"
    return f"{_ADVICE[code_of(error)]} ({text})" if code_of(error) in _ADVICE else text


def _is_forbidden_in_script(text: str) -> bool:
    return "ACL failure in script" in text or "The user executing the script can't" in text


def _command_at(text: str) -> str:
    """Name the command that failed: Redis 7 tells only the line of the script."""
    number = re.search(r"@user_script:\s?(\d+)", text)
    line = "".join(SCRIPT.splitlines()[int(number[1]) - 1 : int(number[1])]) if number else ""
    found = re.search(r"redis\.p?call\('(\w+)'", line)
    return f"+{found[1].lower()}" if found else "~ott:*"


def is_without_script(reply: object) -> bool:
    """Whether the store has forgotten the script."""
    return isinstance(reply, hiredis.ReplyError) and code_of(reply) == NOSCRIPT


def outcome_of(error: hiredis.ReplyError, *, unseen: int, is_before_write: bool = False) -> SpendOutcome:
    """Return NOT_PRIMARY where the store says so in its own words.

    Raises:
        UsedListError: every other error; UNSPENT only if no earlier send can have been carried out ``unseen``.
    """
    code = code_of(error)
    if code in _REPLICA:
        return SpendOutcome.NOT_PRIMARY
    is_unwritten = is_before_write or code in _ADVICE or _RAISED_BY_SCRIPT in str(error)
    state = TokenState.UNSPENT if is_unwritten and not unseen else TokenState.UNKNOWN
    raise UsedListError(UsedListFault.REPLY, state, advice(error))
