"""How a store lies in Redis, and the scripts that read and write it.

All of it is in five keys of Redis, which share a hash slot:

- `{dkronpy}:entries`, a hash: of each key its revision in decimal, `=`, and its value;
- `{dkronpy}:order`, a sorted set of these keys, all of score 0, so that Redis sorts them by their bytes;
- `{dkronpy}:state`, a hash: the newest `revision`, and the `bytes` logged since the last mark;
- `{dkronpy}:changes`, a stream with an entry for each commit, whose id is the revision. Its one field is named by the
  revision before, so that a reader sees whether it has missed something; the value holds the keys and values changed;
- `{dkronpy}:marks`, a list: the revisions at which the stream had grown by another so many bytes, for trimming it.

Revisions are microseconds since 1970 by Redis' clock, or the last one plus one where the clock lags behind. So they do
not repeat even where Redis loses its last commits, or all of them: no guard then holds for a revision that was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from dkronpy.store.contract import Entry, Event, Put

if TYPE_CHECKING:
    from dkronpy.store.contract import Guard, Operation

ENTRIES: Final = "{dkronpy}:entries"
ORDER: Final = "{dkronpy}:order"
STATE: Final = "{dkronpy}:state"
CHANGES: Final = "{dkronpy}:changes"
MARKS: Final = "{dkronpy}:marks"

MARK_BYTES = 1 << 20
"""What the stream grows by between two marks, by estimate."""
MARKS_KEPT = 16
"""Marks up to which the stream is kept."""

Command: TypeAlias = Sequence[str | bytes | int]
"""A command of Redis with its arguments."""

COMMIT: Final = """
-- ARGV: bytes between marks, marks kept, number of guards; key and revision of each guard; key and value of each
-- operation, a put's value behind '=', a deletion's empty.
-- Returns the revision; -n if guard n does not hold.
local entries, order, state, changes, marks = unpack(KEYS)
local first = 4 + 2 * ARGV[3]
for at = 4, first - 1, 2 do
  local held = redis.call('HGET', entries, ARGV[at])
  if (held and string.match(held, '^%d+') or '0') ~= ARGV[at + 1] then return -(at - 2) / 2 end
end
local before, bytes = unpack(redis.call('HMGET', state, 'revision', 'bytes'))
before, bytes = before or '0', bytes or 0
local time = redis.call('TIME')
local revision = math.max(before + 1, time[1] * 1000000 + time[2])
local id = string.format('%.0f', revision)
local put, kept, gone, log = {}, {}, {}, {}
for at = first, #ARGV, 2 do
  local key, value = ARGV[at], ARGV[at + 1]
  local changes_it = true
  if value ~= '' then
    put[#put + 1], put[#put + 2] = key, id .. value
    kept[#kept + 1], kept[#kept + 2] = 0, key
  elseif redis.call('HEXISTS', entries, key) == 1 then
    gone[#gone + 1] = key
  else
    changes_it = false
  end
  if changes_it then
    log[#log + 1] = struct.pack('>I4', #key) .. key .. struct.pack('>I4', #value)
    log[#log + 1] = value
  end
end
if #log == 0 then return tonumber(before) end
log = table.concat(log)
redis.call('XADD', changes, id, before, log)  -- what may fail for the data that is there comes before the rest
if #put > 0 then
  redis.call('HSET', entries, unpack(put))
  redis.call('ZADD', order, unpack(kept))
end
if #gone > 0 then
  redis.call('HDEL', entries, unpack(gone))
  redis.call('ZREM', order, unpack(gone))
end
bytes = bytes + #log + 100
if bytes >= tonumber(ARGV[1]) then
  bytes = 0
  if redis.call('RPUSH', marks, id) > tonumber(ARGV[2]) then
    redis.call('XTRIM', changes, 'MINID', redis.call('LPOP', marks))
  end
end
redis.call('HSET', state, 'revision', id, 'bytes', bytes)
return revision
"""

PAGE: Final = """
-- ARGV: the range as ZRANGEBYLEX has it, the number of keys. Returns the revision, whether there are more keys, and
-- key and value of each, with the length before each of them.
local entries, order, state = unpack(KEYS)
local keys = redis.call('ZRANGEBYLEX', order, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3] + 1)
local more = #keys > tonumber(ARGV[3])
if more then keys[#keys] = nil end
local packed = {}
for first = 1, #keys, 1000 do
  local last = math.min(first + 999, #keys)
  for n, value in ipairs(redis.call('HMGET', entries, unpack(keys, first, last))) do
    local key = keys[first + n - 1]
    packed[#packed + 1] = struct.pack('>I4', #key) .. key .. struct.pack('>I4', #value)
    packed[#packed + 1] = value
  end
end
return {redis.call('HGET', state, 'revision') or '0', more and 1 or 0, table.concat(packed)}
"""


def commit_arguments(guards: Sequence[Guard], operations: Sequence[Operation]) -> Command:
    """Keys and arguments of `COMMIT`. Raises ValueError for a key that has no UTF-8 form (a lone surrogate)."""
    command: list[str | bytes | int] = [5, ENTRIES, ORDER, STATE, CHANGES, MARKS, MARK_BYTES, MARKS_KEPT, len(guards)]
    for guard in guards:
        command += (guard.key.encode(), guard.revision)
    for operation in operations:
        command += (operation.key.encode(), b"=" + operation.value if isinstance(operation, Put) else b"")
    return command


def page_arguments(prefix: str, after: str, limit: int) -> Command:
    """Keys and arguments of `PAGE`. No byte of UTF-8 is 255, so that one ends the keys under a prefix."""
    start, behind = prefix.encode(), after.encode()
    first = b"(" + behind if behind >= start else b"[" + start
    return [3, ENTRIES, ORDER, STATE, first, b"(" + start + b"\xff", limit]


class Logged(NamedTuple):
    """A commit in the stream: the revision before it, and its events."""

    before: int
    events: tuple[Event, ...]


def logged(entry: tuple[bytes, tuple[bytes, bytes]]) -> Logged:
    """An entry of the stream."""
    name, (before, packed) = entry
    revision = int(name.partition(b"-")[0])
    parts = _unpacked(packed)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return Logged(
        int(before), tuple(Event(key.decode(), value[1:] if value else None, revision) for key, value in pairs)
    )


def page_entries(packed: bytes) -> tuple[Entry, ...]:
    """The entries of a page."""
    parts = _unpacked(packed)
    return tuple(entry(key.decode(), held) for key, held in zip(parts[::2], parts[1::2], strict=True))


def entry(key: str, held: bytes) -> Entry:
    """What the hash holds of a key."""
    end = held.index(b"=")
    return Entry(key, held[end + 1 :], int(held[:end]))


def _unpacked(packed: bytes) -> list[bytes]:
    parts: list[bytes] = []
    start = 0
    while start < len(packed):
        end = start + 4 + int.from_bytes(packed[start : start + 4])
        parts.append(packed[start + 4 : end])
        start = end
    return parts
