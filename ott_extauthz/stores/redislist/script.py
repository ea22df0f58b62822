"""What does the store do, atomically, when a token is spent?  The script, how it is called, and what it may answer.

The steps, each repeated at its line of the script:

1. The store's clock and the caller's must agree within ``max_skew``, else nothing below could be reasoned about.
2. The server must be a primary that cannot evict: a replica's writes are lost, an evicted key is a token usable again.
3. The fence ``<identity>:<since>`` lies in the keyspace.  A flush takes it away, a restart, a promotion or an eviction
   changes the identity; whatever made the store forget thereby moves ``since`` to now.  Where others say who the
   primary is, the number of its term is part of the identity: a server that comes back as primary is another one.
4. A token issued at or before ``since`` + margin may have been used before the store forgot: refused.
5. A use whose end has passed is refused and *not written*: SET … NX with a past PXAT answers "first use" for ever.
6. SET … NX GET decides.  The value ``<ms>:<nonce>:<witness>`` holds the attempt's nonce, so that a call sent twice
   finds its own write, for as long as it may be the same attempt; anyone else is shown when and by whom it was spent.
   Its own write is written once more, as a look writes the fence once more: a WAIT counts what *its connection* wrote,
   and nothing else (Valkey 9 answers "one replica" to a connection that wrote nothing while that replica stands still).

Every comparison is written so that a value that is not a number refuses.  The answer to a spend repeats the nonce: a
reply that reaches the wrong caller can let nobody through.  A first use also tells how many replicas were attached.
Searches are plain (``find`` with ``true``): Lua's patterns made this script four times as slow, since INFO is 6 kB.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ott_extauthz.ports import OWN_WRITE_MS, FirstUse, Spend, SpendOutcome, Use

BUCKET: Final = "{0}"
"""All keys of a bucket share a hash slot and a fence.  A single primary needs one bucket; a cluster has many."""

FENCE_PREFIX: Final = "ott:epoch:"
FENCE_KEY: Final = f"{FENCE_PREFIX}{BUCKET}"
USED_PREFIX: Final = f"ott:{BUCKET}:"

SCRIPT: Final = """\
local max_skew, margin, term, caller = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local nonce, issued_at, keep_until = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local witness, own_write = ARGV[8], tonumber(ARGV[9])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.call('INFO', 'server', 'replication', 'memory', 'stats')
local function field(name)
  local _, last = string.find(info, '\\n' .. name .. ':', 1, true)
  return last and string.sub(info, last + 1, string.find(info, '\\r', last, true) - 1) or ''
end
local since
local function answer(word)
  if KEYS[2] then return word .. ' ' .. nonce end
  return {word, now, since or 0}
end

