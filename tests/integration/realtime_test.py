"""WebSocket, Server-Sent Events and NDJSON: who is let in, what arrives, how it ends and resumes."""

import asyncio
import contextlib
import json
import time
import unittest
import uuid

import websockets

from shared_suite import (PROMPT, STREAM, Client, SharedSuite, later, main, wait_final)

SUITE = SharedSuite(settings={
    "edge": ["sse_heartbeat_ms: 500", 'cors_allowed_origins: "https://app.example.com"',
             "websocket { auth_timeout_ms: 1500 max_message_bytes: 4096 ping_interval_ms: 300 }"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop

WAIT_S = 30
ENDS = ("task_completed", "task_failed", "task_cancelled")
NOTIFICATIONS = "/api/v1/notifications/stream"


def url(query: str = "") -> str:
    return f"ws://127.0.0.1:{SUITE.suite.edge_port}/ws{query}"


def connect(token: str = "", query: str = "", **headers):
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return websockets.connect(url(query), extra_headers={**sent, **headers}, max_size=4 << 20,
                              ping_interval=None, open_timeout=WAIT_S, close_timeout=5)


async def receive(socket) -> dict:
    return json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))


async def until(socket, matches) -> list[dict]:
    """All events up to the first that matches."""
    events = []
    while not events or not matches(events[-1]):
        events.append(await receive(socket))
    return events


async def closing(socket) -> tuple[int, str]:
    """Reads to the end: its code and reason."""
    async def drain():
        async for _ in socket:
            pass
    with contextlib.suppress(websockets.ConnectionClosed):
        await asyncio.wait_for(drain(), WAIT_S)
    return socket.close_code, socket.close_reason


def ends(task_id: str):
    return lambda event: event.get("task_id") == task_id and event["type"] in ENDS


def kept(events: list[dict], task_id: str = "") -> list[dict]:
    """Events that a resume brings again: progress is not kept."""
    return [event for event in events if event.get("position") and event["type"] != "task_progress"
            and (not task_id or event.get("task_id") == task_id)]


class WebSocketCase(unittest.IsolatedAsyncioTestCase):
    async def submit(self, client: Client, **args) -> str:
        task = await asyncio.to_thread(client.submit, "llm_generate_rfc", {"prompt": PROMPT, **args})
        return task["task_id"]

    async def finish(self, client: Client) -> str:
        """A task that has ended."""
        task_id = await self.submit(client)
        await asyncio.to_thread(wait_final, client, task_id)
        return task_id


class SignInTest(WebSocketCase):
    async def test_by_header_and_the_whole_life_of_a_task(self):
        alice = SUITE.client(f"alice-{uuid.uuid4()}")
        async with connect(alice.token) as socket:
            first = await receive(socket)
            self.assertEqual((first["type"], first["recovered"]), ("subscribed", True))
            task_id = await self.submit(alice)
            events = await until(socket, ends(task_id))
        kinds = [event["type"] for event in events]
        self.assertEqual((kinds[0], kinds[-1]), ("task_started", "task_completed"))
        offsets = [int(event["position"].split(":")[1]) for event in kept(events)]
        self.assertEqual(offsets, sorted(set(offsets)))
        progress = [event["payload"]["progress"] for event in events]
        self.assertEqual(progress, sorted(progress))
        for event in events:
            self.assertEqual(event["task_id"], task_id)
            self.assertTrue(event["correlation_id"] and event["created_at"] and event["cursor"])
            self.assertEqual(event["payload"]["task_type"], "llm_generate_rfc")
        self.assertEqual(len({event["event_id"] for event in events}), len(events))
        self.assertNotIn("fails twice", json.dumps(events), "events carry the task's arguments")

    async def test_by_first_message(self):
        alice = SUITE.client()
        async with connect() as socket:
            await socket.send(json.dumps({"type": "auth", "token": alice.token}))
            self.assertEqual((await receive(socket))["type"], "subscribed")
            task_id = await self.submit(alice)
            await until(socket, ends(task_id))

    async def test_wrong_tokens_close_4401(self):
        suite = SUITE.suite
        expired = suite.token("alice", exp=int(time.time()) - 3600)
        for name, token in (("garbage", "garbage"), ("expired", expired),
                            ("other key", suite.token("alice")[:-3] + "AAA")):
            with self.subTest(f"{name} in the header"):
                async with connect(token) as socket:
                    self.assertEqual((await closing(socket))[0], 4401)
            with self.subTest(f"{name} in the first message"):
                async with connect() as socket:
                    await socket.send(json.dumps({"type": "auth", "token": token}))
                    code, reason = await closing(socket)
                    self.assertEqual(code, 4401)
                    self.assertNotIn(token, reason)

    async def test_no_token_closes_4401(self):
        for message in ({"type": "ping"}, {"type": "auth"}, {"type": "auth", "token": 5}, [], "x"):
            with self.subTest(str(message)):
                async with connect() as socket:
                    await socket.send(json.dumps(message))
                    self.assertEqual((await closing(socket))[0], 4401)
        async with connect(Authorization="Basic YTpi") as socket:
            self.assertEqual((await closing(socket))[0], 4401)

    async def test_a_token_in_the_url_does_not_count(self):
        async with connect(query=f"?token={SUITE.suite.token('alice')}") as socket:
            self.assertEqual((await closing(socket))[0], 4408)

    async def test_silence_closes_4408(self):
        async with connect() as socket:
            self.assertEqual((await closing(socket))[0], 4408)

    async def test_foreign_origins_are_refused(self):
        token = SUITE.suite.token("alice")
        for origin in ("https://evil.example.com", "null", "http://127.0.0.1:1"):
            with self.subTest(origin), self.assertRaises(websockets.InvalidStatusCode) as raised:
                async with connect(token, Origin=origin):
                    pass
            self.assertEqual(raised.exception.status_code, 403)
        for origin in ("https://app.example.com", SUITE.suite.base):
            async with connect(token, Origin=origin) as socket:
                self.assertEqual((await receive(socket))["type"], "subscribed")

    async def test_other_paths_do_not_upgrade(self):
        with self.assertRaises(websockets.InvalidStatusCode) as raised:
            async with websockets.connect(url()[:-3] + "/health"):
                pass
        self.assertEqual(raised.exception.status_code, 404)
        status, _, body = await asyncio.to_thread(SUITE.client().raw, "GET", "/ws")
        self.assertEqual((status, json.loads(body)["reason"]), (400, "WEBSOCKET_EXPECTED"))

    async def test_connections_of_one_user_are_bounded(self):
        crowd = SUITE.suite.token(f"crowd-{uuid.uuid4()}")
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(connect(crowd)) for _ in range(10)]
            for socket in sockets:
                self.assertEqual((await receive(socket))["type"], "subscribed")
            async with connect(crowd) as socket:
                self.assertEqual((await closing(socket))[0], 4430)
            async with connect(SUITE.suite.token("alice")) as socket:
                self.assertEqual((await receive(socket))["type"], "subscribed")
            await sockets[0].close()
            deadline = time.monotonic() + WAIT_S
            while True:  # the edge has seen the end when a place is free again
                async with connect(crowd) as socket:
                    try:
                        await receive(socket)
                        break
                    except websockets.ConnectionClosed:
                        self.assertLess(time.monotonic(), deadline)


