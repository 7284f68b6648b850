"""The processes of notification_chaos.py: Redis, notification servers, and edges in front of them."""

from pathlib import Path

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
            f'websocket {{ max_connections_count: 5000 }} }}\n'
            f'rpc {{ drain_grace_ms: 2000 reflection: true }}\n'
            f'endpoints {{ notification_address: "ipv4:{addresses}" {elsewhere} }}\n')

    def command(self) -> list:
        return [binary("edge"), "--config", self.config]


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

    @property
    def all(self) -> list[Process]:
        return [*self.edges, *self.servers, self.redis]

    def start(self) -> None:
        self.redis.start()
        self.redis.wait_ready()
        for process in [*self.servers, *self.edges]:
            process.start()
        for process in [*self.servers, *self.edges]:
            process.wait_ready()
