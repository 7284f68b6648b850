"""The edge's WebSocket, frame by frame: the table of rfc6455_cases.py, sent over bare sockets."""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import time
import unittest
import zlib

from rfc6455_cases import (CASES, CLOSE, DEFLATE_CASES, HANDSHAKES, MAX_MESSAGE_BYTES, OPEN, PING, PONG,
                           PONG_FRAME, TEXT, frame, more, packed_text, text)
from shared_suite import SharedSuite, main

MAX_DEFLATE = 3
SUITE = SharedSuite(settings={
    "edge": [f"websocket {{ max_message_bytes: {MAX_MESSAGE_BYTES} "
             "max_incoming_per_minute_count: 100000 max_user_connections_count: 1000 "
             f"max_address_handshakes_per_minute_count: 100000 "
             f"max_deflate_connections_count: {MAX_DEFLATE} }}"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop

WAIT_S = 20
DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
APPLICATION_PONG = b'{"type":"pong"}'


class Peer:
    """A client of bare bytes."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", SUITE.suite.edge_port), WAIT_S)
        self.read = self.socket.makefile("rb")
        self.deflate = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.read.close()
        self.socket.close()

    def ask(self, token: str, changes: dict | None = None) -> tuple[int, dict, str]:
        """The handshake: status, headers, the key that was sent."""
        key = base64.b64encode(os.urandom(16)).decode()
        headers = {"Host": f"127.0.0.1:{SUITE.suite.edge_port}", "Upgrade": "websocket",
                   "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                   "Sec-WebSocket-Version": "13", "Authorization": f"Bearer {token}",
                   "method": "GET", "version": "HTTP/1.1", **(changes or {})}
        method, version = headers.pop("method"), headers.pop("version")
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.socket.sendall("\r\n".join([f"{method} /ws {version}", *lines, "", ""]).encode())
        status = int(self.read.readline().split()[1])
        answered = {}
        while line := self.read.readline().decode().strip():
            name, _, value = line.partition(":")
            answered[name.lower()] = value.strip()
        self.deflate = "permessage-deflate" in answered.get("sec-websocket-extensions", "")
        return status, answered, key

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame; None at the end of the connection."""
        try:
            head = self.read.read(2)
        except ConnectionResetError:
            return None
        if len(head) < 2:
            return None
        if head[1] & 0x80:
            raise AssertionError("a server must not mask")
        packed = head[0] & 0x70
        if packed and not (self.deflate and packed == 0x40):
            raise AssertionError(f"reserved bits in {head!r}")
        size = head[1] & 0x7F
        if size == 126:
            size, = struct.unpack("!H", self.read.read(2))
        elif size == 127:
            size, = struct.unpack("!Q", self.read.read(8))
        if not head[0] & 0x80:
            raise AssertionError("the edge sends whole messages")
        payload = self.read.read(size)
        if packed:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        return head[0] & 0x0F, payload

    def answer(self):
        """What came of the peer's frames; the notification of being subscribed is passed over."""
        while (got := self.frame()) is not None:
            opcode, payload = got
            if opcode == PING:
                continue
            if opcode == PONG_FRAME:
                return "pong", payload
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0] if payload else None
            if opcode != TEXT:
                raise AssertionError(f"a frame of opcode {opcode}")
            if payload == APPLICATION_PONG:
                return PONG
        return "refused"


class Rfc6455Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.token = SUITE.suite.token("frames")

    def test_the_table_is_whole(self):
        self.assertGreaterEqual(len(CASES), 80)
        self.assertEqual(len({(section, what) for section, what, *_ in CASES}), len(CASES))

    def test_frames(self):
        for section, what, frames, answers in CASES:
            with self.subTest(f"{section} {what}"), Peer() as peer:
                self.assertEqual(peer.ask(self.token)[0], 101)
                for one in frames:
                    peer.socket.sendall(one)
                for expected in answers:
                    if expected != OPEN:
                        got = peer.answer()
                        if got == PONG and PONG not in answers:
                            got = peer.answer()
                        self.assertEqual(got, expected)
                        continue
                    peer.socket.sendall(text())
                    self.assertEqual(peer.answer(), PONG, "the connection no longer serves")
                if answers[-1] != OPEN:
                    self.assertIsNone(peer.frame(), "something came after the close")

    def test_who_still_sends_reads_why_it_was_closed(self):
        """The edge closes at its limit or at a message that it does not know, while the peer sends
        on, as fast as it can and at its leisure: no reset may overtake the close frame."""
        endless = [frame(TEXT, b" ", fin=False)] + [more(b" " * 100)] * 120
        unknown = [text(b'{"type":"dance"}')] + [text()] * 120
        for frames, code in ((endless, 1009), (unknown, 1008)):
            for pause_s in (0, 0.0005, 0.005):
                with self.subTest(f"{code}, {pause_s} s between frames"), Peer() as peer:
                    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.assertEqual(peer.ask(self.token)[0], 101)
                    for one in frames:
                        peer.socket.sendall(one)
                        time.sleep(pause_s)
                    self.assertEqual(peer.answer(), code)
                    self.assertIsNone(peer.frame(), "something came after the close")

    def test_compressed_frames(self):
        for section, what, frames, answers in DEFLATE_CASES:
            with self.subTest(f"RFC 7692 {section} {what}"), Peer() as peer:
                self.assertEqual(self.deflate(peer), 101)
                for one in frames:
                    peer.socket.sendall(one)
                for expected in answers:
                    if expected == OPEN:
                        peer.socket.sendall(packed_text())
                        expected = PONG
                    got = peer.answer()
                    if expected == "refused":
                        # The code is Beast's choice; the connection ends.
                        self.assertIn(got, ("refused", None, 1002, 1007, 1011))
                    else:
                        self.assertEqual(got, expected)

    def deflate(self, peer: Peer) -> int:
        """A handshake that asks for it, until there is room: one that broke off keeps its place
        until the edge has seen it."""
        deadline = time.monotonic() + WAIT_S
        while True:
            status, _, _ = peer.ask(self.token, {"Sec-WebSocket-Extensions": DEFLATE})
            if peer.deflate or status != 101 or time.monotonic() > deadline:
                self.assertTrue(peer.deflate, "not negotiated")
                return status
            peer.__exit__()
            peer.__init__()

    def test_compression_is_capped_and_given_back(self):
        with contextlib.ExitStack() as stack:
            for _ in range(MAX_DEFLATE):
                self.deflate(stack.enter_context(Peer()))
            with Peer() as one_more:
                self.assertEqual(one_more.ask(self.token, {"Sec-WebSocket-Extensions": DEFLATE})[0],
                                 101)
                self.assertFalse(one_more.deflate, "the cap does not hold")
                one_more.socket.sendall(text())
                self.assertEqual(one_more.answer(), PONG)
        with Peer() as again:
            self.deflate(again)

    def test_who_has_seen_its_close_frame_may_compress_at_once_on_another_connection(self):
        """Also while the old one's TCP connection is still there."""
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer()) for _ in range(MAX_DEFLATE)]
            for peer in peers:
                self.deflate(peer)
            peers[0].socket.sendall(frame(CLOSE, struct.pack("!H", 1000)))
            self.assertEqual(peers[0].answer(), 1000)
            successor = stack.enter_context(Peer())
            successor.ask(self.token, {"Sec-WebSocket-Extensions": DEFLATE})
            self.assertTrue(successor.deflate, "the place is not free yet")

    def test_compression_that_nobody_asked_for_is_not_used(self):
        with Peer() as peer:
            peer.ask(self.token)
            self.assertFalse(peer.deflate)

    def test_frames_byte_by_byte(self):
        """However the bytes are cut on their way, the answers are the same."""
        for section, what, frames, answers in CASES[::7]:
            with self.subTest(f"{section} {what}"), Peer() as peer:
                peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.assertEqual(peer.ask(self.token)[0], 101)
                for byte in b"".join(frames)[:400]:
                    peer.socket.sendall(bytes([byte]))
                peer.socket.sendall(b"".join(frames)[400:])
                self.assertEqual(peer.answer(), answers[0])

    def test_handshakes(self):
        for section, what, changes, expected in HANDSHAKES:
            with self.subTest(f"{section} {what}"), Peer() as peer:
                status, headers, key = peer.ask(self.token, changes)
                self.assertEqual(status, expected)
                if status == 426:
                    self.assertEqual(headers.get("sec-websocket-version"), "13")
                if status != 101:
                    continue
                accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
                self.assertEqual(headers["sec-websocket-accept"], accept)
                self.assertEqual(headers["upgrade"].lower(), "websocket")
                self.assertNotIn("sec-websocket-protocol", headers)
                self.assertNotIn("sec-websocket-extensions", headers)


if __name__ == "__main__":
    main()