class MessagesTest(WebSocketCase):
    async def refused(self, code: int, message) -> None:
        async with connect(SUITE.suite.token("alice")) as socket:
            self.assertEqual((await receive(socket))["type"], "subscribed")
            await socket.send(message)
            self.assertEqual((await closing(socket))[0], code)

    async def test_ping(self):
        async with connect(SUITE.suite.token("alice")) as socket:
            await receive(socket)
            await socket.send('{"type": "ping"}')
            self.assertEqual(await receive(socket), {"type": "pong"})

    async def test_unknown_messages_close_1008(self):
        for message in ('{"type": "subscribe_all"}', "{}", "[]", "no json", "", '{"type": 5}',
                        '{"type": "auth", "token": "x"}', "[" * 2000):
            with self.subTest(message[:30]):
                await self.refused(1008, message)

    async def test_binary_closes_1003(self):
        await self.refused(1003, b"\x00\x01")

    async def test_oversize_closes_1009(self):
        await self.refused(1009, "x" * 5000)

    async def test_too_many_messages_close_4429(self):
        async with connect(SUITE.suite.token("alice")) as socket:
            await receive(socket)
            with contextlib.suppress(websockets.ConnectionClosed):
                for _ in range(150):
                    await socket.send('{"type": "ping"}')
            pongs = 0
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    pongs += (await receive(socket))["type"] == "pong"
            self.assertEqual((socket.close_code, pongs), (4429, 100))

    async def test_pings_keep_a_quiet_connection(self):
        async with connect(SUITE.suite.token("quiet")) as socket:
            await receive(socket)
            await asyncio.wait_for(await socket.ping(), WAIT_S)
            self.assertTrue(socket.open)


