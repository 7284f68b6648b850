"""The main job with the tasks and the cache on a real Redis, and what survives: the queue's own death, that of
Redis, and a Redis that would throw tasks away."""

import re
import shutil
import tempfile
import time
import unittest
from pathlib import Path

from main_job_checks import MainJobChecks
from shared_suite import ApiError, SharedSuite, Suite, main, until_served, wait_final
from real_redis import Redis
from suite import SuiteError


REDIS = Redis()
SUITE = SharedSuite(
    split=True, environment={"SLIPSTREAM_TASK_QUEUE_REDIS_URL": REDIS.url,
                             "SLIPSTREAM_CACHE_REDIS_URL": REDIS.url},
    settings={"edge": ["sse_heartbeat_ms: 1000"],
              "task_queue": ["session_grace_ms: 500", "retry_backoff_base_ms: 50"]})
tearDownModule = SUITE.stop


def setUpModule():
    unittest.addModuleCleanup(REDIS.stop)  # also when the suite does not start
    SUITE.start()


class MainJobTest(MainJobChecks, unittest.TestCase):
    shared = SUITE


class SurvivalTest(unittest.TestCase):
    def setUp(self):
        self.alice = SUITE.client()

    def submit(self, **options) -> str:
        return self.alice.submit("llm_generate_rfc", {"prompt": f"A cache for {self.id()}"},
                                 **options)["task_id"]

    def test_tasks_survive_the_death_of_the_queue(self):
        done = self.submit()
        self.assertEqual(wait_final(self.alice, done)["status"], "SUCCEEDED")
        waiting = self.submit(delay_ms=2000)
        SUITE.suite.processes["task_queue"].kill()
        SUITE.suite.processes["task_queue"].wait()
        SUITE.suite.start_one("task_queue")
        SUITE.suite.wait_ready("task_queue")
        again = until_served(lambda: self.alice.get(f"/api/v1/async-tasks/{done}"))
        self.assertEqual((again["status"], again["durable"]), ("SUCCEEDED", True))
        self.assertTrue(again["result"])
        self.assertEqual(wait_final(self.alice, waiting)["status"], "SUCCEEDED")
        listed = {task["task_id"] for task in
                  self.alice.get("/api/v1/async-tasks/user/tasks?page_size=100")["tasks"]}
        self.assertLessEqual({done, waiting}, listed)

    def test_a_dead_redis_refuses_submits_soon_and_loses_nothing(self):
        waiting = self.submit(delay_ms=1500)
        REDIS.kill()
        try:
            began = time.monotonic()
            with self.assertRaises(ApiError) as refused:
                self.submit()
            self.assertLess(time.monotonic() - began, 2)
            self.assertEqual(refused.exception.status, 503)
        finally:
            REDIS.start()
        self.assertEqual(wait_final(self.alice, waiting)["status"], "SUCCEEDED")
        again = until_served(self.submit)
        self.assertEqual(wait_final(self.alice, again)["status"], "SUCCEEDED")


class RefusedRedisTest(unittest.TestCase):
    def test_a_redis_that_evicts_is_refused_with_what_to_set(self):
        evicts = Redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        self.addCleanup(evicts.stop)
        folder = tempfile.mkdtemp(prefix="slip-evicts-")
        self.addCleanup(shutil.rmtree, folder, True)
        with self.assertRaises(SuiteError) as refused:
            with Suite(Path(folder), environment={"SLIPSTREAM_TASK_QUEUE_REDIS_URL": evicts.url}):
                pass
        self.assertIn("noeviction", str(refused.exception))


class CacheTest(unittest.TestCase):
    def setUp(self):
        self.alice = SUITE.client()

    def stats(self) -> dict:
        return until_served(lambda: self.alice.get("/api/v1/performance/cache/stats"))

    def until(self, condition) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_the_cache_says_when_its_redis_is_away_and_recovers(self):
        self.until(lambda: not self.stats().get("degraded"))
        self.assertEqual([tier["tier"] for tier in self.stats()["tiers"]], ["L1", "L2"])
        self.until(lambda: self.stats().get("redis", {}).get("version"))
        REDIS.kill()
        try:
            self.until(lambda: self.stats().get("degraded"))
            status, _, text = SUITE.probe("cache", "/readyz")
            self.assertEqual(status, 200, "readers are still served")
            self.assertIn('"degraded":[{"name":"cache"', text)
        finally:
            REDIS.start()
        self.until(lambda: not self.stats().get("degraded"))
        self.assertNotIn("degraded", SUITE.probe("cache", "/readyz")[2])
        metrics = SUITE.probe("cache", "/metrics")[2]
        reconnects = re.search(r'^slipstream_redis_reconnects_total{client="slipstream-cache"} (\d+)',
                               metrics, re.MULTILINE)
        self.assertGreater(int(reconnects[1]), 0)


if __name__ == "__main__":
    main()
