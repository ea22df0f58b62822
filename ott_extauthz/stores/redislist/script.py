"""What does the store do, atomically, when tokens are spent?  The script, and how it is called.

One call spends any number of tokens of one bucket, each for itself, in the order of the call: what refuses one leaves
its neighbours alone.  The steps, each repeated at its line of the script:

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
7. Between finding nothing and writing, a use's charges are judged as ``counting.py`` has it, on counters in the bucket
   of the used key.  They are written first: a use that could not be written after them has cost too much, never too
   little.  A budget keeps its end in ``part``, so that no charge that ends earlier can have it forgotten too soon.

Steps 2 and 3 speak of the server and of this one instant, so they are done once a call, at the first use that passes
step 1: a caller whose clock is off must not set a fence.  INFO alone costs the store twice what the rest of a use does.

Nothing raises once a use may have been written, so that an error of the whole call means that none was: the write of a
use is tried (``pcall``), and what is not a number is taken for one that every comparison refuses.  The answer to a
spend repeats the nonce: a reply that reaches the wrong caller can let nobody through.  A first use also tells how many
replicas were attached.  Searches are plain (``find`` with ``true``): Lua's patterns made this script four times as
slow, since INFO is 6 kB.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from ott_extauthz.ports import OWN_WRITE_MS, Charge, ChargeKind, Use

BUCKET: Final = "{0}"
"""All keys of a bucket share a hash slot and a fence.  A single primary needs one bucket; a cluster has many."""

FENCE_PREFIX: Final = "ott:epoch:"
FENCE_KEY: Final = f"{FENCE_PREFIX}{BUCKET}"
USED_PREFIX: Final = f"ott:{BUCKET}:"

SCRIPT: Final = """\
local max_skew, margin, term, own_write = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)
local fence, since, replicas, verdict

local rank = {limited = 1, exhausted = 2, expired = 3, fenced = 4}
local function number(word) return tonumber(word) or 0 / 0 end

