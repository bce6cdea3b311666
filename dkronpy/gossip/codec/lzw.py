"""LZW as Go's compress/lzw does it for 8-bit literals, least significant bit first: GIF's, with codes of 9 to 12 bits.

A compressor that has used every code clears its table; a decompressor keeps a full table until it is told to clear.
"""

from __future__ import annotations

from typing import Final

from dkronpy.gossip.codec.msgpack import CodecError

_CLEAR: Final = 256
_END: Final = 257
_FIRST_WIDTH: Final = 9
_LAST_WIDTH: Final = 12
_LAST_CODE: Final = (1 << _LAST_WIDTH) - 1
_LITERALS: Final = [bytes((byte,)) for byte in range(256)] + [b"", b""]


class _Writer:
    """Packs codes into bytes. `newest` is the code that the last one written gave a meaning to."""

    __slots__ = ("_bits", "_held", "newest", "out", "width")

    def __init__(self) -> None:
        self.out = bytearray()
        self._bits = self._held = 0
        self.width, self.newest = _FIRST_WIDTH, _END

    def write(self, code: int) -> None:
        bits, held = self._bits | code << self._held, self._held + self.width
        while held >= 8:
            self.out.append(bits & 0xFF)
            bits >>= 8
            held -= 8
        self._bits, self._held = bits, held

    def write_phrase(self, code: int) -> bool:
        """Whether codes are left; if not, the table is to be cleared."""
        self.write(code)
        self.newest += 1
        if self.newest == 1 << self.width:
            self.width += 1
        if self.newest < _LAST_CODE:
            return True
        self.write(_CLEAR)
        self.width, self.newest = _FIRST_WIDTH, _END
        return False

    def end(self) -> bytes:
        self.write(_END)
        if self._held:
            self.out.append(self._bits)
        return bytes(self.out)


def compress(data: bytes) -> bytes:
    """What does not repeat grows by an eighth and a few bytes."""
    writer = _Writer()
    writer.write(_CLEAR)
    codes: dict[int, int] = {}
    """The code of a phrase by that of all but its last byte, and that byte."""
    phrase = -1
    for byte in data:
        if phrase < 0:
            phrase = byte
            continue
        longer = phrase << 8 | byte
        known = codes.get(longer)
        if known is not None:
            phrase = known
            continue
        if writer.write_phrase(phrase):
            codes[longer] = writer.newest
        else:
            codes.clear()
        phrase = byte
    if phrase >= 0:
        writer.write_phrase(phrase)
    return writer.end()


def decompress(data: bytes, limit: int) -> bytes:
    """Raises CodecError for what no compressor writes, and when more than `limit` bytes would come out."""
    out: list[bytes] = []
    size = 0
    phrases = list(_LITERALS)
    width, last = _FIRST_WIDTH, b""
    bits = held = 0
    for byte in data:
        bits |= byte << held
        held += 8
        if held < width:
            continue
        code = bits & ((1 << width) - 1)
        bits >>= width
        held -= width
        if code == _CLEAR:
            del phrases[_END + 1 :]
            width, last = _FIRST_WIDTH, b""
            continue
        if code == _END:
            return b"".join(out)
        if code < len(phrases):
            phrase = phrases[code]
        elif code == len(phrases) and last:
            phrase = last + last[:1]
        else:
            raise CodecError("the compressed data holds a code that was not made yet")
        size += len(phrase)
        if size > limit:
            raise CodecError(f"the compressed data holds more than {limit} bytes")
        out.append(phrase)
        if last and len(phrases) <= _LAST_CODE:
            phrases.append(last + phrase[:1])
        last = phrase
        if len(phrases) == 1 << width and width < _LAST_WIDTH:
            width += 1
    raise CodecError("the compressed data is cut off")
