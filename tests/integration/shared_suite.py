"""One running suite for all tests of a file, and the few verbs that the files share.

    SUITE = SharedSuite(settings={"edge": ["read_timeout_ms: 1000"]})
    setUpModule, tearDownModule = SUITE.start, SUITE.stop

Binaries come from .bazel/bin/services, or from SLIP_BIN_DIR. Tasks are awaited on their event stream,
processes on their end; what nobody tells of is asked for again and again, up to a deadline.
"""

import json
import os
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/python"))

from client import ApiError, Client  # noqa: E402
from suite import SERVICES, Suite  # noqa: E402

STREAM = "/async-monitoring/tasks/{}/stream"
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
# An hour: a task submitted with this delay stays SCHEDULED for as long as any test looks at it.
LATER_MS = 3_600_000
PROMPT = ("The nightly invoice export fails twice a week. It must finish within 90 minutes. "
          "We propose one task per invoice. A risk is the load on the database.")


def long_document(paragraphs: int = 220) -> str:
    """Markdown that keeps WeasyPrint busy for some seconds: a task that is surely still running
    when a test acts on it."""
    text = "Every paragraph of this document is there to be laid out, line by line. " * 6
    return "# A long document\n\n" + "\n\n".join(f"## Part {n}\n\n{text}" for n in range(paragraphs))


class SharedSuite:
    """Settings are those of Suite. Tests use the attributes; unittest calls start and stop."""

    def __init__(self, split: bool = False, settings: dict | None = None,
                 environment: dict[str, str] | None = None):
        self.split, self.settings = split, settings or {}
        self.environment = environment or {}
        # Ended by tests on purpose: their exit codes are the tests' business.
        self.ended_by_test: set[str] = set()

    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="slip-test-")
        unittest.addModuleCleanup(self.folder.cleanup)
        self.suite = Suite(Path(self.folder.name), split=self.split, settings=self.settings,
                           environment=self.environment)
        try:
            self.suite.start()
        except BaseException:
            self.suite.stop(5)
            raise

    def stop(self) -> None:
        """Every process must still be there and must end by itself with 0."""
        wrong = [f"{name} ended with {process.returncode} during the tests:\n"
                 f"{self.suite.log_end(name)}"
                 for name, process in self.suite.processes.items()
                 if process.poll() is not None and name not in self.ended_by_test]
        codes = self.suite.stop()
        wrong += [f"{name} ended with {code} after SIGTERM:\n{self.suite.log_end(name)}"
                  for name, code in codes.items()
                  if code != 0 and name not in self.ended_by_test and not wrong]
        if wrong:
            raise AssertionError("\n".join(wrong))

    # -- verbs -------------------------------------------------------------------------------

    def client(self, user: str = "alice", *roles: str, timeout_s: float = 30, **claims) -> Client:
        return Client(self.suite.base, self.suite.token(user, list(roles) or ["user"], **claims),
                      timeout_s)

    def admin(self, user: str = "root") -> Client:
        return self.client(user, "user", "admin")

    def process_names(self) -> list[str]:
        return list(self.suite.http)

    def probe(self, name: str, path: str) -> tuple[int, dict, str]:
        """GET from a process's own HTTP port: status, headers, text."""
        url = f"http://127.0.0.1:{self.suite.http[name]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()


def wait_for(client: Client, task_id: str, matches, timeout_s: float = 60) -> dict:
    """The first state of a task that matches, from its event stream; AssertionError without one."""
    seen = []
    for event in client.events(STREAM.format(task_id), timeout_s=timeout_s):
        if event["event"] != "message":
            raise AssertionError(f"the stream ended with {event} after {seen}")
        task = event["data"]
        seen.append((task["status"], task["progress"], task["attempt"]))
        if matches(task):
            return task
    raise AssertionError(f"the stream was cut after {seen}")


def wait_final(client: Client, task_id: str, timeout_s: float = 60) -> dict:
    return wait_for(client, task_id, lambda task: task["status"] in FINAL, timeout_s)


def until_served(call):
    """The call's answer once those behind the edge are reached again: it answers 503 until then."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return call()
        except ApiError as error:
            if error.status != 503 or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def later(client: Client, **options) -> dict:
    """A task that stays SCHEDULED."""
    return client.submit("llm_generate_rfc", {"prompt": PROMPT},
                         **{"delay_ms": LATER_MS, **options})


def main() -> None:
    """Ends a test file; the environment's SLIP_VERBOSE=1 names each test."""
    unittest.main(verbosity=2 if os.environ.get("SLIP_VERBOSE") else 1)


__all__ = ["ApiError", "Client", "FINAL", "LATER_MS", "PROMPT", "ROOT", "SERVICES", "STREAM",
           "SharedSuite", "Suite", "json", "later", "long_document", "main", "wait_final",
           "wait_for"]