class EventsTest(WebSocketCase):
    async def test_resume_without_gap_or_duplicate(self):
        user = f"resumer-{uuid.uuid4()}"
        alice = SUITE.client(user)
        async with connect(alice.token) as witness:
            await receive(witness)
            async with connect(alice.token) as socket:
                await receive(socket)
                first_task = await self.submit(alice)
                seen = await until(socket, lambda e: bool(e.get("position")))
            cursor = seen[-1]["cursor"]
            second_task = await self.finish(alice)
            all_events = await until(witness, ends(first_task))
            if not any(ends(second_task)(event) for event in all_events):
                all_events += await until(witness, ends(second_task))
            # Whichever task has ended last.
            last = kept(all_events)[-1]["event_id"]
        for how in ("query", "message"):
            with self.subTest(how):
                async with connect(alice.token if how == "query" else "",
                                   f"?cursor={cursor}" if how == "query" else "") as socket:
                    if how == "message":
                        await socket.send(json.dumps({"type": "auth", "token": alice.token,
                                                      "cursor": cursor}))
                    first = await receive(socket)
                    self.assertEqual((first["type"], first["recovered"]), ("subscribed", True))
                    missed = await until(socket, lambda e: e.get("event_id") == last)
                whole = kept(seen) + kept(missed)
                self.assertEqual([event["position"] for event in whole],
                                 [event["position"] for event in kept(all_events)])
                self.assertEqual([event["event_id"] for event in whole],
                                 [event["event_id"] for event in kept(all_events)])
                epochs = {event["position"].split(":")[0] for event in whole}
                offsets = [int(event["position"].split(":")[1]) for event in whole]
                self.assertEqual(len(epochs), 1)
                self.assertEqual(offsets, list(range(offsets[0], offsets[0] + len(offsets))))

    async def test_cursor_of_another_epoch_is_told(self):
        async with connect(SUITE.suite.token("alice"), "?cursor=u00000000000000ff:3") as socket:
            first = await receive(socket)
            self.assertEqual((first["type"], first["recovered"]), ("subscribed", False))

    async def test_garbage_cursor(self):
        for cursor in ("garbage", "u1:2", "x" * 300):
            with self.subTest(cursor[:20]):
                async with connect(SUITE.suite.token("alice"), f"?cursor={cursor}") as socket:
                    self.assertEqual((await closing(socket))[0], 1008)

    async def test_only_the_types_asked_for(self):
        user = SUITE.client(f"typed-{uuid.uuid4()}")
        async with connect(user.token, "?types=task_completed&types=system_alert") as by_query, \
                connect() as by_message:
            await by_message.send(json.dumps({"type": "auth", "token": user.token,
                                              "types": ["task_completed", "system_alert"]}))
            for socket in (by_query, by_message):
                self.assertEqual((await receive(socket))["type"], "subscribed")
            task_id = await self.finish(user)
            for socket in (by_query, by_message):
                # Not its start and its progress, which come before.
                event = await receive(socket)
                self.assertEqual((event["type"], event["task_id"]), ("task_completed", task_id))

    async def test_types_that_are_none_close_1008(self):
        token = SUITE.suite.token("alice")
        for types in (["dance"], ["task_started"] * 9, "task_started", [1], {"a": "b"}):
            with self.subTest(types):
                async with connect() as socket:
                    await socket.send(json.dumps({"type": "auth", "token": token, "types": types}))
                    code, reason = await closing(socket)
                    self.assertEqual((code, reason[:13]), (1008, "INVALID_TYPES"))
        async with connect(token, "?types=dance") as socket:
            self.assertEqual((await closing(socket))[0], 1008)

    async def test_nobody_sees_anothers_events(self):
        alice, bob = SUITE.client("alice"), SUITE.client("bob")
        async with connect(bob.token) as bobs, connect(alice.token) as alices:
            await receive(bobs)
            await receive(alices)
            alices_task = await self.submit(alice)
            await until(alices, ends(alices_task))
            # Bob's own task ends after Alice's: what he was to see has come by then.
            bobs_task = await self.submit(bob)
            events = await until(bobs, ends(bobs_task))
        self.assertNotIn(alices_task, json.dumps(events))
        self.assertTrue(all(event["channel"] == "user:bob" for event in events))

    async def test_alices_cursor_gives_bob_nothing(self):
        alice = SUITE.client("alice")
        async with connect(alice.token) as socket:
            cursor = (await receive(socket))["cursor"]
        await self.finish(alice)
        bob = SUITE.client(f"bob-{uuid.uuid4()}")
        async with connect(bob.token, f"?cursor={cursor}") as socket:
            self.assertFalse((await receive(socket))["recovered"])
            task_id = await self.submit(bob)
            events = await until(socket, ends(task_id))
        self.assertEqual({event["task_id"] for event in events}, {task_id})

    async def test_cancel_and_failure_arrive(self):
        alice = SUITE.client(f"alice-{uuid.uuid4()}")
        async with connect(alice.token) as socket:
            await receive(socket)
            cancelled = await asyncio.to_thread(later, alice)
            await asyncio.to_thread(alice.call, "DELETE", f"/api/v1/async-tasks/{cancelled['task_id']}")
            event = (await until(socket, ends(cancelled["task_id"])))[-1]
            self.assertEqual(event["type"], "task_cancelled")
            failed = await asyncio.to_thread(alice.submit, "generate_pdf",
                                             {"artifact_id": str(uuid.uuid4())})
            event = (await until(socket, ends(failed["task_id"])))[-1]
            self.assertEqual(event["type"], "task_failed")
            self.assertTrue(event["payload"]["reason"] and event["payload"]["message"])

    async def test_broadcast_reaches_everybody_once(self):
        alice, bob, root = SUITE.client("alice"), SUITE.client("bob"), SUITE.admin()
        body = {"payload": {"text": f"maintenance {uuid.uuid4()}"}}
        async with connect(alice.token) as alices, connect(bob.token) as bobs:
            await receive(alices)
            await receive(bobs)
            status, _, _ = await asyncio.to_thread(
                alice.raw, "POST", "/api/v1/notifications/broadcast", body)
            self.assertEqual(status, 403)
            key = {"Idempotency-Key": str(uuid.uuid4())}
            for path in ("/api/v1/notifications/broadcast", "/api/v1/notifications/broadcast/"):
                await asyncio.to_thread(root.call, "POST", path, body, key)
            last = {"payload": {"text": "last"}, "type": "performance_alert"}
            await asyncio.to_thread(root.post, "/api/v1/notifications/broadcast", last)
            for socket in (alices, bobs):
                events = await until(socket, lambda e: e["type"] == "performance_alert")
                alerts = [event for event in events if event["type"] == "system_alert"]
                self.assertEqual([event["payload"] for event in alerts], [body["payload"]])
                self.assertEqual(alerts[0]["channel"], "broadcast")


