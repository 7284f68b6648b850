"""The main job on the standalone binary, and the binary's end while work is going on."""

import asyncio
import signal
import time
import unittest

from main_job_checks import MainJobChecks
from shared_suite import SharedSuite, long_document, main, wait_for

from client import websocket

DRAIN_GRACE_MS = 6000
SUITE = SharedSuite(settings={"rpc": [f"drain_grace_ms: {DRAIN_GRACE_MS}"],
                              "worker": ["drain_ms: 1000"],
                              "edge": ["sse_heartbeat_ms: 1000"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop


class MainJobTest(MainJobChecks, unittest.TestCase):
    shared = SUITE


class ZEndTest(unittest.TestCase):
    """Comes last: it ends the suite."""

    def test_sigterm_during_a_task_ends_within_the_grace_period(self):
        alice = SUITE.client()
        task = alice.submit("generate_pdf", {"markdown": long_document()})
        wait_for(alice, task["task_id"], lambda t: t["status"] == "RUNNING")
        process = SUITE.suite.processes["standalone"]

        async def follow_to_the_end():
            async with websocket(alice) as socket:
                await asyncio.wait_for(socket.recv(), 10)
                process.send_signal(signal.SIGTERM)
                async for _ in socket:
                    pass
                return socket.close_code, socket.close_reason

        started = time.monotonic()
        code, reason = asyncio.run(asyncio.wait_for(follow_to_the_end(), 30))
        self.assertEqual((code, reason.split()[0]), (1001, "reconnect"))
        self.assertEqual(process.wait(DRAIN_GRACE_MS / 1000 + 10), 0, SUITE.suite.log_end("standalone"))
        self.assertLess(time.monotonic() - started, DRAIN_GRACE_MS / 1000 + 4)
        SUITE.ended_by_test.add("standalone")


if __name__ == "__main__":
    main()
