"""Alice never receives what is Bob's, whatever she sends: forged and foreign cursors, replayed tickets,
tokens that are expired, wrongly signed or not signed at all, and made-up fields everywhere."""

import asyncio
import base64
import contextlib
import json
import random
import time
import unittest
import urllib.parse
import uuid

import websockets

from realtime_clients import closing, connect, receive, say, until
from shared_suite import ApiError, Client, SharedSuite, later, main

SUITE = SharedSuite(settings={"edge": [
    "websocket { max_address_failed_sign_ins_per_minute_count: 10000 "
    "max_address_handshakes_per_minute_count: 100000 max_incoming_per_minute_count: 1000 }"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop

NOTIFICATIONS = "/api/v1/notifications/stream"
SEED = 20240711


def happens(client: Client) -> str:
    """An event of the client's user: a task that is cancelled. The task's id."""
    task_id = later(client)["task_id"]
    client.call("DELETE", f"/api/v1/async-tasks/{task_id}")
    return task_id


def unsigned(user: str) -> str:
    def part(value: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return (part({"alg": "none", "typ": "JWT"}) + "."
            + part({"sub": user, "roles": ["user", "admin"], "iss": "slipstream",
                    "aud": "slipstream", "exp": int(time.time()) + 600}) + ".")


class IsolationTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.alice_name, self.bob_name = f"alice-{uuid.uuid4()}", f"bob-{uuid.uuid4()}"
        self.alice, self.bob = SUITE.client(self.alice_name), SUITE.client(self.bob_name)

    async def only_alices(self, socket, events: list[dict]) -> None:
        """Something happens to Bob, then to Alice: by the time she has hers, his would be there."""
        bobs = await asyncio.to_thread(happens, self.bob)
        hers = await asyncio.to_thread(happens, self.alice)
        events += await until(socket, lambda e: e.get("task_id") == hers
                              and e["type"] == "task_cancelled")
        self.only_hers(events, bobs)

    def only_hers(self, events: list[dict], bobs: str) -> None:
        text = json.dumps(events)
        self.assertNotIn(self.bob_name, text)
        self.assertNotIn(bobs, text)

    async def bobs_cursors(self) -> list[str]:
        """Places in Bob's history, with events after them."""
        async with connect(SUITE.suite, self.bob.token) as socket:
            cursors = [(await receive(socket))["cursor"]]
            task_id = await asyncio.to_thread(happens, self.bob)
            for event in await until(socket, lambda e: e.get("task_id") == task_id
                                     and e["type"] == "task_cancelled"):
                cursors.append(event["cursor"])
        await asyncio.to_thread(happens, self.bob)
        return cursors

    def forged(self, cursors: list[str]) -> list[str]:
        """Bob's cursors, with their letters, offsets and parts changed."""
        out = list(cursors)
        for cursor in cursors:
            parts = cursor.split(".")
            users = parts[0]
            out += ["t" + users[1:], "b" + users[1:], users, ".".join(reversed(parts)),
                    f"{users}.{users}", users.split(":")[0] + ":0",
                    users.split(":")[0] + ":9999999", f"{cursor}.{cursor}"]
        return out

    async def test_bobs_cursors_and_what_is_forged_of_them(self):
        for cursor in self.forged(await self.bobs_cursors()):
            for how in ("query", "message", "stream"):
                with self.subTest(cursor=cursor, how=how):
                    if how == "stream":
                        await self.stream_sees_nothing(cursor)
                        continue
                    quoted = urllib.parse.quote(cursor)
                    by_query = how == "query"
                    async with connect(SUITE.suite, self.alice.token if by_query else "",
                                       f"?cursor={quoted}" if by_query else "") as socket:
                        if not by_query:
                            await say(socket, type="auth", token=self.alice.token, cursor=cursor)
                        try:
                            first = await receive(socket)
                        except websockets.ConnectionClosed:
                            self.assertEqual(socket.close_code, 1008)
                            continue
                        self.assertFalse(first["recovered"], "a foreign cursor was taken for hers")
                        await self.only_alices(socket, [first])

    async def stream_sees_nothing(self, cursor: str) -> None:
        def read() -> None:
            stream = self.alice.events(NOTIFICATIONS, {"Last-Event-ID": cursor}, timeout_s=30)
            with contextlib.closing(stream):
                try:
                    events = [next(stream)["data"]]
                except ApiError as error:
                    self.assertEqual(error.status, 400)
                    return
                self.assertFalse(events[0]["recovered"])
                bobs, hers = happens(self.bob), happens(self.alice)
                while events[-1].get("task_id") != hers:
                    events.append(next(stream)["data"])
                self.only_hers(events, bobs)

        await asyncio.to_thread(read)

    async def test_bobs_ticket_is_bobs_and_used_up(self):
        ticket = (await asyncio.to_thread(self.bob.post, "/api/v1/ws/ticket", {}))["ticket"]
        async with connect(SUITE.suite, query=f"?ticket={ticket}") as socket:
            await receive(socket)
        # Replayed, alone and beside tokens of Alice's.
        async with connect(SUITE.suite, query=f"?ticket={ticket}") as socket:
            self.assertEqual((await closing(socket))[0], 4401)
        fresh = (await asyncio.to_thread(self.bob.post, "/api/v1/ws/ticket", {}))["ticket"]
        async with connect(SUITE.suite, self.alice.token, f"?ticket={fresh}") as socket:
            first = await receive(socket)
            await self.only_alices(socket, [first])

    async def test_tokens_that_are_nobodys(self):
        good = SUITE.suite.token(self.bob_name)
        head, body, signature = good.split(".")
        alices_signature = self.alice.token.split(".")[2]
        tokens = {
            "expired": SUITE.suite.token(self.bob_name, exp=int(time.time()) - 3600),
            "not yet": SUITE.suite.token(self.bob_name, nbf=int(time.time()) + 3600),
            "no signature": f"{head}.{body}.", "another's signature": f"{head}.{body}.{alices_signature}",
            "cut": good[:-1], "alg none": unsigned(self.bob_name),
            "another issuer": SUITE.suite.token(self.bob_name, iss="somebody"),
            "another audience": SUITE.suite.token(self.bob_name, aud="elsewhere"),
            "without a user": SUITE.suite.token(""),
        }
        for name, bad in tokens.items():
            for how in ("header", "message", "cookie"):
                with self.subTest(f"{name} by {how}"):
                    if how == "cookie":
                        status, _, body_ = await asyncio.to_thread(
                            Client(SUITE.suite.base).raw, "GET", NOTIFICATIONS, None,
                            {"Cookie": f"slipstream_session={bad}"})
                        self.assertEqual(status, 401, body_)
                        continue
                    async with connect(SUITE.suite, bad if how == "header" else "") as socket:
                        if how == "message":
                            await say(socket, type="auth", token=bad)
                        self.assertEqual((await closing(socket))[0], 4401)

    async def test_a_refresh_does_not_make_her_bob(self):
        async with connect(SUITE.suite, self.alice.token) as socket:
            await receive(socket)
            await say(socket, type="refresh", token=self.bob.token)
            bobs = await asyncio.to_thread(happens, self.bob)
            events = []
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    events.append(await receive(socket))
            self.assertEqual(socket.close_code, 4403)
            self.only_hers(events, bobs)

    async def test_fuzzed_subscriptions(self):
        rng = random.Random(SEED)
        names = ["user", "users", "channel", "channels", "tenant", "sub", "act_as", "act_as_user",
                 "subscriber_id", "subscriberId", "types", "roles", "principal", "Token", "as"]
        values = [self.bob_name, f"user:{self.bob_name}", [f"user:{self.bob_name}"], "*", "user:*",
                  ["admin"], 1, 0, None, {"user": self.bob_name}, True, self.bob.token[:20]]
        for number in range(25):
            fields = {rng.choice(names): rng.choice(values) for _ in range(rng.randint(1, 5))}
            with self.subTest(seed=SEED, number=number, fields=str(fields)):
                query = urllib.parse.urlencode({k: v for k, v in fields.items()
                                                if isinstance(v, str)})
                headers = {"X-Slipstream-Act-As-User": self.bob_name, "X-User": self.bob_name}
                async with connect(SUITE.suite, "", f"?{query}",
                                   **rng.choice([{}, headers])) as socket:
                    await say(socket, **{**fields, "type": "auth", "token": self.alice.token})
                    if "types" in fields:  # the one of these that counts, and none of the values does
                        code, reason = await closing(socket)
                        self.assertEqual((code, reason[:13]), (1008, "INVALID_TYPES"))
                        continue
                    first = await receive(socket)
                    self.assertEqual(first["type"], "subscribed")
                    await self.only_alices(socket, [first])


if __name__ == "__main__":
    main()
