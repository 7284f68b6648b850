"""The processes of queue_chaos.py: Redis, task queue servers, workers and the effect ledger. All have
fixed ports for the whole run, are watched, started again, and ended by their process ids."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import tokens
from bench_processes import SECRET, as_flags
from suite import binary, pick_ports

HERE = Path(__file__).resolve().parent
REDIS_SETTINGS = {"appendonly": "yes", "appendfsync": "everysec", "save": "",
                  "maxmemory-policy": "noeviction"}


class ChaosError(Exception):
    """The run can't go on; the message says why."""


class Process:
    """One process that may be killed, stopped and started again. Its log goes on over all lives."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        self.log = folder / f"{name}.log"
        self.life = 0
        self.stopped = False
        self.expected_end = False  # we have ended it
        self.process: subprocess.Popen | None = None

    def command(self) -> list:
        raise NotImplementedError

    def start(self) -> None:
        self.life += 1
        self.stopped = self.expected_end = False
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command()], cwd=self.folder, stdout=log, stderr=log,
                stdin=subprocess.PIPE, start_new_session=True)

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None and not self.stopped

    def end(self, how: int) -> None:
        self.expected_end = True
        self.process.send_signal(how)
        self.process.wait(30)
        self.process.stdin.close()

    def stop(self) -> None:
        self.stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def destroy(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def log_end(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Redis(Process):
    def __init__(self, folder: Path, port: int):
        super().__init__("redis", folder)
        self.port = port
        self.data = folder / "redis"
        self.data.mkdir()

    def command(self) -> list:
        command = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.data]
        for key, value in REDIS_SETTINGS.items():
            command += [f"--{key}", value]
        return command

    def ask(self, *command: str) -> str:
        done = subprocess.run(["redis-cli", "-p", str(self.port), *command], capture_output=True,
                              text=True, errors="replace", timeout=60)
        return done.stdout.strip()

    def wait_ready(self, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while self.ask("ping") != "PONG":
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise ChaosError(f"redis-server did not start\n{self.log_end()}")
            time.sleep(0.01)


class Server(Process):
    def __init__(self, name: str, folder: Path, redis_port: int, port: int, http: int, nowhere: int):
        super().__init__(name, folder)
        self.address = f"127.0.0.1:{port}"
        self.config = folder / f"{name}.textproto"
        self.config.write_text(
            f'auth {{ hs256_secret_file: "{folder}/hs256.secret" '
            f'service_token_file: "{folder}/service.token" }}\n'
            f'task_queue {{ grpc_address: "{self.address}" http_address: "127.0.0.1:{http}" '
            f'redis_url: "redis://127.0.0.1:{redis_port}" '
            f'artifact {{ directory: "{folder}/{name}-artifacts" }} }}\n'
            f'endpoints {{ notification_address: "127.0.0.1:{nowhere}" '
            f'monitoring_address: "127.0.0.1:{nowhere}" }}\n')

    def command(self) -> list:
        return [binary("task_queue"), "--config", self.config]

    def wait_ready(self, timeout_s: float = 30) -> None:
        host, port = self.address.split(":")
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise ChaosError(f"{self.name} did not start\n{self.log_end()}") from None
                time.sleep(0.02)


class Worker(Process):
    """Each life has a name and an event log of its own."""

    def __init__(self, name: str, folder: Path, **flags):
        super().__init__(name, folder)
        self.flags = flags

    @property
    def life_name(self) -> str:
        return f"{self.name}.{self.life}"

    def events(self, life: int) -> Path:
        return self.folder / f"{self.name}.{life}.events"

    def command(self) -> list:
        program = binary("x").parent.parent.parent / "tests/chaos/chaos_worker"
        flags = {"name": self.life_name, "log": self.events(self.life), **self.flags}
        return [program, *as_flags(flags)]


class Ledger(Process):
    def __init__(self, folder: Path, port: int):
        super().__init__("ledger", folder)
        self.port = port
        self.connection = None

    def command(self) -> list:
        return ["/usr/bin/python3", HERE / "effect_ledger.py", self.port]

    def wait_ready(self, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while self.connection is None:
            try:
                self.connection = socket.create_connection(("127.0.0.1", self.port), 30)
                self.lines = self.connection.makefile("r")
            except OSError:
                if time.monotonic() > deadline:
                    raise ChaosError(f"the ledger did not start\n{self.log_end()}") from None
                time.sleep(0.02)

    def counts(self) -> tuple[int, int]:
        """Tasks with an accepted effect, and effects refused."""
        self.connection.sendall(b"N\n")
        tasks, refused = self.lines.readline().split()
        return int(tasks), int(refused)

    def dump(self) -> list[list[str]]:
        self.connection.sendall(b"D\n")
        entries = []
        while (line := self.lines.readline().rstrip("\n")) != ".":
            if line:
                entries.append(line.split(" "))
        return entries

    def destroy(self) -> None:
        if self.connection is not None:
            self.lines.close()
            self.connection.close()
        super().destroy()


class Fleet:
    """All processes of one run, with keys of their own in its folder; leaving it ends every process
    and removes the folder."""

    def __init__(self, service: str, keep: bool):
        self.folder = Path(tempfile.mkdtemp(prefix="slip_chaos_"))
        self.keep = keep
        for name, text in (("hs256.secret", SECRET),
                           ("service.token", self.token(service, "service"))):
            file = self.folder / name
            file.write_text(text)
            file.chmod(0o600)

    @property
    def all(self) -> list[Process]:
        raise NotImplementedError

    def token(self, user: str, role: str) -> str:
        return tokens.issue(SECRET.encode(), user, [role], lifetime_s=7200)

    def ended_by_themselves(self) -> list[str]:
        """Those that nobody has ended; each is told of once."""
        told = []
        for process in self.all:
            if process.process is None or process.expected_end or process.process.poll() is None:
                continue
            process.expected_end = True
            told.append(f"{process.name} ended by itself with {process.process.returncode}:\n"
                        f"{process.log_end()}")
        return told

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        for process in self.all:
            process.destroy()
        if self.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class QueueFleet(Fleet):
    """Redis, servers, workers and the ledger."""

    def __init__(self, servers: int, workers: int, slots: int, keep: bool):
        super().__init__("task_queue", keep)
        self.extra: list[Process] = []
        redis, ledger, nowhere, *ports = pick_ports(3 + 2 * servers)
        self.redis = Redis(self.folder, redis)
        self.ledger = Ledger(self.folder, ledger)
        self.servers = [Server(f"server{i}", self.folder, redis, ports[2 * i], ports[2 * i + 1],
                               nowhere) for i in range(servers)]
        addresses = [server.address for server in self.servers]
        self.workers = [
            Worker(f"worker{i}", self.folder, slots=slots, ledger_port=ledger,
                   limited_type="chaos_limited",
                   token=self.token("chaos-worker", "service"),
                   address=",".join(addresses[i % servers:] + addresses[:i % servers]))
            for i in range(workers)]

    @property
    def all(self) -> list[Process]:
        return [*self.extra, *self.workers, *self.servers, self.ledger, self.redis]

    def start(self) -> None:
        self.redis.start()
        self.ledger.start()
        self.redis.wait_ready()
        self.ledger.wait_ready()
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()
