"""task_queue.fallback: MEMORY on a real Redis that dies and comes back: submits go on, workers go on,
and everything that was accepted ends."""

import time
import unittest
import urllib.request

from real_redis import Redis
from shared_suite import ApiError, SharedSuite, main, until_served, wait_final

REDIS = Redis()
SUITE = SharedSuite(
    split=True,
    environment={"SLIPSTREAM_TASK_QUEUE_REDIS_URL": REDIS.url,
                 "SLIPSTREAM_TASK_QUEUE_FALLBACK": "MEMORY"},
    settings={"edge": ["sse_heartbeat_ms: 1000"], "task_queue": ["retry_backoff_base_ms: 50"]})
tearDownModule = SUITE.stop


def setUpModule():
    unittest.addModuleCleanup(REDIS.stop)  # also when the suite does not start
    SUITE.start()


class FallbackTest(unittest.TestCase):
    def setUp(self):
        self.alice = SUITE.client()

    def submit(self, **options) -> dict:
        return self.alice.submit("llm_generate_rfc", {"prompt": f"A cache for {self.id()}"},
                                 **options)

    def get(self, task_id: str) -> dict:
        return self.alice.get(f"/api/v1/async-tasks/{task_id}")

    def not_durable_tasks(self) -> float:
        url = f"http://127.0.0.1:{SUITE.suite.http['task_queue']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("slipstream_task_queue_not_durable_tasks "):
                    return float(line.split()[1])
        self.fail("there is no such series")

    def eventually(self, condition) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it has not come to that")
            time.sleep(0.1)

    def test_an_outage_refuses_no_submit_and_loses_none(self):
        before = self.submit(delay_ms=1500)
        self.assertTrue(before["durable"])
        REDIS.kill()
        try:
            # The one that finds it out may be refused.
            now = until_served(self.submit)
            later = self.submit(delay_ms=8000, request_id="later")
            self.assertEqual((now["durable"], later["durable"]), (False, False))
            self.assertEqual(self.submit(delay_ms=8000, request_id="later")["task_id"],
                             later["task_id"])
            # It runs from memory, by a worker that was connected before.
            done = wait_final(self.alice, now["task_id"])
            self.assertEqual((done["status"], done["durable"]), ("SUCCEEDED", False))
            with self.assertRaises(ApiError) as unknown:
                self.get(before["task_id"])
            self.assertEqual(unknown.exception.status, 503)
            self.assertEqual(self.get(later["task_id"])["status"], "SCHEDULED")
            self.eventually(lambda: self.not_durable_tasks() == 1)
        finally:
            REDIS.start()
        self.eventually(lambda: self.get(later["task_id"])["durable"])
        self.assertEqual(until_served(lambda: self.submit(delay_ms=8000, request_id="later"))[
            "task_id"], later["task_id"])
        self.assertEqual(wait_final(self.alice, before["task_id"])["status"], "SUCCEEDED")
        ended = wait_final(self.alice, later["task_id"])
        self.assertEqual((ended["status"], ended["durable"]), ("SUCCEEDED", True))
        self.eventually(lambda: self.not_durable_tasks() == 0)
        after = self.submit()
        self.assertTrue(after["durable"])
        self.assertEqual(wait_final(self.alice, after["task_id"])["status"], "SUCCEEDED")
        # What ended in memory is still known.
        self.assertEqual(self.get(now["task_id"])["status"], "SUCCEEDED")


if __name__ == "__main__":
    main()
