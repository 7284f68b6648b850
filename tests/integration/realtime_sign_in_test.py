"""How a WebSocket and an EventSource sign in, stay signed in, and what bounds them: tickets, session
cookies, refresh, expiry, limits, a reader that does not read."""

import asyncio
import contextlib
import http.client
import json
import socket as sockets
import threading
import time
import unittest
import uuid

import websockets

from realtime_clients import WAIT_S, closing, connect, receive, say, until
from shared_suite import Client, SharedSuite, main

SUITE = SharedSuite(settings={
    "auth": ["leeway_s: 0"],
    "notification": ["user_messages_per_minute_count: 0"],
    "edge": ["websocket { refresh_notice_ms: 2000 "
             "max_address_failed_sign_ins_per_minute_count: 5 "
             "max_address_handshakes_per_minute_count: 200 "
             "max_address_connections_count: 8 max_message_bytes: 65536 }"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop

TICKET, SESSION = "/api/v1/ws/ticket", "/api/v1/session"
NOTIFICATIONS = "/api/v1/notifications/stream"
BROADCAST = "/api/v1/notifications/broadcast"


def user(name: str = "alice") -> str:
    return f"{name}-{uuid.uuid4()}"


def token(name: str, lifetime_s: float = 3600, **claims) -> str:
    return SUITE.suite.token(name, exp=int(time.time() + lifetime_s), **claims)


def broadcast(text: str) -> None:
    SUITE.admin().post(BROADCAST, {"payload": {"text": text}})


def ticket_of(name: str) -> str:
    status, headers, body = SUITE.client(name).raw("POST", TICKET)
    assert (status, headers["cache-control"]) == (201, "no-store"), (status, body)
    return json.loads(body)["ticket"]


def from_address(address: str, method: str, path: str, headers: dict) -> tuple[int, dict, bytes]:
    """An HTTP request that comes from another loopback address."""
    with contextlib.closing(http.client.HTTPConnection(
            "127.0.0.1", SUITE.suite.edge_port, WAIT_S, source_address=(address, 0))) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


class TicketTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_ticket_signs_in_once(self):
        name = user()
        ticket = ticket_of(name)
        async with connect(SUITE.suite, query=f"?ticket={ticket}") as socket:
            self.assertEqual((await receive(socket))["type"], "subscribed")
            broadcast("to a ticket")
            self.assertEqual((await receive(socket))["payload"]["text"], "to a ticket")
        async with connect(SUITE.suite, query=f"?ticket={ticket}", address="127.0.1.1") as socket:
            code, reason = await closing(socket)
            self.assertEqual(code, 4401)
            self.assertIn("TICKET_INVALID", reason)

    async def test_a_ticket_and_a_cursor(self):
        name = user()
        async with connect(SUITE.suite, token(name)) as socket:
            cursor = (await receive(socket))["cursor"]
        broadcast("meanwhile")
        async with connect(SUITE.suite,
                           query=f"?ticket={ticket_of(name)}&cursor={cursor}") as socket:
            self.assertTrue((await receive(socket))["recovered"])
            self.assertEqual((await receive(socket))["payload"]["text"], "meanwhile")

    async def test_who_has_no_token_gets_no_ticket(self):
        client = Client(SUITE.suite.base)
        self.assertEqual(client.raw("POST", TICKET)[0], 401)
        self.assertEqual(client.raw("GET", TICKET)[0], 405)
        bad = {"Authorization": "Bearer garbage"}
        self.assertEqual(from_address("127.0.1.2", "POST", TICKET, bad)[0], 401)

    async def test_garbage_tickets_close_4401(self):
        for ticket in ("x", "A" * 44, "%2B%20", "a" * 2000):
            async with connect(SUITE.suite, query=f"?ticket={ticket}",
                               address="127.0.1.3") as socket:
                self.assertEqual((await closing(socket))[0], 4401)


class RefreshTest(unittest.IsolatedAsyncioTestCase):
    async def test_expiry_closes_with_its_own_code_and_the_cursor(self):
        name = user()
        async with connect(SUITE.suite, token(name, 3)) as socket:
            cursor = (await receive(socket))["cursor"]
            self.assertEqual((await receive(socket))["type"], "token_expiring")
            code, reason = await closing(socket)
        self.assertEqual(code, 4419)
        self.assertIn(cursor, reason)

    async def test_a_refreshed_connection_outlives_its_first_token(self):
        name = user()
        async with connect(SUITE.suite, token(name, 3)) as socket:
            await receive(socket)
            notice = await receive(socket)
            self.assertEqual(notice["type"], "token_expiring")
            await say(socket, type="refresh", token=token(name, 3600))
            answer = await receive(socket)
            self.assertEqual(answer["type"], "refreshed")
            self.assertGreater(answer["expires_at"], notice["expires_at"])
            # The first one would have ended it by now, here and at the notification service.
            end = time.monotonic() + 5
            while time.monotonic() < end:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(socket.recv(), max(0.01, end - time.monotonic()))
            broadcast("still there")
            events = await until(socket, lambda e: e.get("payload", {}).get("text") == "still there")
            self.assertTrue(events)

    async def test_a_refresh_with_anothers_token_closes_4403(self):
        name = user()
        for other in (token(user("bob")), token(name, tenant="acme")):
            async with connect(SUITE.suite, token(name)) as socket:
                await receive(socket)
                await say(socket, type="refresh", token=other)
                self.assertEqual((await closing(socket))[0], 4403)

    async def test_a_refresh_with_a_wrong_token_closes_4401(self):
        for number, bad in enumerate((token("alice", -10), token("alice")[:-3] + "AAA", "", None)):
            async with connect(SUITE.suite, token("alice"), address=f"127.0.2.{number + 1}") as socket:
                await receive(socket)
                await say(socket, type="refresh", token=bad)
                self.assertEqual((await closing(socket))[0], 4401)


class SessionTest(unittest.TestCase):
    def test_a_cookie_opens_an_event_stream_and_nothing_else(self):
        name = user()
        client = SUITE.client(name)
        status, headers, body = client.raw("POST", SESSION)
        self.assertEqual(status, 200)
        self.assertIn("expires_at", json.loads(body))
        cookie = headers["set-cookie"]
        for attribute in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="):
            self.assertIn(attribute, cookie)
        self.assertNotIn("Secure", cookie)
        self.assertIn("Secure", client.raw("POST", SESSION,
                                           headers={"X-Forwarded-Proto": "https"})[1]["set-cookie"])
        by_cookie = Client(SUITE.suite.base)
        sent = {"Cookie": "other=1; " + cookie.split(";")[0]}
        stream = by_cookie.events(NOTIFICATIONS, sent, timeout_s=WAIT_S)
        self.assertEqual(next(stream)["data"]["type"], "subscribed")
        stream.close()
        # Whatever changes something, or is no stream, wants the header.
        for method, path in (("GET", "/api/v1/async-tasks/user/tasks"), ("POST", TICKET),
                             ("POST", SESSION), ("POST", BROADCAST)):
            self.assertEqual(by_cookie.raw(method, path, {} if method == "POST" else None,
                                           headers=sent)[0], 401, path)

    def test_a_session_ends(self):
        status, headers, _ = Client(SUITE.suite.base).raw("DELETE", SESSION)
        self.assertEqual(status, 204)
        self.assertIn("Max-Age=0", headers["set-cookie"])

    def test_wrong_cookies_are_refused(self):
        for number, bad in enumerate(("x", token("alice", -10), token("alice")[:-3] + "AAA")):
            status, _, _ = from_address(f"127.0.3.{number + 1}", "GET", NOTIFICATIONS,
                                        {"Cookie": f"slipstream_session={bad}"})
            self.assertEqual(status, 401)


class LimitsTest(unittest.IsolatedAsyncioTestCase):
    async def test_connections_of_one_address_are_bounded(self):
        address = "127.0.4.1"
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(8):
                await receive(await stack.enter_async_context(
                    connect(SUITE.suite, token(user()), address=address)))
            with self.assertRaises(websockets.InvalidStatusCode) as raised:
                async with connect(SUITE.suite, token(user()), address=address):
                    pass
            self.assertEqual(raised.exception.status_code, 429)
            self.assertTrue(raised.exception.headers["retry-after"])
            status, _, body = await asyncio.to_thread(
                from_address, address, "GET", NOTIFICATIONS,
                {"Authorization": f"Bearer {token(user())}"})
            self.assertEqual((status, json.loads(body)["reason"]), (429, "TOO_MANY_CONNECTIONS"))
            async with connect(SUITE.suite, token(user()), address="127.0.4.2") as socket:
                self.assertEqual((await receive(socket))["type"], "subscribed")

    async def test_streams_and_sockets_of_one_user_count_together(self):
        name = user()
        async with contextlib.AsyncExitStack() as stack:
            streams = []
            for number in range(5):
                await receive(await stack.enter_async_context(
                    connect(SUITE.suite, token(name), address="127.0.5.1")))
                stream = SUITE.client(name).events(NOTIFICATIONS, timeout_s=WAIT_S)
                await asyncio.to_thread(next, stream)
                streams.append(stream)
            async with connect(SUITE.suite, token(name), address="127.0.5.2") as socket:
                self.assertEqual((await closing(socket))[0], 4430)
            for stream in streams:
                stream.close()

    async def test_failed_sign_ins_of_one_address_are_bounded(self):
        address = "127.0.6.1"
        for _ in range(5):
            async with connect(SUITE.suite, "garbage", address=address) as socket:
                self.assertEqual((await closing(socket))[0], 4401)
        with self.assertRaises(websockets.InvalidStatusCode) as raised:
            async with connect(SUITE.suite, token(user()), address=address):
                pass
        self.assertEqual(raised.exception.status_code, 429)
        status, _, body = from_address(address, "POST", TICKET,
                                       {"Authorization": f"Bearer {token(user())}"})
        self.assertEqual((status, json.loads(body)["reason"]), (429, "TOO_MANY_FAILED_SIGN_INS"))
        async with connect(SUITE.suite, token(user()), address="127.0.6.2") as socket:
            self.assertEqual((await receive(socket))["type"], "subscribed")

    async def test_handshakes_of_one_address_are_bounded(self):
        address = "127.0.7.1"
        refused = 0
        for _ in range(205):
            try:
                async with connect(SUITE.suite, address=address):
                    pass
            except websockets.InvalidStatusCode as error:
                self.assertEqual(error.status_code, 429)
                refused += 1
        # A sixth of the 200 at once, and 3.3 more a second.
        self.assertGreater(refused, 100)

    async def test_a_message_of_2_mb_closes_1009(self):
        async with connect(SUITE.suite, token(user()), address="127.0.8.1") as socket:
            await receive(socket)
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.send("x" * (2 << 20))
            self.assertEqual((await closing(socket))[0], 1009)


class SlowReaderTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_reader_that_stops_is_closed_with_its_cursor_and_others_go_on(self):
        count = 500  # 15 MB, far more than the queue and the sockets hold
        text = "x" * 30_000
        # Ahead of the reader that reads, so that it is never slow itself, whatever else runs here.
        ahead = threading.Semaphore(20)

        def publish() -> None:
            root = SUITE.admin()
            for number in range(count):
                self.assertTrue(ahead.acquire(timeout=WAIT_S), "the fast reader has stopped")
                root.post(BROADCAST, {"payload": {"number": number, "text": text}})

        raw = sockets.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.bind(("127.0.9.1", 0))
        raw.connect(("127.0.0.1", SUITE.suite.edge_port))
        raw.setblocking(False)
        # Its own queue is small, so that it stops reading from the socket.
        slow = await websockets.connect(
            f"ws://127.0.0.1:{SUITE.suite.edge_port}/ws", sock=raw, max_queue=1, max_size=4 << 20,
            read_limit=1024, ping_interval=None, close_timeout=5,
            extra_headers={"Authorization": f"Bearer {token(user('slow'))}"})
        self.assertEqual((await receive(slow))["type"], "subscribed")
        async with connect(SUITE.suite, token(user("fast")), address="127.0.9.2") as fast:
            await receive(fast)
            publishing = asyncio.create_task(asyncio.to_thread(publish))
            numbers = []
            for _ in range(count):
                numbers.append((await receive(fast))["payload"]["number"])
                ahead.release()
            await publishing
        self.assertEqual(numbers, list(range(count)))
        seen = []
        with self.assertRaises(websockets.ConnectionClosed):
            while True:
                seen.append(await receive(slow))
        self.assertEqual(slow.close_code, 4409)
        self.assertEqual([event["payload"]["number"] for event in seen], list(range(len(seen))))
        self.assertLess(len(seen), count)
        self.assertTrue(slow.close_reason.endswith(f"cursor={seen[-1]['cursor']}"),
                        f"{slow.close_reason} after {seen[-1]['cursor']}")


if __name__ == "__main__":
    main()
