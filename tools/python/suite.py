"""Starts the suite's binaries on this machine, as one process or as seven, and stops them.

All files of a run are in one folder: config.textproto, hs256.secret, logs/, artifacts/ and
suite.json, which tells slipctl where the edge is.
"""

import fcntl
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import tokens

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["cache", "notification", "database_optimizer", "task_queue", "monitoring", "worker",
            "edge"]
DEFAULT_PORTS = {"cache": 7401, "task_queue": 7402, "notification": 7403,
                 "database_optimizer": 7404, "monitoring": 7405, "edge": 7406, "worker": 7407,
                 "standalone": 7400}
FREE_PORTS = (15000, 32000)


class SuiteError(Exception):
    """A process did not start or ended; the message says which and why."""


def pick_ports(count: int) -> list[int]:
    """Different free ports, below those that the system gives to outgoing connections: one of these
    would otherwise take a port between this look and the server's start."""
    probes = []
    try:
        while len(probes) < count:
            probe = socket.socket()
            try:
                probe.bind(("127.0.0.1", random.randrange(*FREE_PORTS)))
                probes.append(probe)
            except OSError:
                probe.close()
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def binary(name: str) -> Path:
    """Where the build left a service's binary; SLIP_BIN_DIR overrides the folder."""
    root = Path(os.environ.get("SLIP_BIN_DIR", ROOT / ".bazel/bin/services"))
    return root / name / name


class Suite:
    """One running suite.

    split: seven processes instead of one. edge_port 0: a free one. free_ports: all other ports are
    free ones too, so that several suites run side by side. settings: config lines by section, such
    as {"edge": ["max_json_body_bytes: 2048"]}.
    """

    def __init__(self, folder: Path, split: bool = False, edge_port: int = 0,
                 free_ports: bool = True, settings: dict[str, list[str]] | None = None,
                 environment: dict[str, str] | None = None):
        self.folder = Path(folder).absolute()
        self.split = split
        self.settings = {name: list(lines) for name, lines in (settings or {}).items()}
        self.environment = environment or {}
        names = SERVICES if split else ["standalone"]
        chosen = iter(pick_ports(2 * len(names) + 1))
        self.edge_port = edge_port or next(chosen)
        self.grpc = {n: next(chosen) if free_ports else DEFAULT_PORTS[n] for n in names}
        self.http = {n: next(chosen) if free_ports else DEFAULT_PORTS[n] + 1000 for n in names}
        if "edge" in self.http and not free_ports:
            self.http["edge"] = self.edge_port + 1000
        self.processes: dict[str, subprocess.Popen] = {}
        self._lock = None

    # -- facts -------------------------------------------------------------------------------

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.edge_port}"

    @property
    def secret(self) -> bytes:
        return tokens.read_secret(self.folder / "hs256.secret")

    def token(self, user: str, roles: list[str] | None = None, **claims) -> str:
        return tokens.issue(self.secret, user, roles or ["user"], **claims)

    def grpc_address(self, service: str) -> str:
        return f"127.0.0.1:{self.grpc[service if self.split else 'standalone']}"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    # -- life --------------------------------------------------------------------------------

    def start(self, timeout_s: float = 60) -> "Suite":
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self._own_the_folder()
        secret = self.folder / "hs256.secret"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_hex(32) + "\n")
        (self.folder / "config.textproto").write_text(self._config())
        for name in self.grpc:
            self.start_one(name)
        deadline = time.monotonic() + timeout_s
        for name in self.grpc:
            self.wait_ready(name, deadline - time.monotonic())
        (self.folder / "suite.json").write_text(json.dumps(
            {"edge": self.base, "http": self.http}) + "\n")
        return self

    def _own_the_folder(self) -> None:
        """One suite per run folder: another one would write over this one's files."""
        self._lock = open(self.folder / "lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise SuiteError(f"a suite already runs in {self.folder}; end it, or give this one a "
                             "folder and a port of its own: SLIP_RUN_DIR=FOLDER tools/up --port N"
                             ) from None

    def start_one(self, name: str) -> None:
        with open(self.log(name), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [binary(name), "--config", self.folder / "config.textproto"], stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True,
                env={**os.environ, **self.environment})

    def wait_ready(self, name: str, timeout_s: float = 30) -> None:
        url = f"http://127.0.0.1:{self.http[name]}/readyz"
        deadline = time.monotonic() + timeout_s
        last = ""
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                raise SuiteError(f"{name} ended with {self.processes[name].returncode}:\n"
                                 f"{self.log_end(name)}")
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except urllib.error.HTTPError as error:
                last = error.read().decode(errors="replace")
            except OSError as error:
                last = str(error)
            time.sleep(0.05)
        raise SuiteError(f"{name} is not ready after {timeout_s:.0f} s: {last}\n"
                         f"{self.log_end(name)}")

    def log_end(self, name: str, lines: int = 15) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def stop(self, timeout_s: float = 30) -> dict[str, int]:
        """SIGTERM to all, the edge first; SIGKILL to what does not end. Returns the exit codes."""
        codes = {}
        for name in reversed(list(self.processes)):
            if self.processes[name].poll() is None:
                self.processes[name].send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        self.processes.clear()
        if self._lock:
            (self.folder / "suite.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None
        return codes

    def __enter__(self) -> "Suite":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_) -> None:
        self.stop()

    # -- configuration -----------------------------------------------------------------------

    def _config(self) -> str:
        sections: dict[str, list[str]] = {
            "auth": [f'hs256_secret_file: "{self.folder}/hs256.secret"'],
            "rpc": ([] if any("reflection:" in line for line in self.settings.get("rpc", []))
                    else ["reflection: true"]),
            "task_queue": [f'artifact {{ directory: "{self.folder}/artifacts" }}'],
            "edge": [f'http_address: "127.0.0.1:{self.edge_port}"'],
        }
        for name in self.grpc:
            http = "admin_http_address" if name == "edge" else "http_address"
            sections.setdefault(name, []).extend([
                f'grpc_address: "127.0.0.1:{self.grpc[name]}"',
                f'{http}: "127.0.0.1:{self.http[name]}"'])
            if self.split:
                sections.setdefault("endpoints", []).append(
                    f'{name}_address: "127.0.0.1:{self.grpc[name]}"')
        for name, lines in self.settings.items():
            sections.setdefault(name, []).extend(lines)
        return "".join(
            f"{name} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
            for name, lines in sections.items())
