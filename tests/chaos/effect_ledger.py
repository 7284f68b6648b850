"""The outside resource that the handlers of queue_chaos.py act upon: it accepts an effect only with
an epoch that is not below the highest it has seen for that task, as a fencing token is checked.

Lines over TCP: "E task epoch checksum worker" is answered "A" (accepted) or "R" (refused); "N" with
how many tasks have an accepted effect and how many effects were refused; "D" with all that was
asked, in order ("A|R task epoch checksum worker"), and a line "."."""

import asyncio
import sys


class Ledger:
    def __init__(self):
        self.highest: dict[str, int] = {}
        self.asked: list[str] = []
        self.refused = 0

    def effect(self, line: str) -> str:
        _, task, epoch, _ = line.split(" ", 3)
        accepted = int(epoch) >= self.highest.get(task, 0)
        if accepted:
            self.highest[task] = int(epoch)
        else:
            self.refused += 1
        verdict = "A" if accepted else "R"
        self.asked.append(verdict + line[1:])
        return verdict

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.readline():
                line = data.decode().rstrip("\n")
                if line == "N":
                    answer = f"{len(self.highest)} {self.refused}"
                elif line == "D":
                    answer = "\n".join([*self.asked, "."])
                elif data.endswith(b"\n"):
                    answer = self.effect(line)
                else:
                    break  # the worker was killed while it wrote
                writer.write(answer.encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(Ledger().serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
