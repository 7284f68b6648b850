"""The table of rfc6455_test.py: what a peer sends on an open WebSocket, and what must come back.

Each case is (section of RFC 6455, what it is about, frames to send, what must be answered). Answers:
PONG is the application's answer to its own ping message, ("pong", bytes) a pong frame, a number the
code of the close frame; with OPEN at the end the connection must still serve.
"""

import struct
import zlib

TEXT, BINARY, CLOSE, PING, PONG_FRAME = 0x1, 0x2, 0x8, 0x9, 0xA
OPEN = "open"
PONG = "application pong"
MASK = b"\x37\xfa\x21\x3d"
MESSAGE = b'{"type":"ping"}'
MAX_MESSAGE_BYTES = 4096  # as the test configures the edge


def frame(opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0, masked: bool = True,
          mask: bytes = MASK, length_form: int = 0, claimed: int | None = None) -> bytes:
    """length_form: 0 for the shortest, 16 or 64 bits; claimed: another length than the payload's."""
    size = len(payload) if claimed is None else claimed
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if length_form == 64 or (length_form == 0 and size > 0xFFFF):
        head = struct.pack("!BBQ", first, bit | 127, size)
    elif length_form == 16 or size > 125:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BB", first, bit | size)
    if not masked:
        return head + payload
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def text(payload: bytes = MESSAGE, **how) -> bytes:
    return frame(TEXT, payload, **how)


def more(payload: bytes, fin: bool = False) -> bytes:
    return frame(0x0, payload, fin)


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


def padded(size: int) -> bytes:
    """The application's ping as JSON of so many bytes."""
    return MESSAGE[:-1] + b" " * (size - len(MESSAGE)) + b"}"


def in_pieces(payload: bytes, size: int) -> list[bytes]:
    parts = [payload[i:i + size] for i in range(0, len(payload), size)]
    return [frame(TEXT, parts[0], fin=False), *[more(part) for part in parts[1:-1]],
            more(parts[-1], fin=True)]


# Well-formed UTF-8 inside of a message whose type nobody knows is 1008: it was read and understood
# as far as the protocol goes. Malformed UTF-8 is 1007.
def saying(said: bytes) -> bytes:
    return b'{"type":"' + said + b'"}'


