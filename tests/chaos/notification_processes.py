"""The processes of notification_chaos.py: Redis, notification servers, edges in front of them, and
the readers and publishers (ledger_load)."""

import json
import queue
import subprocess
import threading
import time
from pathlib import Path

from bench_processes import as_flags
from chaos_processes import Fleet, Process, Redis, Server
from suite import binary, pick_ports


class NotificationServer(Server):
    def __init__(self, name: str, folder: Path, redis_port: int, port: int, http: int, nowhere: int):
        Process.__init__(self, name, folder)
        self.address = f"127.0.0.1:{port}"
        self.config = folder / f"{name}.textproto"
        self.config.write_text(
            f'auth {{ hs256_secret_file: "{folder}/hs256.secret" '
            f'service_token_file: "{folder}/service.token" }}\n'
            f'notification {{ grpc_address: "{self.address}" http_address: "127.0.0.1:{http}" '
            f'redis_url: "redis://127.0.0.1:{redis_port}" max_subscribers_count: 10000 }}\n'
            f'rpc {{ drain_grace_ms: 2000 }}\n'
            f'endpoints {{ monitoring_address: "127.0.0.1:{nowhere}" }}\n')

    def command(self) -> list:
        return [binary("notification"), "--config", self.config]


class Edge(Server):
    """Reaches all notification servers; a stream of it goes to one of them."""

    def __init__(self, name: str, folder: Path, servers: list[NotificationServer],
                 ports: list[int], nowhere: int):
        Process.__init__(self, name, folder)
        http, grpc, admin = ports
        self.address = f"127.0.0.1:{http}"
        self.config = folder / f"{name}.textproto"
        addresses = ",".join(server.address for server in servers)
        elsewhere = " ".join(f'{service}_address: "127.0.0.1:{nowhere}"' for service in
                             ("cache", "task_queue", "database_optimizer", "monitoring"))
        self.config.write_text(
            f'auth {{ hs256_secret_file: "{folder}/hs256.secret" '
            f'service_token_file: "{folder}/service.token" }}\n'
            f'edge {{ http_address: "{self.address}" grpc_address: "127.0.0.1:{grpc}" '
            f'admin_http_address: "127.0.0.1:{admin}" '
            f'sse_heartbeat_ms: 2000 websocket {{ max_connections_count: 5000 ping_interval_ms: 2000 '
            f'max_address_connections_count: 1000 '
            f'max_address_handshakes_per_minute_count: 1000000 }} }}\n'
            f'rpc {{ drain_grace_ms: 2000 reflection: true }}\n'
            f'endpoints {{ notification_address: "ipv4:{addresses}" {elsewhere} }}\n')

    def command(self) -> list:
        return [binary("edge"), "--config", self.config]


class LedgerLoad(Process):
    """What it prints is read by a thread of its own; `take` sorts it."""

    def __init__(self, folder: Path, flags: dict):
        super().__init__("ledger_load", folder)
        self.flags = flags
        self.progress: dict = {}
        self.report: dict | None = None
        self.violations: list[str] = []
        self.seen: set[str] = set()
        self.lines: queue.Queue = queue.Queue()

    def command(self) -> list:
        program = binary("x").parent.parent.parent / "tests/chaos/ledger_load"
        return [program, *as_flags(self.flags)]

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command()], cwd=self.folder, stderr=log, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def order(self, line: str) -> None:
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.violations.append(f"ledger_load has ended\n{self.log_end()}")

    def take(self, timeout_s: float = 0) -> None:
        """All that it has said; with a time, waits for the first word."""
        while True:
            try:
                line = self.lines.get(timeout_s > 0, timeout_s or None)
            except queue.Empty:
                return
            timeout_s = 0
            event = line.pop("event")
            self.seen.add(event)
            if event == "progress":
                self.progress = line
            elif event == "violation":
                self.violations.append(line["what"])
            elif event == "report":
                self.report = line
                self.expected_end = True  # it ends with its input
                self.process.stdin.close()

    def wait_for(self, event: str, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while event not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or self.process.poll() is not None and self.lines.empty():
                return False
            self.take(min(left, 0.2))
        return True

    def destroy(self) -> None:
        super().destroy()
        self.reader.join(5)
        self.process.stdout.close()


class NotificationFleet(Fleet):
    def __init__(self, servers: int, edges: int, keep: bool):
        super().__init__("notification", keep)
        redis, nowhere, *ports = pick_ports(2 + 2 * servers + 3 * edges)
        self.redis = Redis(self.folder, redis)
        self.servers = [NotificationServer(f"notification{i}", self.folder, redis, ports[2 * i],
                                           ports[2 * i + 1], nowhere) for i in range(servers)]
        ports = ports[2 * servers:]
        self.edges = [Edge(f"edge{i}", self.folder, self.servers, ports[3 * i:3 * i + 3], nowhere)
                      for i in range(edges)]

        self.load: list[LedgerLoad] = []

    @property
    def all(self) -> list[Process]:
        return [*self.load, *self.edges, *self.servers, self.redis]

    def start_load(self, users: list[str], **flags) -> LedgerLoad:
        file = self.folder / "users"
        file.write_text("".join(f"{user} {self.token(user, 'user')}\n" for user in users))
        load = LedgerLoad(self.folder, {
            "edges": ",".join(edge.address.split(":")[1] for edge in self.edges),
            "servers": ",".join(server.address for server in self.servers), "users": file,
            "token": self.token("publisher", "service"), **flags})
        load.start()
        self.load.append(load)
        return load

    def start(self) -> None:
        self.redis.start()
        self.redis.wait_ready()
        for process in [*self.servers, *self.edges]:
            process.start()
        for process in [*self.servers, *self.edges]:
            process.wait_ready()
