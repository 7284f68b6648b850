"""A real PostgreSQL for the tests, with pg_stat_statements; as an unprivileged user when root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from suite import pick_ports


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("no PostgreSQL below /usr/lib/postgresql; run tools/setup")
    return found[-1].parent


def _as_user(command: list[str]) -> list[str]:
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam("postgres")
    return ["/usr/bin/setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
            "--clear-groups", "--", *command]


class Postgres:
    """One server in a folder of its own, listening on loopback; superuser `postgres`, no password.
    """

    def __init__(self, *settings: str):
        self.programs = _programs()
        # Short: a socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="slip-pg-"))
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.port = pick_ports(1)[0]
        self.settings = ["fsync=off", "shared_buffers=32MB", "max_connections=60",
                         "shared_preload_libraries=pg_stat_statements", "autovacuum=off", *settings]
        subprocess.run(_as_user([str(self.programs / "initdb"), f"--pgdata={self.folder}/data",
                                 "--username=postgres", "--auth=trust", "--no-sync", "--locale=C",
                                 "--encoding=UTF8"]), check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE, cwd="/tmp", timeout=120)
        self.start()
        self.sql("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hypopg")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        flags = [flag for setting in self.settings for flag in ("-c", setting)]
        self.process = subprocess.Popen(
            _as_user([str(self.programs / "postgres"), "-D", f"{self.folder}/data", "-p",
                      str(self.port), "-h", "127.0.0.1", "-k", str(self.folder), *flags]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp")
        deadline = time.monotonic() + 60
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                              str(self.port)], timeout=10).returncode != 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.05)

    def _psql(self, application: str) -> list[str]:
        return [str(self.programs / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                f"{self.url}?application_name={application}"]

    def sql(self, text: str, application: str = "test") -> str:
        done = subprocess.run([*self._psql(application), "-c", text], capture_output=True, text=True,
                              timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{text}: {done.stderr}")
        return done.stdout.strip()

    def session(self, application: str) -> "Session":
        return Session(self._psql(application))

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast shutdown
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """A session that stays open; what is sent runs while the test goes on."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, text=True)

    def send(self, sql: str) -> None:
        self.process.stdin.write(sql + ";\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
