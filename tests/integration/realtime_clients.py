"""A WebSocket client for tests of the edge: connect, receive, and how it was closed."""

import asyncio
import contextlib
import json

import websockets

WAIT_S = 30


def connect(suite, token: str = "", query: str = "", address: str = "127.0.0.1", **headers):
    """To the edge of `suite`; `address` is the loopback address that it comes from."""
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return websockets.connect(f"ws://127.0.0.1:{suite.edge_port}/ws{query}",
                              extra_headers={**sent, **headers}, max_size=4 << 20,
                              ping_interval=None, open_timeout=WAIT_S, close_timeout=5,
                              local_addr=(address, 0))


async def receive(socket) -> dict:
    return json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))


async def say(socket, **message) -> None:
    await socket.send(json.dumps(message))


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
