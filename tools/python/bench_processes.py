"""The processes of a benchmark: Redis, the server under test, the load drivers and the peers.

Each is started on a free loopback port in a temporary folder and ended by its process id. All of
them belong to one Parties, which also tells how much processor time each has used.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import tokens
from suite import ROOT, binary, pick_ports

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# The same for both sides; everything else is Redis's default.
REDIS_SETTINGS = {"appendonly": "yes", "appendfsync": "everysec", "save": "",
                  # No rewrite of the log falls into one side's runs and not into the other's.
                  "auto-aof-rewrite-percentage": "0",
                  "maxmemory-policy": "noeviction"}
SECRET = "tools-bench-secret-of-more-than-32-bytes"


class BenchError(Exception):
    """A process did not start, ended early or did not answer in time."""


def driver(name: str) -> Path:
    """A load driver of tests/bench."""
    return binary("x").parent.parent.parent / "tests/bench" / name


def environment_versions() -> dict:
    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return (done.stdout or done.stderr).strip()

    redis = run("redis-server", "--version")
    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    return {
        "redis": redis.split("v=")[1].split()[0] if "v=" in redis else redis,
        "grpc": run("dpkg-query", "-W", "-f", "${Version}", "libgrpc++1.51"),
        "kernel": os.uname().release, "cpu": cpu[0] if cpu else "", "cores": os.cpu_count(),
        "commit": run("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "build": "bazel -c opt (clang-19)",
    }


class Party:
    """One process. Its standard output is lines of JSON when it is a driver."""

    def __init__(self, name: str, command: list, folder: Path, stdin: bool = False,
                 stdout: bool = False):
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=folder, stderr=log,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else log, start_new_session=True, text=True)

    def cpu_s(self) -> float:
        """Processor time so far, of all its threads; 0 once it has ended."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(stat[11]) + int(stat[12])) / TICKS_PER_S
        except (OSError, IndexError):
            return 0.0

    def rss_bytes(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def read(self, timeout_s: float) -> dict:
        """The next line of its output."""
        if not select.select([self.process.stdout], [], [], timeout_s)[0]:
            raise BenchError(f"{self.name} said nothing for {timeout_s:.0f} s\n{self.log_end()}")
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self.name} ended with {self.process.wait(10)}\n{self.log_end()}")
        return json.loads(line)

    def ask(self, line: str, timeout_s: float = 30) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read(timeout_s)

    def finish(self, timeout_s: float = 30) -> dict:
        """Ends its input; its last line."""
        self.process.stdin.close()
        last = self.read(timeout_s)
        self.process.wait(timeout_s)
        return last

    def log_end(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, timeout_s: float = 10) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass


class Parties:
    """All processes of one run; leaving it ends them and removes their folder."""

    def __init__(self, keep: bool = False, server_config: str = ""):
        self.server_config = server_config
        self.folder = Path(tempfile.mkdtemp(prefix="slip_bench_"))
        self.parties: list[Party] = []
        self.keep = keep
        secret = self.folder / "hs256.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)

    def __enter__(self) -> "Parties":
        return self

    def __exit__(self, *_) -> None:
        for party in reversed(self.parties):
            party.stop()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name: str, command: list, **pipes) -> Party:
        party = Party(name, command, self.folder, **pipes)
        self.parties.append(party)
        return party

    def token(self, user: str, role: str, tenant: str = "") -> str:
        return tokens.issue(SECRET.encode(), user, [role], tenant=tenant, lifetime_s=7200)

    def redis(self, name: str = "redis") -> tuple[Party, int]:
        (port,) = pick_ports(1)
        folder = self.folder / name
        folder.mkdir()
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", folder]
        for key, value in REDIS_SETTINGS.items():
            command += [f"--{key}", value]
        party = self.start(name, command)
        deadline = time.monotonic() + 20
        while redis_cli(port, "ping") != "PONG":
            if time.monotonic() > deadline or party.process.poll() is not None:
                raise BenchError(f"redis-server did not start\n{party.log_end()}")
            time.sleep(0.02)
        return party, port

    def task_queue(self, redis_port: int | None, notification: str = "") -> tuple[Party, str]:
        """The server under test with production settings; its address."""
        grpc, http, nowhere = pick_ports(3)
        queue = [f'grpc_address: "127.0.0.1:{grpc}"', f'http_address: "127.0.0.1:{http}"',
                 f'artifact {{ directory: "{self.folder}/artifacts" }}']
        if redis_port is None:
            queue.append("max_tasks_count: 5000000")
        else:
            queue.append(f'redis_url: "redis://127.0.0.1:{redis_port}"')
        service = self.folder / "service.token"
        service.write_text(self.token("task_queue", "service"))
        service.chmod(0o600)
        config = self.folder / "task_queue.textproto"
        config.write_text(
            f'auth {{ hs256_secret_file: "{self.folder}/hs256.secret" '
            f'service_token_file: "{service}" }}\n'
            f'task_queue {{ {" ".join(queue)} }}\n'
            f'endpoints {{ notification_address: "{notification or f"127.0.0.1:{nowhere}"}" '
            f'monitoring_address: "127.0.0.1:{nowhere}" }}\n{self.server_config}\n')
        party = self.start("task_queue", [binary("task_queue"), "--config", config])
        _wait_ready(party, http)
        return party, f"127.0.0.1:{grpc}"

    def notification(self, *settings: str) -> tuple[Party, str]:
        """Takes events, as in production; its address."""
        return self._plain_service("notification", *settings)

    def edge(self, notification: str, *settings: str) -> tuple[Party, int]:
        """In front of a notification service, which is all that it reaches; its HTTP port."""
        grpc, http, admin, nowhere = pick_ports(4)
        others = " ".join(f'{name}_address: "127.0.0.1:{nowhere}"' for name in
                          ("cache", "task_queue", "database_optimizer", "monitoring"))
        config = self.folder / "edge.textproto"
        config.write_text(
            f'auth {{ hs256_secret_file: "{self.folder}/hs256.secret" }}\n'
            f'edge {{ http_address: "127.0.0.1:{http}" admin_http_address: "127.0.0.1:{admin}" '
            f'grpc_address: "127.0.0.1:{grpc}" {" ".join(settings)} }}\n'
            f'endpoints {{ notification_address: "{notification}" {others} }}\n'
            f'{self.server_config}\n')
        party = self.start("edge", [binary("edge"), "--config", config])
        _wait_ready(party, admin)
        return party, http

    def socketio(self) -> tuple[Party, int]:
        """The peer of notify-fanout; its port."""
        (port,) = pick_ports(1)
        server = self.start("socketio", [
            "node", ROOT / "tests/bench/socketio/server.mjs",
            *as_flags({"port": port, "secret_file": self.folder / "hs256.secret"})],
            stdin=True, stdout=True)
        server.read(30)
        return server, port

    def cache(self) -> tuple[Party, str]:
        """The cache with production settings, on its first tier; its address."""
        return self._plain_service("cache")

    def _plain_service(self, name: str, *settings: str) -> tuple[Party, str]:
        grpc, http, nowhere = pick_ports(3)
        config = self.folder / f"{name}.textproto"
        config.write_text(
            f'auth {{ hs256_secret_file: "{self.folder}/hs256.secret" }}\n'
            f'{name} {{ grpc_address: "127.0.0.1:{grpc}" http_address: "127.0.0.1:{http}" '
            f'{" ".join(settings)} }}\n'
            f'endpoints {{ monitoring_address: "127.0.0.1:{nowhere}" }}\n{self.server_config}\n')
        party = self.start(name, [binary(name), "--config", config])
        _wait_ready(party, http)
        return party, f"127.0.0.1:{grpc}"

    def worker(self, address: str, **flags) -> Party:
        flags = {"address": address, "token": self.token("bench-worker", "service"), **flags}
        party = self.start("worker", [driver("queue_worker"), *as_flags(flags)], stdin=True,
                           stdout=True)
        if party.read(20).get("event") != "ready":
            raise BenchError(f"the worker did not connect\n{party.log_end()}")
        return party

    def producer(self, address: str, name: str = "producer", user: str = "bench",
                 tenant: str = "", **flags) -> Party:
        flags = {"address": address, "token": self.token(user, "user", tenant), **flags}
        return self.start(name, [driver("queue_producer"), *as_flags(flags)], stdin=True,
                          stdout=True)

    def node(self, name: str, script: str, **flags) -> Party:
        return self.start(name, ["node", ROOT / "tests/bench/bullmq" / script, *as_flags(flags)],
                          stdin=True, stdout=True)


def wait_for_keyboard(parties: Parties) -> None:
    """Until Ctrl-C, or until one of them ends."""
    print(f"logs: {parties.folder}\nCtrl-C ends all of it", flush=True)
    try:
        while all(party.process.poll() is None for party in parties.parties):
            time.sleep(0.5)
        print("a process ended")
    except KeyboardInterrupt:
        pass


def as_flags(flags: dict) -> list[str]:
    def text(value) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return [f"--{key}={text(value)}" for key, value in flags.items()]


def _wait_ready(party: Party, http_port: int, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if party.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.HTTPError, OSError):
            pass
        time.sleep(0.05)
    raise BenchError(f"{party.name} is not ready\n{party.log_end()}")


def redis_cli(port: int, *command: str) -> str:
    done = subprocess.run(["redis-cli", "-p", str(port), *command], capture_output=True, text=True,
                          timeout=60)
    return done.stdout.strip()


def redis_used_memory(port: int) -> int:
    for line in redis_cli(port, "info", "memory").splitlines():
        if line.startswith("used_memory:"):
            return int(line.split(":")[1])
    return 0


class CpuMeter:
    """Processor time that each party uses between two looks."""

    def __init__(self, *parties: Party):
        self.parties = parties
        self.before = {party.name: party.cpu_s() for party in parties}

    def us_each(self, count: float) -> dict:
        """Microseconds per each of `count` things, by party."""
        return {party.name: round((party.cpu_s() - self.before[party.name]) * 1e6 / max(count, 1), 2)
                for party in self.parties}
