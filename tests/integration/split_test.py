"""The main job on seven processes, and what happens to a task whose worker goes away."""

import os
import signal
import time
import unittest
import uuid
from pathlib import Path

from main_job_checks import MainJobChecks
from shared_suite import (ApiError, SERVICES, SharedSuite, long_document, main, wait_final,
                          wait_for)

WORKER_DRAIN_MS = 500
SUITE = SharedSuite(split=True, settings={
    "worker": [f"drain_ms: {WORKER_DRAIN_MS}"], "edge": ["sse_heartbeat_ms: 1000"],
    "rpc": ["drain_grace_ms: 8000"],
    "task_queue": ["session_grace_ms: 500", "retry_backoff_base_ms: 50"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop


def session_of(pid: int) -> int:
    """The session a process belongs to; each process of the suite began one of its own."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, IndexError):
        return 0


def processes_of_session(session: int) -> list[int]:
    return [int(name) for name in os.listdir("/proc")
            if name.isdigit() and session_of(int(name)) == session]


class MainJobTest(MainJobChecks, unittest.TestCase):
    shared = SUITE

    def test_0_seven_processes(self):
        processes = SUITE.suite.processes
        self.assertEqual(sorted(processes), sorted(SERVICES))
        self.assertEqual(len({process.pid for process in processes.values()}), 7)


class AuditTest(unittest.TestCase):
    def test_a_denial_at_the_edge_is_in_monitorings_list(self):
        user = f"denied-{uuid.uuid4()}"
        answer, headers, _ = SUITE.client(user).raw("POST", "/api/v1/async-tasks/cleanup", {})
        self.assertEqual(answer, 403)
        root = SUITE.admin()
        deadline = time.monotonic() + 15
        entries = []
        while not entries:  # it gets there a little later
            self.assertLess(time.monotonic(), deadline, "the entry did not get to monitoring")
            entries = root.get(f"/api/v1/audit?user={user}")["entries"]
        self.assertEqual([(one["service"], one["result"], one["correlation_id"])
                          for one in entries], [("edge", "DENIED", headers["x-request-id"])])


class WorkerGoneTest(unittest.TestCase):
    def setUp(self):
        self.alice = SUITE.client()
        # What an interrupted task must do once more takes some seconds on two cores.
        self.task_id = self.alice.submit("generate_pdf", {"markdown": long_document(),
                                                          "title": self.id()})["task_id"]
        wait_for(self.alice, self.task_id, lambda t: t["status"] == "RUNNING" and t["progress"] >= 3)
        self.worker = SUITE.suite.processes["worker"]
        self.addCleanup(self.bring_back, "worker")

    def bring_back(self, name: str):
        """Whatever a test did, the next one finds the process."""
        if SUITE.suite.processes[name].poll() is not None:
            SUITE.suite.start_one(name)
            SUITE.suite.wait_ready(name)

    def restart_worker(self):
        SUITE.suite.start_one("worker")
        SUITE.suite.wait_ready("worker")

    def test_killed_worker(self):
        self.worker.kill()
        self.worker.wait(10)
        killed_at = time.monotonic()
        wait_for(self.alice, self.task_id, lambda t: t["status"] in ("PENDING", "SCHEDULED"), 20)
        self.assertLess(time.monotonic() - killed_at, 6, "the lease ended late")
        self.restart_worker()
        task = wait_final(self.alice, self.task_id, 120)
        self.assertEqual(task["status"], "SUCCEEDED", task.get("error"))
        self.assertEqual(task["attempt"], 1, "a lost worker costs the task no attempt")
        status, _, body = self.alice.raw("GET", f"/api/v1/artifacts/{task['artifacts'][0]['artifact_id']}")
        self.assertEqual((status, body[:5]), (200, b"%PDF-"))
        self.assertFalse(processes_of_session(self.worker.pid), "the killed worker left a child")

    def test_sigterm_hands_the_task_back(self):
        started = time.monotonic()
        self.worker.send_signal(signal.SIGTERM)
        self.assertEqual(self.worker.wait(20), 0, SUITE.suite.log_end("worker"))
        self.assertLess(time.monotonic() - started, 10)
        self.assertFalse(processes_of_session(self.worker.pid), "the worker left a child")
        task = self.alice.get(f"/api/v1/async-tasks/{self.task_id}")
        self.assertIn(task["status"], ("PENDING", "SUCCEEDED"), "neither handed back nor finished")
        self.restart_worker()
        task = wait_final(self.alice, self.task_id, 120)
        self.assertEqual(task["status"], "SUCCEEDED", task.get("error"))
        self.assertEqual(task["attempt"], 1, "handing back costs no attempt")


class PartsGoneTest(unittest.TestCase):
    """One part less is one part less, not the end of the others."""

    def test_cache_away(self):
        cache = SUITE.suite.processes["cache"]
        cache.send_signal(signal.SIGTERM)
        self.assertEqual(cache.wait(20), 0)
        try:
            alice = SUITE.client()
            status, headers, _ = alice.raw("GET", "/api/v1/performance/cache/stats")
            self.assertEqual((status, headers["content-type"]), (503, "application/problem+json"))
            self.assertIn("retry-after", headers)
            task = alice.submit("llm_generate_rfc", {"prompt": "A cache that is away costs time."})
            done = wait_final(alice, task["task_id"], 90)
            self.assertEqual(done["status"], "SUCCEEDED", done.get("error"))
        finally:
            SUITE.suite.start_one("cache")
            SUITE.suite.wait_ready("cache")
        deadline = time.monotonic() + 20
        while alice.raw("GET", "/api/v1/performance/cache/stats")[0] != 200:
            self.assertLess(time.monotonic(), deadline, "the edge does not find the cache again")

    def test_notifications_away_loses_no_event(self):
        alice = SUITE.client("patient")
        notification = SUITE.suite.processes["notification"]
        notification.send_signal(signal.SIGTERM)
        self.assertEqual(notification.wait(30), 0)
        try:
            task = alice.submit("llm_generate_rfc", {"prompt": "Events wait in the outbox."})
            self.assertEqual(wait_final(alice, task["task_id"], 60)["status"], "SUCCEEDED")
        finally:
            SUITE.suite.start_one("notification")
            SUITE.suite.wait_ready("notification")
        # A cursor of another life of the service: all that is kept is sent again.
        cursor = {"Last-Event-ID": "u0000000000000001:0"}
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                for event in alice.events("/api/v1/notifications/stream", cursor, timeout_s=30):
                    if event["data"].get("task_id") == task["task_id"] and \
                            event["data"]["type"] == "task_completed":
                        return
            except ApiError as error:  # until the edge has found the service again
                self.assertEqual(error.status, 503)
        self.fail("the event did not arrive")


if __name__ == "__main__":
    main()
