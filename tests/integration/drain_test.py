"""SIGTERM while a task runs that fits into the grace period: the task is finished first."""

import json
import signal
import unittest

from shared_suite import SharedSuite, long_document, main, wait_for

GRACE_S = 20
SETTINGS = {"rpc": [f"drain_grace_ms: {GRACE_S * 1000}"], "worker": ["drain_ms: 15000"],
            "edge": ["sse_heartbeat_ms: 1000"]}


def lines(suite, name: str, message: str) -> list[dict]:
    """The log lines of a process with this message."""
    parsed = [json.loads(line) for line in suite.log(name).read_text().splitlines()]
    return [line for line in parsed if line["message"] == message]


class DrainChecks:
    """`ended` gets the SIGTERM; the attempt is logged by the process `worker`."""

    ended = worker = "standalone"
    split = False

    def setUp(self):
        self.shared = SharedSuite(split=self.split, settings=SETTINGS)
        self.shared.start()
        self.addCleanup(self.shared.stop)

    def test_a_running_task_is_finished(self):
        suite, alice = self.shared.suite, self.shared.client()
        # Some tenths of a second of work: surely running when the signal comes, over in time.
        task = alice.submit("generate_pdf", {"markdown": long_document(40)})
        wait_for(alice, task["task_id"], lambda t: t["status"] == "RUNNING")
        process = suite.processes[self.ended]
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(GRACE_S + 5), 0, suite.log_end(self.ended))
        self.shared.ended_by_test.add(self.ended)
        attempts = [line for line in lines(suite, self.worker, "attempt ended")
                    if line["task_id"] == task["task_id"]]
        self.assertEqual([line["status"] for line in attempts], ["OK"], attempts)
        last = lines(suite, self.ended, "ended; tasks in memory are lost")
        self.assertEqual([(line["running"], line["pending"], line["events"]) for line in last],
                         [(0, 0, 0)], "the result or its event did not get through")


class StandaloneTest(DrainChecks, unittest.TestCase):
    pass


class TaskQueueTest(DrainChecks, unittest.TestCase):
    ended, worker, split = "task_queue", "worker", True


if __name__ == "__main__":
    main()