local function vouched()
  local info = redis.call('INFO', 'server', 'replication', 'memory', 'stats')
  local function field(name)
    local _, last = string.find(info, '\\n' .. name .. ':', 1, true)
    return last and string.sub(info, last + 1, string.find(info, '\\r', last, true) - 1) or ''
  end
  -- 2
  if field('role') ~= 'master' then return 'replica' end
  if field('maxmemory') ~= '0' and field('maxmemory_policy') ~= 'noeviction' then return 'evicts' end
  -- 3
  local replid, run_id, evicted = field('master_replid'), field('run_id'), field('evicted_keys')
  if replid == '' or run_id == '' or evicted == '' then return 'hidden' end
  local identity = replid .. ',' .. run_id .. ',' .. evicted .. ',' .. term .. ':'
  fence, replicas = redis.call('GET', KEYS[1]), field('connected_slaves')
  if fence and string.sub(fence, 1, #identity) == identity then
    since = tonumber(string.match(fence, '^%d+$', #identity + 1))
  end
  if not since then
    fence, since = identity .. stamp, now
    redis.call('SET', KEYS[1], fence)
  end
  return 'whole'
end

local function judged(caller)
  -- 1
  if not (math.abs(now - number(caller)) <= max_skew) then return 'clock' end
  verdict = verdict or vouched()
  return verdict
end

-- 7
local function budgeted(held, limit, cost, granted, keep_until)
  if not (number(granted) > since + margin) then return 'fenced' end
  if not (number(keep_until) > now) then return 'expired' end
  if not (cost <= limit - held.level) then return 'exhausted' end
  local ends = math.max(held.part, number(keep_until))
  return nil, {level = held.level + cost, part = ends, keep_until = ends}
end

local function rated(held, limit, period)
  local level, part, rest = held.level, math.min(held.part, limit - 1), period % limit
  if level < now then level, part = now, 0 end
  level, part = level + (period - rest) / limit, part - (limit - rest)
  if part < 0 then part = part + limit else level = level + 1 end
  local reached = part > 0 and level + 1 or level
  if not (reached - now <= period) then return 'limited', reached - now - period end
  return nil, {level = level, part = part, keep_until = reached}
end

local function charged(key, arg, count)
  local drafts, worst, wait = {}, nil, 0
  for charge = 1, count do
    local name, limit, amount = KEYS[key + charge], number(ARGV[arg + 2]), number(ARGV[arg + 3])
    local held = drafts[name]
    if not held then
      local text = redis.pcall('GET', name) or '0:0'
      if text.err then return 'failed', text.err end
      local at = string.find(text, ':', 1, true) or 0
      held = {level = number(string.sub(text, 1, at - 1)), part = number(string.sub(text, at + 1))}
      if not (held.level >= 0 and held.part >= 0 and held.level + held.part < 2 ^ 54) then
        return 'failed', 'ERR a counter of ours holds no number'
      end
    end
    local word, after
    if ARGV[arg + 1] == 'r' then
      word, after = rated(held, limit, amount)
    else
      word, after = budgeted(held, limit, amount, ARGV[arg + 4], ARGV[arg + 5])
    end
    if not word then
      drafts[name] = after
    elseif not worst or rank[word] > rank[worst] then
      worst = word
    end
    if word == 'limited' then wait = math.max(wait, after) end
    arg = arg + 5
  end
  if worst then return worst, worst == 'limited' and string.format('%.0f', wait) or nil end
  for name, draft in pairs(drafts) do
    local text = string.format('%.0f:%.0f', draft.level, draft.part)
    local done = redis.pcall('SET', name, text, 'PXAT', string.format('%.0f', draft.keep_until))
    if done.err then return 'failed', done.err end
  end
end

local function spent(key_at, arg, caller, nonce, issued_at, keep_until, witness, charges)
  local key, count = KEYS[key_at], tonumber(charges)
  local word = judged(caller)
  if word ~= 'whole' then return word .. ' ' .. nonce end
  -- 4
  if not (number(issued_at) > since + margin) then return 'fenced ' .. nonce end
  -- 5
  if not (number(keep_until) > now) then return 'expired ' .. nonce end
  if count > 0 and not redis.pcall('GET', key) then
    local refusal, more = charged(key_at, arg + 6, count)
    if refusal then return refusal .. ' ' .. nonce .. (more and ' ' .. more or '') end
  end
  -- 6
  local value = stamp .. ':' .. nonce .. ':' .. witness
  local before = redis.pcall('SET', key, value, 'NX', 'GET', 'PXAT', keep_until)
  if not before then return 'first ' .. nonce .. ' ' .. replicas end
  if before.err then return 'failed ' .. nonce .. ' ' .. before.err end
  local at = string.find(before, ':', 1, true)
  if not at then return 'used ' .. nonce end
  local first, rest = tonumber(string.sub(before, 1, at - 1)), string.sub(before, at + 1)
  if first and string.sub(rest, 1, #nonce + 1) == nonce .. ':' and now - first <= own_write then
    local again = redis.pcall('SET', key, before, 'XX', 'PXAT', keep_until)
    if not (again and again.ok) then return 'torn ' .. nonce end
    return 'first ' .. nonce .. ' ' .. replicas
  end
  local witness_at = (string.find(rest, ':', 1, true) or 0) + 1
  return 'used ' .. nonce .. ' ' .. string.sub(before, 1, at) .. string.sub(rest, witness_at)
end

if #KEYS == 1 then
  local word = judged(ARGV[5])
  if word == 'whole' then redis.call('SET', KEYS[1], fence) end
  return {word, now, since or 0}
end
local answers, key, arg = {}, 1, 4
while key < #KEYS do
  answers[#answers + 1] = spent(key + 1, arg, unpack(ARGV, arg + 1, arg + 6))
  local charges = tonumber(ARGV[arg + 6])
  key, arg = key + 1 + charges, arg + 6 + 5 * charges
end
return answers
"""


def _packed(*parts: str) -> str:
    """Return words of a command as the wire has them (RESP2: an array of bulk strings); ASCII only."""
    return "".join(f"${len(part)}\r\n{part}\r\n" for part in parts)


def packed(*words: str) -> bytes:
    """Return one whole command as the wire has it."""
    return f"*{len(words)}\r\n{_packed(*words)}".encode()


_SHA: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's name for a script
_CALL: Final = _packed("EVALSHA", _SHA)
_WORDS_OF_A_CALL: Final = 8  # EVALSHA, its name, how many keys, the fence; the bounds, the term, how long one's own
_WORDS_OF_A_USE: Final = 7  # its key; its caller's time, nonce, issued at, kept until, witness, how many charges
_WORDS_OF_A_CHARGE: Final = 6  # its key; its kind, limit, cost or period, granted at, kept until
LOAD: Final = packed("SCRIPT", "LOAD", SCRIPT)
VERSION: Final = packed("INFO", "server")


PackedUse = tuple[str, str, bytes, int]
"""What one use adds to a call: its keys, and its words, as the wire has them (Latin-1, for a witness is any bytes); its
nonce as the answer will repeat it; and how many charges are among them."""


_NO_CHARGES: Final = _packed("0")
_KINDS: Final = {ChargeKind.RATE: "r", ChargeKind.BUDGET: "b"}


def _packed_charge(charge: Charge) -> str:
    is_rate = charge.kind is ChargeKind.RATE
    numbers = (
        charge.limit,
        charge.period_ms if is_rate else charge.bounded_cost,
        charge.since_ms,
        charge.keep_until_ms,
    )
    return _packed(_KINDS[charge.kind], *map(str, numbers))


class SpendScript:
    """Writes calls of the script for one bucket and one set of bounds; most of a call is written beforehand.

    ``term`` numbers the time in which the server is primary, where there is someone to say so.
    """

    def __init__(self, *, max_skew_ms: int, margin_ms: int, bucket: str = BUCKET, term: str = "") -> None:
        self._fence = _packed(FENCE_PREFIX + bucket)
        self._shared = _packed(str(max_skew_ms), str(margin_ms), term, str(OWN_WRITE_MS))
        self._used_prefix = f"ott:{bucket}:"

    def packed_use(self, use: Use) -> PackedUse:
        """Write down what ``use`` adds to a call; done once, for however many servers and sends."""
        now, issued_at, keep_until = str(use.now_ms), str(use.issued_at_ms), str(use.keep_until_ms)
        key, nonce, witness = self._used_prefix + use.key.hex(), use.nonce.hex(), use.witness.decode("latin-1")
        words = (
            f"${len(now)}\r\n{now}\r\n${len(nonce)}\r\n{nonce}\r\n${len(issued_at)}\r\n{issued_at}\r\n"
            f"${len(keep_until)}\r\n{keep_until}\r\n${len(witness)}\r\n{witness}\r\n"
        )
        keys = f"${len(key)}\r\n{key}\r\n"
        if not use.charges:
            return keys, words + _NO_CHARGES, nonce.encode(), 0
        keys += _packed(*[f"{self._used_prefix}{_KINDS[charge.kind]}:{charge.key.hex()}" for charge in use.charges])
        words += _packed(str(len(use.charges))) + "".join(map(_packed_charge, use.charges))
        return keys, words, nonce.encode(), len(use.charges)

    def spend(self, uses: Sequence[PackedUse]) -> bytes:
        """Return the packed call that spends every one of ``uses`` once; it is answered in their order."""
        count = len(uses)
        keys, words, _, counts = zip(*uses, strict=True)
        charges = sum(counts)
        total = _WORDS_OF_A_CALL + _WORDS_OF_A_USE * count + _WORDS_OF_A_CHARGE * charges
        head = f"*{total}\r\n{_CALL}{_packed(str(1 + count + charges))}{self._fence}"
        return "".join([head, *keys, self._shared, *words]).encode("latin-1")

    def look(self, now_ms: int) -> bytes:
        """Return the packed call that does steps 1 to 3 only, and so sets the fence where there is none."""
        head = f"*{_WORDS_OF_A_CALL + 1}\r\n{_CALL}{_packed('1')}{self._fence}"
        return (head + self._shared + _packed(str(now_ms))).encode()


def wait(replicas: int, milliseconds: int) -> bytes:
    """Return the packed WAIT: how many replicas have what this connection wrote, asked for at most so long."""
    return packed("WAIT", str(replicas), str(milliseconds))
