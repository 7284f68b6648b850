"""The processes of cache_chaos.py: Redis, cache servers with a link each to it, and the checker."""

import json
import queue
import threading
from pathlib import Path

from bench_processes import as_flags
from chaos_processes import HERE, Fleet, Process, Redis, Server
from suite import binary, pick_ports


class Link(Process):
    def __init__(self, name: str, folder: Path, port: int, redis_port: int):
        super().__init__(name, folder)
        self.port, self.redis_port = port, redis_port

    def command(self) -> list:
        return ["/usr/bin/python3", HERE / "link_proxy.py", self.port, self.redis_port]

    def order(self, line: str) -> None:
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


class CacheServer(Server):
    """Reaches Redis by a link of its own."""

    def __init__(self, name: str, folder: Path, link: Link, port: int, http: int, nowhere: int):
        Process.__init__(self, name, folder)
        self.link = link
        self.http = http
        self.address = f"127.0.0.1:{port}"
        self.config = folder / f"{name}.textproto"
        self.config.write_text(
            f'auth {{ hs256_secret_file: "{folder}/hs256.secret" '
            f'service_token_file: "{folder}/service.token" }}\n'
            f'cache {{ grpc_address: "{self.address}" http_address: "127.0.0.1:{http}" '
            f'redis_url: "redis://127.0.0.1:{link.port}" }}\n'
            f'endpoints {{ notification_address: "127.0.0.1:{nowhere}" '
            f'monitoring_address: "127.0.0.1:{nowhere}" }}\n')

    def command(self) -> list:
        return [binary("cache"), "--config", self.config]


class Checker(Process):
    """The clients. `figures` is what it has told last; `violations` what it has found."""

    def __init__(self, folder: Path, **flags):
        super().__init__("checker", folder)
        self.flags = flags
        self.figures: dict = {}
        self.violations: list[str] = []
        self.lines: queue.Queue = queue.Queue()

    def command(self) -> list:
        return [binary("x").parent.parent.parent / "tests/chaos/cache_checker",
                *as_flags(self.flags)]

    def start(self) -> None:
        super().start()
        self.reader = threading.Thread(target=self._follow, daemon=True)
        self.reader.start()

    def _follow(self) -> None:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            rest = ""
            while True:
                piece = log.readline()
                rest += piece
                if rest.endswith("\n"):
                    self.lines.put(rest)
                    rest = ""
                elif self.process.poll() is not None and not piece:
                    self.lines.put(None)
                    return
                else:
                    threading.Event().wait(0.02)

    def take(self) -> None:
        """Reads what it has told since."""
        while not self.lines.empty():
            self._use(self.lines.get())

    def _use(self, line: str | None) -> None:
        if line is None or not line.startswith("{"):
            return
        told = json.loads(line)
        if "violation" in told:
            self.violations.append(told["violation"])
        else:
            self.figures = told

    def order(self, line: str) -> None:
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def finish(self, timeout_s: float) -> None:
        self.expected_end = True
        self.order("stop")
        self.process.wait(timeout_s)
        self.reader.join(timeout_s)
        self.take()


class CacheFleet(Fleet):
    """Redis, the servers with a link each, and the checker."""

    def __init__(self, servers: int, keep: bool):
        super().__init__("cache", keep)
        redis, nowhere, *ports = pick_ports(2 + 3 * servers)
        self.redis = Redis(self.folder, redis)
        self.links = [Link(f"link{i}", self.folder, ports[3 * i + 2], redis)
                      for i in range(servers)]
        self.servers = [CacheServer(f"cache{i}", self.folder, self.links[i], ports[3 * i],
                                    ports[3 * i + 1], nowhere) for i in range(servers)]
        self.checker: Checker | None = None

    @property
    def all(self) -> list[Process]:
        return [one for one in [self.checker, *self.servers, *self.links, self.redis] if one]

    def start(self) -> None:
        self.redis.start()
        self.redis.wait_ready()
        for link in self.links:
            link.start()
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()

    def start_checker(self, **flags) -> Checker:
        self.checker = Checker(
            self.folder, address=",".join(server.address for server in self.servers),
            token=self.token("checker", "user"), **flags)
        self.checker.start()
        return self.checker