-- 1
if not (math.abs(now - caller) <= max_skew) then return answer('clock') end
-- 2
if field('role') ~= 'master' then return answer('replica') end
if field('maxmemory') ~= '0' and field('maxmemory_policy') ~= 'noeviction' then return answer('evicts') end
-- 3
local replid, run_id, evicted = field('master_replid'), field('run_id'), field('evicted_keys')
if replid == '' or run_id == '' or evicted == '' then return answer('hidden') end
local identity = replid .. ',' .. run_id .. ',' .. evicted .. ',' .. term .. ':'
local fence = redis.call('GET', KEYS[1])
if fence and string.sub(fence, 1, #identity) == identity then
  since = tonumber(string.match(fence, '^%d+$', #identity + 1))
end
if not since then
  since = now
  redis.call('SET', KEYS[1], identity .. string.format('%.0f', now))
end
if not KEYS[2] then
  redis.call('SET', KEYS[1], identity .. string.format('%.0f', since))
  return answer('whole')
end
-- 4
if not (issued_at > since + margin) then return answer('fenced') end
-- 5
if not (keep_until > now) then return answer('expired') end
-- 6
local value = string.format('%.0f:', now) .. nonce .. ':' .. witness
local before = redis.call('SET', KEYS[2], value, 'NX', 'GET', 'PXAT', ARGV[7])
if not before then return answer('first') .. ' ' .. field('connected_slaves') end
local at = string.find(before, ':', 1, true)
if not at then return answer('used') end
local first, rest = tonumber(string.sub(before, 1, at - 1)), string.sub(before, at + 1)
if first and string.sub(rest, 1, #nonce + 1) == nonce .. ':' and now - first <= own_write then
  redis.call('SET', KEYS[2], before, 'XX', 'PXAT', ARGV[7])
  return answer('first') .. ' ' .. field('connected_slaves')
end
local witness_at = (string.find(rest, ':', 1, true) or 0) + 1
return answer('used') .. ' ' .. string.sub(before, 1, at) .. string.sub(rest, witness_at)
"""


def _packed(*parts: str) -> str:
    """Return words of a command as the wire has them (RESP2: an array of bulk strings); ASCII only."""
    return "".join(f"${len(part)}\r\n{part}\r\n" for part in parts)


def packed(*words: str) -> bytes:
    """Return one whole command as the wire has it."""
    return f"*{len(words)}\r\n{_packed(*words)}".encode()


_SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's name for a script
LOAD: Final = packed("SCRIPT", "LOAD", SCRIPT)
VERSION: Final = packed("INFO", "server")
_SPEND: Final = "*14\r\n" + _packed("EVALSHA", _SHA, "2")
_LOOK: Final = "*8\r\n" + _packed("EVALSHA", _SHA, "1")

_OWN_WRITE: Final = ("\r\n" + _packed(str(OWN_WRITE_MS))).encode()

_OUTCOMES: Final = {
    b"first": SpendOutcome.FIRST_USE,
    b"used": SpendOutcome.ALREADY_USED,
    b"fenced": SpendOutcome.FENCED,
    b"expired": SpendOutcome.EXPIRED,
    b"clock": SpendOutcome.CLOCK_DISAGREES,
    b"replica": SpendOutcome.NOT_PRIMARY,
    b"evicts": SpendOutcome.UNSAFE,
    b"hidden": SpendOutcome.UNSAFE,
}


class Verdict(StrEnum):
    """What a look at the store found: the words of steps 1 to 3."""

    WHOLE = "whole"
    CLOCK = "clock"
    REPLICA = "replica"
    EVICTS = "evicts"
    HIDDEN = "hidden"


_VERDICTS: Final = {verdict.value.encode(): verdict for verdict in Verdict}


@dataclass(frozen=True, slots=True)
class Look:
    """The store's own view: its clock, and since when it has been whole (0 if a step before the fence refused)."""

    verdict: Verdict
    now_ms: int
    since_ms: int


class SpendScript:
    """Writes calls of the script for one bucket and one set of bounds; most of a call is written beforehand.

    ``term`` numbers the time in which the server is primary, where there is someone to say so.
    """

    def __init__(self, *, max_skew_ms: int, margin_ms: int, bucket: str = BUCKET, term: str = "") -> None:
        fence = _packed(FENCE_PREFIX + bucket)
        self._bounds = _packed(str(max_skew_ms), str(margin_ms), term)
        self._used_prefix = f"ott:{bucket}:"
        self._spend, self._look = _SPEND + fence, _LOOK + fence + self._bounds

    def spend(self, use: Use) -> bytes:
        """Return the packed call that spends once."""
        now, issued_at, keep_until = str(use.now_ms), str(use.issued_at_ms), str(use.keep_until_ms)
        key, nonce = self._used_prefix + use.key.hex(), use.nonce.hex()
        return (
            (
                f"{self._spend}${len(key)}\r\n{key}\r\n{self._bounds}"
                f"${len(now)}\r\n{now}\r\n${len(nonce)}\r\n{nonce}\r\n"
                f"${len(issued_at)}\r\n{issued_at}\r\n${len(keep_until)}\r\n{keep_until}\r\n${len(use.witness)}\r\n"
            ).encode()
            + use.witness
            + _OWN_WRITE
        )

    def look(self, now_ms: int) -> bytes:
        """Return the packed call that does steps 1 to 3 only, and so sets the fence where there is none."""
        return (self._look + _packed(str(now_ms))).encode()


def wait(replicas: int, milliseconds: int) -> bytes:
    """Return the packed WAIT: how many replicas have what this connection wrote, asked for at most so long."""
    return packed("WAIT", str(replicas), str(milliseconds))


def spend_from(reply: object, use: Use) -> Spend | None:
    """Return what the script answered to this very attempt; None for anything else."""
    if not isinstance(reply, bytes):
        return None
    word, _, rest = reply.partition(b" ")
    nonce, _, more = rest.partition(b" ")
    outcome = _OUTCOMES.get(word) if nonce == use.nonce.hex().encode() else None
    if outcome is None:
        return None
    return Spend(outcome, _first_use(more) if more and outcome is SpendOutcome.ALREADY_USED else None)


def replicas_from(reply: object) -> int | None:
    """Return how many replicas the primary had when it wrote a first use; None if the answer does not tell."""
    if not isinstance(reply, bytes):
        return None
    _, _, count = reply.removeprefix(b"first ").partition(b" ")
    return int(count) if count.isdigit() else None


def _first_use(text: bytes) -> FirstUse:
    at, _, witness = text.partition(b":")
    return FirstUse(int(at) if at.isdigit() else 0, witness)


def look_from(reply: object) -> Look | None:
    """Return what a look found; None for anything that is not a look's answer."""
    match reply:
        case [bytes(word), int(now_ms), int(since_ms)] if word in _VERDICTS:
            return Look(_VERDICTS[word], now_ms, since_ms)
    return None