CASES = [
    # --- data frames
    ("5.6", "a text message", [text()], [PONG, OPEN]),
    ("5.6", "two messages in one segment", [text() + text()], [PONG, PONG, OPEN]),
    ("5.6", "an empty text message is no message of this protocol", [text(b"")], [1008]),
    ("5.6", "a binary message", [frame(BINARY, b"\0\1")], [1003]),
    ("5.6", "an empty binary message", [frame(BINARY)], [1003]),
    ("5.6", "text that is no JSON", [text(b"hello")], [1008]),
    ("5.6", "JSON that is no object", [text(b"[1]")], [1008]),
    ("5.6", "an unknown type of message", [text(b'{"type":"dance"}')], [1008]),
    ("5.6", "JSON nested a thousand deep", [text(b"[" * 1000)], [1008]),
    # --- lengths
    ("5.2", "125 bytes, the largest 7-bit length", [text(padded(125))], [PONG, OPEN]),
    ("5.2", "126 bytes, the smallest 16-bit length", [text(padded(126))], [PONG, OPEN]),
    ("5.2", "127 bytes", [text(padded(127))], [PONG, OPEN]),
    ("5.2", "a message of just the allowed size", [text(padded(MAX_MESSAGE_BYTES))], [PONG, OPEN]),
    ("5.2", "one byte more than allowed", [text(padded(MAX_MESSAGE_BYTES + 1))], [1009]),
    ("5.2", "a 16-bit length that fits 7 bits", [text(length_form=16)], [1002]),
    ("5.2", "a 64-bit length that fits 7 bits", [text(length_form=64)], [1002]),
    ("5.2", "a 64-bit length that fits 16 bits", [text(padded(200), length_form=64)], [1002]),
    ("5.2", "2 MiB announced", [text(b"{", claimed=2 << 20)], [1009]),
    ("5.2", "4 GiB announced", [text(b"{", claimed=1 << 32)], [1009]),
    ("5.2", "the largest length there is", [text(b"{", claimed=(1 << 63) - 1)], [1009]),
    ("5.2", "a 64-bit length with its top bit set", [text(b"{", claimed=1 << 63)], [1009]),
    # --- fragments
    ("5.4", "a message in two fragments", in_pieces(MESSAGE, 8), [PONG, OPEN]),
    ("5.4", "a message in fragments of one byte", in_pieces(MESSAGE, 1), [PONG, OPEN]),
    ("5.4", "an empty first fragment", [frame(TEXT, fin=False), more(MESSAGE, True)], [PONG, OPEN]),
    ("5.4", "empty fragments in between",
     [frame(TEXT, MESSAGE[:5], fin=False), more(b""), more(b""), more(MESSAGE[5:], True)],
     [PONG, OPEN]),
    ("5.4", "an empty last fragment",
     [frame(TEXT, MESSAGE, fin=False), more(b"", True)], [PONG, OPEN]),
    ("5.4", "a binary message in fragments",
     [frame(BINARY, b"\0", fin=False), more(b"\1", True)], [1003]),
    ("5.4", "a continuation of nothing", [more(MESSAGE, True)], [1002]),
    ("5.4", "an unfinished continuation of nothing", [more(MESSAGE)], [1002]),
    # The close may overtake the answer to the message.
    ("5.4", "a continuation after a whole message", [text(), more(b"x", True)], [1002]),
    ("5.4", "a new text message inside of another",
     [frame(TEXT, MESSAGE[:5], fin=False), text()], [1002]),
    ("5.4", "a binary message inside of a text message",
     [frame(TEXT, MESSAGE[:5], fin=False), frame(BINARY, b"x")], [1002]),
    ("5.4", "fragments that are too much together",
     [frame(TEXT, b" " * 3000, fin=False), more(b" " * 3000, True)], [1009]),
    ("5.4", "fragments without end", [frame(TEXT, b" ", fin=False)] + [more(b" " * 100)] * 50,
     [1009]),
    # --- control frames
    ("5.5.2", "a ping", [frame(PING)], [("pong", b""), OPEN]),
    ("5.5.2", "a ping with data", [frame(PING, b"hello")], [("pong", b"hello"), OPEN]),
    ("5.5.2", "a ping with bytes that are no text", [frame(PING, b"\xff\x00\xfe")],
     [("pong", b"\xff\x00\xfe"), OPEN]),
    ("5.5.2", "a ping of 125 bytes", [frame(PING, b"p" * 125)], [("pong", b"p" * 125), OPEN]),
    ("5.5", "a ping of 126 bytes", [frame(PING, b"p" * 126)], [1002]),
    ("5.5", "a ping with a 16-bit length", [frame(PING, b"p", length_form=16)], [1002]),
    ("5.5", "a ping in fragments", [frame(PING, b"p", fin=False)], [1002]),
    ("5.5", "a pong in fragments", [frame(PONG_FRAME, b"p", fin=False)], [1002]),
    ("5.5", "a close in fragments", [frame(CLOSE, b"\x03\xe8", fin=False)], [1002]),
    ("5.5.3", "a pong that nobody asked for", [frame(PONG_FRAME, b"x"), text()], [PONG, OPEN]),
    ("5.5.3", "an empty pong that nobody asked for", [frame(PONG_FRAME), text()], [PONG, OPEN]),
    ("5.5", "a pong of 126 bytes", [frame(PONG_FRAME, b"p" * 126)], [1002]),
    ("5.4", "a ping between fragments",
     [frame(TEXT, MESSAGE[:5], fin=False), frame(PING, b"mid"), more(MESSAGE[5:], True)],
     [("pong", b"mid"), PONG, OPEN]),
    ("5.4", "pings between all fragments",
     [part for piece in in_pieces(MESSAGE, 5) for part in (piece, frame(PING, b"q"))],
     [("pong", b"q"), ("pong", b"q"), PONG, ("pong", b"q"), OPEN]),
    ("5.4", "a pong between fragments",
     [frame(TEXT, MESSAGE[:5], fin=False), frame(PONG_FRAME), more(MESSAGE[5:], True)],
     [PONG, OPEN]),
    ("5.4", "a close between fragments", [frame(TEXT, MESSAGE[:5], fin=False), close(1000)],
     [1000]),
    # --- closing
    ("5.5.1", "a close without a code", [close()], [1000]),
    ("5.5.1", "a close with half a code", [frame(CLOSE, b"\x03")], [1002]),
    ("5.5.1", "a normal close", [close(1000)], [1000]),
    ("5.5.1", "a close with a reason", [close(1000, b"bye")], [1000]),
    ("5.5.1", "a close with a reason of 123 bytes", [close(1001, b"r" * 123)], [1001]),
    ("5.5.1", "a close of 126 bytes", [close(1000, b"r" * 124)], [1002]),
    ("5.5.1", "a close whose reason is no UTF-8", [close(1000, b"\xce\xba\xe1\xbd")], [1002]),
    ("5.5.1", "what comes after a close is not read", [close(1000), text()], [1000]),
    ("7.4.1", "going away", [close(1001)], [1001]),
    ("7.4.1", "protocol error", [close(1002)], [1002]),
    ("7.4.1", "unsupported data", [close(1003)], [1003]),
    ("7.4.1", "inconsistent data", [close(1007)], [1007]),
    ("7.4.1", "policy", [close(1008)], [1008]),
    ("7.4.1", "too big", [close(1009)], [1009]),
    ("7.4.1", "a missing extension", [close(1010)], [1010]),
    ("7.4.1", "internal error", [close(1011)], [1011]),
    ("7.4.2", "the first code for libraries", [close(3000)], [3000]),
    ("7.4.2", "the last code for libraries", [close(3999)], [3999]),
    ("7.4.2", "the first private code", [close(4000)], [4000]),
    ("7.4.2", "the last private code", [close(4999)], [4999]),
    ("7.4.2", "code 0", [close(0)], [1002]),
    ("7.4.2", "code 999", [close(999)], [1002]),
    ("7.4.1", "code 1004, reserved", [close(1004)], [1002]),
    ("7.4.1", "code 1005, never sent", [close(1005)], [1002]),
    ("7.4.1", "code 1006, never sent", [close(1006)], [1002]),
    ("7.4.1", "code 1015, never sent", [close(1015)], [1002]),
    ("7.4.2", "code 1016, not given", [close(1016)], [1002]),
    ("7.4.2", "code 2999, not given", [close(2999)], [1002]),
    # Above 4999 the RFC defines nothing; it is echoed.
    ("7.4.2", "code 65535", [close(65535)], [65535]),
    # --- what is reserved
    *[("5.2", f"reserved data opcode {opcode}", [frame(opcode, b"x")], [1002])
      for opcode in (3, 4, 5, 6, 7)],
    *[("5.2", f"reserved control opcode {opcode}", [frame(opcode)], [1002])
      for opcode in (11, 12, 13, 14, 15)],
    ("5.2", "RSV1 without the extension", [text(rsv=4)], [1002]),
    ("5.2", "RSV2", [text(rsv=2)], [1002]),
    ("5.2", "RSV3", [text(rsv=1)], [1002]),
    ("5.2", "RSV1 in a ping", [frame(PING, rsv=4)], [1002]),
    ("5.2", "all reserved bits in a close", [frame(CLOSE, rsv=7)], [1002]),
    # --- masks
    ("5.1", "a text message without a mask", [text(masked=False)], [1002]),
    ("5.1", "a ping without a mask", [frame(PING, b"x", masked=False)], [1002]),
    ("5.1", "a close without a mask", [frame(CLOSE, b"\x03\xe8", masked=False)], [1002]),
    ("5.3", "a mask of zeros", [text(mask=b"\0\0\0\0")], [PONG, OPEN]),
    ("5.3", "another mask for each frame",
     [text(mask=bytes([i, 255 - i, i * 7 & 255, 13])) for i in range(5)], [PONG] * 5 + [OPEN]),
    # --- UTF-8
    ("8.1", "two, three and four bytes", [text(saying("ñ€𐍈".encode()))], [1008]),
    ("8.1", "a character in two fragments",
     [frame(TEXT, b'{"type":"\xe2\x82', fin=False), more(b'\xac"}', True)], [1008]),
    ("8.1", "a character in four fragments",
     [frame(TEXT, b'{"type":"\xf0', fin=False), more(b"\x90"), more(b"\x8d"),
      more(b'\x88"}', True)], [1008]),
    ("8.1", "the last code point", [text(saying("\U0010ffff".encode()))], [1008]),
    ("8.1", "a continuation byte alone", [text(saying(b"\x80"))], [1007]),
    ("8.1", "a lead byte alone", [text(saying(b"\xc3"))], [1007]),
    ("8.1", "an overlong slash", [text(saying(b"\xc0\xaf"))], [1007]),
    ("8.1", "an overlong slash in three bytes", [text(saying(b"\xe0\x80\xaf"))], [1007]),
    ("8.1", "an overlong null", [text(saying(b"\xc0\x80"))], [1007]),
    ("8.1", "an overlong four-byte form", [text(saying(b"\xf0\x80\x80\xaf"))], [1007]),
    ("8.1", "a surrogate", [text(saying(b"\xed\xa0\x80"))], [1007]),
    ("8.1", "above the last code point", [text(saying(b"\xf4\x90\x80\x80"))], [1007]),
    ("8.1", "a byte that never is", [text(saying(b"\xff"))], [1007]),
    ("8.1", "a five-byte form", [text(saying(b"\xf8\x88\x80\x80\x80"))], [1007]),
    ("8.1", "a message that ends within a character", [text(b'{"type":"\xe2\x82')], [1007]),
    ("8.1", "bad bytes in the second fragment",
     [frame(TEXT, b'{"type":"', fin=False), more(b'\xed\xbf\xbf"}', True)], [1007]),
    ("8.1", "a character broken by the end of the fragments",
     [frame(TEXT, b'{"type":"\xe2', fin=False), more(b'"}', True)], [1007]),
]

