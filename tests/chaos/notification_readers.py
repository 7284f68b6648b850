"""The clients of notification_chaos.py: WebSocket and SSE readers on one event loop, each with a
ledger of the numbers it was sent. They reconnect with their cursor, at whichever edge answers."""

import asyncio
import json
import random
from dataclasses import dataclass, field

import websockets

QUIET_S = 30  # without any message, pings included, a connection is given up
KEPT = 50     # who missed no more than this is recovered (notification.history_events_count)


class Broken(Exception):
    """The connection has ended, however it did."""


@dataclass
class Tally:
    """Of all readers together."""
    connects: int = 0
    resumes: int = 0  # connects with a cursor that were answered
    recovered: int = 0
    recoverable: int = 0  # resumes that had missed no more than KEPT
    events: int = 0
    violations: list[str] = field(default_factory=list)


class Reader:
    def __init__(self, name: str, user: str, token: str, edges: list[str], tally: Tally, seed: str):
        self.name, self.user, self.token, self.edges = name, user, token, edges
        self.tally = tally
        self.rng = random.Random(seed)
        self.cursor = ""
        self.last = 0           # number of the last event
        self.may_skip = False   # it was told recovered: false, and nothing came since
        self.started = False

    def take(self, event: dict) -> None:
        kind = event.get("type")
        if kind == "subscribed":
            self.start(event)
        elif kind == "reconnect":
            raise Broken
        elif kind == "task_completed":
            self.count(int(event["payload"]["number"]))
        else:
            return
        self.cursor = event.get("cursor") or self.cursor

    def start(self, event: dict) -> None:
        tally = self.tally
        if self.cursor:
            tally.resumes += 1
            if event.get("recovered", False):
                tally.recovered += 1
                tally.recoverable += 1
            else:
                self.may_skip = True
        elif self.started:
            tally.violations.append(f"{self.name}: had no cursor to come back with")
        self.started = True

    def count(self, number: int) -> None:
        tally = self.tally
        tally.events += 1
        if number == self.last + 1:
            pass  # whatever it was told, nothing is missing
        elif self.may_skip:
            if 0 <= number - self.last - 1 <= KEPT:
                tally.recoverable += 1
                tally.violations.append(
                    f"{self.name}: not recovered, though only {self.last + 1} to {number - 1} "
                    "were missed")
        elif number <= self.last:
            tally.violations.append(f"{self.name}: {number} again, after {self.last}")
        else:
            tally.violations.append(f"{self.name}: {self.last + 1} to {number - 1} are missing")
        self.last = number
        self.may_skip = False

    async def run(self) -> None:
        while True:
            self.tally.connects += 1
            try:
                await self.connect(self.rng.choice(self.edges))
            except (Broken, OSError, EOFError, ValueError, asyncio.TimeoutError,
                    websockets.exceptions.WebSocketException):
                pass
            await asyncio.sleep(self.rng.uniform(0.05, 0.4))

    async def connect(self, edge: str) -> None:
        raise NotImplementedError


class WebSocketReader(Reader):
    async def connect(self, edge: str) -> None:
        async with websockets.connect(f"ws://{edge}/ws", ping_interval=None, open_timeout=10,
                                      close_timeout=1, compression=None) as socket:
            await socket.send(json.dumps(
                {"type": "auth", "token": self.token, "cursor": self.cursor}))
            while True:
                message = await asyncio.wait_for(socket.recv(), QUIET_S)
                self.take(json.loads(message))


class SseReader(Reader):
    async def connect(self, edge: str) -> None:
        host, port = edge.split(":")
        stream, out = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 10)
        try:
            header = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
            out.write((f"GET /api/v1/notifications/stream HTTP/1.1\r\nHost: {edge}\r\n"
                       f"Authorization: Bearer {self.token}\r\n{header}\r\n").encode())
            head = await asyncio.wait_for(stream.readuntil(b"\r\n\r\n"), 10)
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise Broken
            rest = b""
            while True:
                size = int(await asyncio.wait_for(stream.readline(), QUIET_S), 16)
                if size == 0:
                    raise Broken
                rest += (await stream.readexactly(size + 2))[:-2]
                *blocks, rest = rest.split(b"\n\n")
                for block in blocks:
                    self.block(block)
        finally:
            out.close()

    def block(self, block: bytes) -> None:
        lines = block.split(b"\n")
        if any(line.startswith((b"event: error", b"event: end")) for line in lines):
            raise Broken
        data = b"".join(line[6:] for line in lines if line.startswith(b"data: "))
        if data:
            self.take(json.loads(data))
