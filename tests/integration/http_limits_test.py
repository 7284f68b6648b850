"""Clients that misbehave below HTTP: floods of headers, slow ones, noise. Each is refused within its
bound, and afterwards the edge serves as before."""

import http.client
import json
import random
import select
import socket
import time
import unittest

from shared_suite import SharedSuite, Client, main

READ_TIMEOUT_MS = 1500
MAX_HEADER_BYTES = 8192
MAX_CONNECTIONS = 60
SUITE = SharedSuite(settings={"edge": [
    f"read_timeout_ms: {READ_TIMEOUT_MS}", f"max_header_bytes: {MAX_HEADER_BYTES}",
    f"max_connections_count: {MAX_CONNECTIONS}", "idle_timeout_ms: 1500"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop

# How long a connection may outlive its bound on a busy machine.
SLACK_S = 8


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", SUITE.suite.edge_port), timeout=20)


def read_all(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was read


def end_sending(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


class LimitsCase(unittest.TestCase):
    def tearDown(self):
        self.assertTrue(Client(SUITE.suite.base).get("/openapi.json")["paths"])

    def exchange(self, data: bytes) -> bytes:
        with connect() as sock:
            send(sock, data)
            end_sending(sock)
            return read_all(sock)


class HeadersTest(LimitsCase):
    def test_header_bombs(self):
        line = b"GET /health HTTP/1.1\r\nHost: x\r\n"
        for name, bomb in {
                "one long header": line + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
                "many headers": line + b"".join(b"X-%d: y\r\n" % i for i in range(20000)) + b"\r\n",
                "long target": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
                "no end": line + b"X: " + b"a" * (4 << 20)}.items():
            with self.subTest(name):
                answer = self.exchange(bomb)
                self.assertEqual(status_of(answer), 431, answer[:300])
                head, _, body = answer.partition(b"\r\n\r\n")
                self.assertIn(b"application/problem+json", head)
                self.assertEqual(json.loads(body)["reason"], "HEADERS_TOO_LARGE")

    def test_headers_below_the_bound_are_taken(self):
        status, _, _ = Client(SUITE.suite.base).raw("GET", "/openapi.json",
                                                    headers={"X-Large": "a" * 6000})
        self.assertEqual(status, 200)

    def closes_within(self, sock: socket.socket, bound_ms: int, drip: bytes = b"") -> None:
        """The server closes; meanwhile a byte of `drip` is sent every 50 ms."""
        started = time.monotonic()
        sent = 0
        while time.monotonic() - started < bound_ms / 1000 + SLACK_S:
            if select.select([sock], [], [], 0.05)[0]:
                data = read_all(sock)
                self.assertIn(status_of(data), (0, 400, 408), data[:200])
                return
            if sent < len(drip):
                send(sock, drip[sent:sent + 1])
                sent += 1
        self.fail(f"still open after {time.monotonic() - started:.1f} s")

    def test_slow_clients_are_closed(self):
        for name, first, drip in (
                ("nothing", b"", b""), ("half a line", b"GET /hea", b""),
                ("headers without end", b"GET /health HTTP/1.1\r\nHost: x\r\n", b""),
                ("a byte now and then", b"GET /health HTTP/1.1\r\nX: ", b"a" * 10000)):
            with self.subTest(name), connect() as sock:
                send(sock, first)
                self.closes_within(sock, READ_TIMEOUT_MS, drip)

    def test_idle_connection_is_closed(self):
        with connect() as sock:
            send(sock, b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while b"\r\n\r\n" not in data:
                data += sock.recv(65536)
            self.assertEqual(status_of(data), 200)
            read_all(sock)  # its end is the test: the socket's timeout fails it

    def test_slow_body_is_given_up(self):
        token = SUITE.suite.token("alice")
        with connect() as sock:
            send(sock, (f"POST /api/v1/async-tasks/submit HTTP/1.1\r\nHost: x\r\n"
                        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
                        f"Content-Length: 100\r\n\r\n{{\"task").encode())
            data = read_all(sock)
            self.assertNotIn(status_of(data), (200, 202, 500))


class NoiseTest(LimitsCase):
    def test_noise_gets_an_answer_or_the_end(self):
        generator = random.Random(20240611)
        cases = [b"\x00", b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                 b"GET /health HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                 b"GET /health HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                 b"POST /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"POST /api/v1/artifacts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                 b"Content-Length: 5\r\n\r\n0\r\n\r\n",
                 b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", b"GET /he\x00lth HTTP/1.1\r\n\r\n",
                 b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                 b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: x\r\n\r\n"]
        cases += [generator.randbytes(generator.randrange(1, 4000)) for _ in range(60)]
        request = (b"POST /api/v1/async-tasks/submit HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n"
                   b"Content-Type: application/json\r\n\r\n{\"task_type\": \"none\"}")
        for _ in range(100):
            mutant = bytearray(request)
            for _ in range(generator.randrange(1, 4)):
                mutant[generator.randrange(len(mutant))] = generator.randrange(256)
            cases.append(bytes(mutant))
        for case in cases:
            with self.subTest(case[:60]):
                answer = self.exchange(case)
                if answer:
                    self.assertIn(status_of(answer) // 100, (1, 2, 4), answer[:300])

    def test_a_second_request_cannot_hide_in_a_body(self):
        answer = self.exchange(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                               b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertNotIn(b"openapi\":", answer)

    def test_pipelined_requests_are_answered_in_order(self):
        answer = self.exchange(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                               b"GET /docs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertLess(answer.index(b"HTTP/1.1 404"), answer.index(b"HTTP/1.1 200"))

    def test_clients_that_leave_in_the_middle(self):
        request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        for cut in range(0, len(request) + 1, 3):
            with connect() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                send(sock, request[:cut])


class ConnectionsTest(LimitsCase):
    def test_connections_beyond_the_bound_are_closed_at_once(self):
        held = []
        try:
            refused = 0
            for _ in range(MAX_CONNECTIONS + 20):
                sock = connect()
                held.append(sock)
                send(sock, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
                try:
                    refused += not sock.recv(1024)
                except ConnectionResetError:
                    refused += 1
            self.assertGreaterEqual(refused, 15)
            self.assertLess(refused, MAX_CONNECTIONS)
        finally:
            for sock in held:
                sock.close()
        # The places are free again once the server has seen the ends.
        deadline = time.monotonic() + SLACK_S
        while not self.answers():
            self.assertLess(time.monotonic(), deadline, "the places were not given back")

    def answers(self) -> bool:
        try:
            return Client(SUITE.suite.base).raw("GET", "/openapi.json")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


if __name__ == "__main__":
    main()