class StreamTest(unittest.TestCase):
    def setUp(self):
        self.alice = SUITE.client(f"alice-{uuid.uuid4()}")

    def states(self, path: str) -> tuple[list[str], str]:
        events = list(self.alice.events(path, timeout_s=60))
        return [e["data"]["status"] for e in events if e["event"] == "message"], events[-1]["event"]

    def test_sse_of_a_task_ends_with_end(self):
        for end in ("", "/"):
            task = self.alice.submit("llm_generate_rfc", {"prompt": PROMPT + end})
            states, last = self.states(STREAM.format(task["task_id"]) + end)
            self.assertEqual((states[-1], last), ("SUCCEEDED", "end"))
            # Of a task that has ended: the final state, then the end.
            self.assertEqual(self.states(STREAM.format(task["task_id"])), (["SUCCEEDED"], "end"))

    def test_sse_headers(self):
        task = self.alice.submit("llm_generate_rfc", {"prompt": PROMPT})
        status, headers, body = self.alice.raw("GET", STREAM.format(task["task_id"]))
        self.assertEqual((status, headers["content-type"]), (200, "text/event-stream"))
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertIn(b"event: end", body)

    def test_ndjson_by_accept(self):
        task = self.alice.submit("llm_generate_rfc", {"prompt": PROMPT})
        status, headers, body = self.alice.raw("GET", STREAM.format(task["task_id"]),
                                               headers={"Accept": "application/x-ndjson"})
        self.assertEqual((status, headers["content-type"]), (200, "application/x-ndjson"))
        lines = [json.loads(line) for line in body.decode().splitlines() if line]
        self.assertEqual(lines[-1]["status"], "SUCCEEDED")
        self.assertEqual({line["task_id"] for line in lines}, {task["task_id"]})

    def test_a_quiet_stream_beats(self):
        task = later(self.alice)
        connection, response = self.alice._open("GET", STREAM.format(task["task_id"]))
        try:
            lines = []
            while b": beat\n" not in lines:
                lines.append(response.readline())
                self.assertTrue(lines[-1], "the stream ended")
        finally:
            connection.close()

    def test_stream_sees_a_cancel(self):
        task = later(self.alice)
        states = []
        for event in self.alice.events(STREAM.format(task["task_id"]), timeout_s=60):
            if event["event"] == "message":
                states.append(event["data"]["status"])
                if states == ["SCHEDULED"]:
                    self.alice.call("DELETE", f"/api/v1/async-tasks/{task['task_id']}")
        self.assertEqual(states, ["SCHEDULED", "CANCELLED"])

    def test_wrong_streams_are_plain_problems(self):
        for client, task_id, status in ((self.alice, str(uuid.uuid4()), 404), (self.alice, "x", 400),
                                        (Client(SUITE.suite.base), str(uuid.uuid4()), 401)):
            got, headers, _ = client.raw("GET", STREAM.format(task_id))
            self.assertEqual((got, headers["content-type"]), (status, "application/problem+json"))

    def test_notifications_by_sse_resume_with_last_event_id(self):
        stream = self.alice.events(NOTIFICATIONS, timeout_s=60)
        first = next(stream)
        self.assertEqual(first["data"]["type"], "subscribed")
        task_id = wait_final(self.alice, self.alice.submit(
            "llm_generate_rfc", {"prompt": PROMPT})["task_id"])["task_id"]
        seen = []
        for event in stream:
            self.assertEqual(event["id"], event["data"]["cursor"])
            seen.append(event)
            if ends(task_id)(event["data"]):
                break
        stream.close()
        whole = [e["event_id"] for e in kept([e["data"] for e in seen])]
        # From the start, then from each event kept.
        places = [first] + [e for e in seen if kept([e["data"]])][:-1]
        for number, place in enumerate(places):
            for how in ("header", "query"):
                with self.subTest(place=number, how=how):
                    again = []
                    path, headers = NOTIFICATIONS, {"Last-Event-ID": place["id"]}
                    if how == "query":
                        path, headers = f"{NOTIFICATIONS}?cursor={place['id']}", {}
                    for event in self.alice.events(path, headers, timeout_s=60):
                        again.append(event["data"])
                        if ends(task_id)(event["data"]):
                            break
                    self.assertTrue(again[0]["recovered"])
                    self.assertEqual([e["event_id"] for e in kept(again)], whole[number:])

    def test_many_streams_that_leave(self):
        task = later(self.alice)
        for _ in range(50):
            connection, response = self.alice._open("GET", STREAM.format(task["task_id"]))
            self.assertEqual(response.status, 200)
            connection.close()
        self.assertEqual(self.alice.get(f"/api/v1/async-tasks/{task['task_id']}")["status"],
                         "SCHEDULED")


if __name__ == "__main__":
    main()