# What a client may ask for, and the status of the answer: (section, what, changes of the request
# line or headers, status). A header of None is left out.
HANDSHAKES = [
    ("4.1", "as it should be", {}, 101),
    ("4.2.1", "Upgrade in capitals", {"Upgrade": "WEBSOCKET"}, 101),
    ("4.2.1", "Connection among others", {"Connection": "keep-alive, Upgrade"}, 101),
    ("4.2.1", "Connection in capitals", {"Connection": "UPGRADE"}, 101),
    ("4.2.1", "a subprotocol that is not spoken here", {"Sec-WebSocket-Protocol": "chat"}, 101),
    ("9.1", "an extension that is not known here", {"Sec-WebSocket-Extensions": "x-dance"}, 101),
    ("4.2.1", "no Upgrade", {"Upgrade": None}, 400),
    ("4.2.1", "another Upgrade", {"Upgrade": "h2c"}, 400),
    ("4.2.1", "no Connection", {"Connection": None}, 400),
    ("4.2.1", "no key", {"Sec-WebSocket-Key": None}, 400),
    ("4.2.1", "a key that is too short", {"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
    ("4.2.1", "a key that is no base64", {"Sec-WebSocket-Key": "!" * 24}, 400),
    ("4.2.2", "no version", {"Sec-WebSocket-Version": None}, 400),
    ("4.2.2", "an older version", {"Sec-WebSocket-Version": "8"}, 426),
    ("4.1", "a POST", {"method": "POST"}, 400),
    ("4.1", "HTTP/1.0", {"version": "HTTP/1.0"}, 400),
]


# permessage-deflate (RFC 7692), once it has been negotiated: RSV1 (4 here) marks a compressed
# message, in its first frame alone.
def deflated(payload: bytes, level: int = 9) -> bytes:
    """Section 7.2.1: raw deflate, flushed, without the four bytes that end it."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -12)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def packed_text(payload: bytes = MESSAGE, **how) -> bytes:
    return frame(TEXT, deflated(payload), rsv=4, **how)


# No-context-takeover is asked for by the test, so each message stands alone.
DEFLATE_CASES = [
    ("7.2.2", "a compressed message", [packed_text()], [PONG, OPEN]),
    ("7.2.2", "two compressed messages", [packed_text(), packed_text()], [PONG, PONG, OPEN]),
    ("6", "an uncompressed message among compressed ones",
     [packed_text(), text(), packed_text()], [PONG, PONG, PONG, OPEN]),
    ("7.2.3.3", "a block that is stored", [frame(TEXT, deflated(MESSAGE, level=0), rsv=4)],
     [PONG, OPEN]),
    ("6.1", "a compressed message in two fragments",
     [frame(TEXT, deflated(MESSAGE)[:6], fin=False, rsv=4), more(deflated(MESSAGE)[6:], True)],
     [PONG, OPEN]),
    ("6.1", "a ping between compressed fragments",
     [frame(TEXT, deflated(MESSAGE)[:6], fin=False, rsv=4), frame(PING, b"mid"),
      more(deflated(MESSAGE)[6:], True)], [("pong", b"mid"), PONG, OPEN]),
    ("6.1", "RSV1 in a later fragment",
     [frame(TEXT, deflated(MESSAGE)[:6], fin=False, rsv=4),
      frame(0x0, deflated(MESSAGE)[6:], rsv=4)], [1002]),
    ("6.1", "RSV1 in a ping", [frame(PING, b"x", rsv=4)], [1002]),
    ("6", "RSV2 beside RSV1", [frame(TEXT, deflated(MESSAGE), rsv=6)], [1002]),
    ("6.1", "an empty compressed message is none of this protocol",
     [frame(TEXT, b"\0", rsv=4)], [1008]),
    ("6.2", "bytes that are no deflate", [frame(TEXT, b"\xff\xff\xff\xff", rsv=4)], ["refused"]),
    ("6.2", "a block of a type that is not given", [frame(TEXT, b"\x07\x00", rsv=4)], ["refused"]),
    ("6.2", "bad UTF-8, compressed", [packed_text(b'{"type":"\xff"}')], [1007]),
    ("6.2", "a bomb: 10 MB of blanks in 10 KB", [packed_text(b" " * (10 << 20))], [1009]),
    ("6.2", "a message of just the allowed size", [packed_text(padded(MAX_MESSAGE_BYTES))],
     [PONG, OPEN]),
    ("6.2", "one byte more than allowed", [packed_text(padded(MAX_MESSAGE_BYTES + 1))], [1009]),
]
