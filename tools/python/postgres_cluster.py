"""A private PostgreSQL cluster with pg_stat_statements and HypoPG, for tools/up --postgres auto and the
tests: a folder of its own below /tmp, a free port on loopback, gone at the end.

PostgreSQL refuses to run as root; root runs it as the user postgres (or nobody) through setpriv."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from suite import SuiteError, pick_ports

MIN_MAJOR = 14
START_S = 60
SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "max_connections": "100",
            "track_io_timing": "on"}
EXTENSIONS = ("pg_stat_statements", "hypopg")


def programs() -> Path:
    """Debian keeps them apart by major version."""
    found = sorted((int(path.name), path / "bin") for path in Path("/usr/lib/postgresql").glob("*")
                   if path.name.isdigit() and (path / "bin/initdb").exists())
    if not found or found[-1][0] < MIN_MAJOR:
        raise SuiteError(f"no PostgreSQL {MIN_MAJOR} or later below /usr/lib/postgresql; "
                         "run tools/setup")
    return found[-1][1]


def server_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def as_user(command: list) -> list[str]:
    """The command, run as another user when this one is root."""
    if os.geteuid() != 0:
        return [str(part) for part in command]
    user = server_user()
    return ["/usr/bin/setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
            "--clear-groups", "--", *map(str, command)]


class Cluster:
    """settings: as in postgresql.conf, over SETTINGS. durable: fsync stays on."""

    def __init__(self, settings: dict[str, str] | None = None, durable: bool = False):
        self.settings = {**SETTINGS, **({} if durable else {"fsync": "off"}), **(settings or {})}
        # Short: a socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="slip-pg-", dir="/tmp"))
        self.programs = programs()
        [self.port] = pick_ports(1)
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def start(self) -> "Cluster":
        if os.geteuid() == 0:
            os.chown(self.folder, server_user().pw_uid, server_user().pw_gid)
        with open(self.log, "ab") as log:
            done = subprocess.run(
                as_user([self.programs / "initdb", f"--pgdata={self.folder}/data",
                               "--username=postgres", "--auth=trust", "--no-sync", "--locale=C",
                               "--encoding=UTF8"]),
                stdout=log, stderr=log, cwd="/tmp", check=False)
        if done.returncode != 0:
            raise SuiteError(f"initdb failed:\n{self._log_end()}")
        self.launch()
        for extension in EXTENSIONS:
            self.sql(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        return self

    def launch(self) -> None:
        command = [self.programs / "postgres", "-D", self.folder / "data", "-p", self.port, "-h",
                   "127.0.0.1", "-k", self.folder]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(as_user(command), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd="/tmp",
                                            start_new_session=True)
        self.wait_ready()

    def wait_ready(self, timeout_s: float = START_S) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            done = subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                                   str(self.port)], check=False)
            if done.returncode == 0:
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SuiteError(f"PostgreSQL did not start:\n{self._log_end()}")
            time.sleep(0.02)

    def sql(self, text: str, timeout_s: float = 300) -> list[list[str]]:
        """Runs statements; the rows of the last one."""
        done = subprocess.run(
            [self.programs / "psql", "-X", "-q", "-At", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-d",
             self.url], input=text, capture_output=True, text=True, timeout=timeout_s, check=False)
        if done.returncode != 0:
            raise SuiteError(f"{text[:200]}: {done.stderr.strip()}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def value(self, text: str) -> str:
        rows = self.sql(text)
        return rows[-1][0] if rows else ""

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast shutdown
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Cluster":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_) -> None:
        self.stop()


class Session:
    """One psql that stays, so that a transaction can be left open. Statements are sent one by one."""

    def __init__(self, cluster: Cluster, name: str = "session"):
        self._process = subprocess.Popen(
            [cluster.programs / "psql", "-X", "-q", "-At", "-d",
             f"{cluster.url}?application_name={name}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            bufsize=1)
        self._count = 0

    def send(self, text: str) -> None:
        """Waits for nothing: it runs while the caller goes on."""
        self._write(f"{text};\n")

    def _write(self, line: str) -> None:
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def run(self, text: str) -> list[str]:
        """Waits; its output, errors included; [] when the server has gone."""
        self._count += 1
        mark = f"--end-{self._count}"
        lines = []
        try:
            self._write(f"{text};\n\\echo {mark}\n")
            for line in self._process.stdout:
                if line.strip() == mark:
                    break
                lines.append(line.rstrip("\n"))
        except OSError:
            pass
        return lines

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
