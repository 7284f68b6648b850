"""A real redis-server for the tests, to be killed and started again."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from suite import pick_ports


class Redis:
    """One redis-server with an AOF, in a folder of its own."""

    def __init__(self, *settings: str):
        self.folder = Path(tempfile.mkdtemp(prefix="slip-redis-"))
        self.port = pick_ports(1)[0]
        self.settings = settings
        self.process = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def cli(self, *command: str) -> str:
        done = subprocess.run(["redis-cli", "-p", str(self.port), *command], capture_output=True,
                              text=True, timeout=10)
        return (done.stdout or done.stderr).strip()

    def start(self) -> None:
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                 "--appendonly", "yes", "--appendfsync", "always", "--save", "", *self.settings]
        self.process = subprocess.Popen(["redis-server", *flags], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while self.cli("ping") != "PONG":
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
