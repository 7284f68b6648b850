"""A link between a service and its Redis that can be cut, hung, and made to lose hints.

    link_proxy.py PORT REDIS_PORT

Standard input, a line each:
    flow            as a good link
    cut             connections end, new ones are refused at once
    hang            nothing arrives in either direction; connections stay
    lose P          of what is published to this side, each message is lost with probability P
Its end ends the process.
"""

import asyncio
import random
import sys


class Link:
    def __init__(self, redis_port: int):
        self.redis_port = redis_port
        self.mode = "flow"
        self.lose = 0.0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.writers: set[asyncio.StreamWriter] = set()

    def order(self, line: str) -> None:
        words = line.split()
        if not words:
            return
        self.lose = float(words[1]) if words[0] == "lose" else 0.0
        self.mode = "flow" if words[0] == "lose" else words[0]
        if self.mode == "hang":
            self.flowing.clear()
        else:
            self.flowing.set()
        if self.mode == "cut":
            for writer in list(self.writers):
                writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "cut":
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.redis_port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_writer}
        self.writers |= both
        connection = {"subscribed": False}
        try:
            await asyncio.gather(self._there(reader, to_writer, connection),
                                 self._back(to_reader, writer, connection))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers -= both
            for one in both:
                one.transport.abort()

    async def _there(self, reader, writer, connection) -> None:
        while data := await reader.read(65536):
            if b"SUBSCRIBE" in data.upper():
                connection["subscribed"] = True
            await self.flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _back(self, reader, writer, connection) -> None:
        rest = b""
        while data := await reader.read(65536):
            await self.flowing.wait()
            if connection["subscribed"]:
                data, rest = self._thinned(rest + data)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    def _thinned(self, data: bytes) -> tuple[bytes, bytes]:
        """What is passed on of the whole replies in `data`, and what is left of it."""
        kept, at = [], 0
        while (end := end_of_reply(data, at)) is not None:
            reply = data[at:end]
            is_message = reply.startswith((b"*3\r\n$7\r\nmessage", b"*3\r\n$8\r\nsmessage"))
            if not (is_message and random.random() < self.lose):
                kept.append(reply)
            at = end
        return b"".join(kept), data[at:]


def end_of_reply(data: bytes, at: int) -> int | None:
    """Where the RESP2 reply at `at` ends; None when it is not whole
    (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, number = data[at:at + 1], data[at + 1:line]
    end = line + 2
    if kind == b"$":
        if int(number) < 0:
            return end
        end += int(number) + 2
        return end if end <= len(data) else None
    if kind == b"*":
        for _ in range(max(0, int(number))):
            end = end_of_reply(data, end)
            if end is None:
                return None
    return end


async def main() -> None:
    link = Link(int(sys.argv[2]))
    server = await asyncio.start_server(link.accept, "127.0.0.1", int(sys.argv[1]))
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with server:
        while line := await orders.readline():
            link.order(line.decode())


if __name__ == "__main__":
    asyncio.run(main())
