"""A task queue server that stands still (SIGSTOP, as by a full disk or a debugger) costs its workers
two heartbeat intervals, not as long as it lasts: what a worker runs goes on in the same attempt, and
new tasks reach it by way of another server."""

import os
import random
import sys
import time
import unittest
from pathlib import Path

if not sys.executable.startswith("/usr/bin/"):  # Debian's python has grpc
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

import chaos_clients
import grpc
from chaos_processes import QueueFleet

# How long the server stands still; all has to have happened before it goes on.
HUNG_S = 12
RUN_MS = 3000


class HungServer(unittest.TestCase):
    def submit(self, number: int, ms: int, at: int) -> str:
        request = chaos_clients.pb.SubmitTaskRequest(task_type="chaos")
        request.args.update({"data": chaos_clients.data_of(1, number), "ms": ms})
        end = time.monotonic() + 10
        while True:
            try:
                return self.caller.call("SubmitTask", request, at=at).task_id
            except grpc.RpcError as error:
                # The server has not heard of the type yet; it asks once a second at most.
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def wait(self, what: str, until: float, ready) -> None:
        while not ready():
            self.assertLess(time.monotonic(), until, what + "\n" + self.worker.log_end())
            time.sleep(0.02)

    def starts(self, task_id: str) -> int:
        events = self.worker.events(1)
        return events.read_text().count(f"S {task_id} ") if events.exists() else 0

    def status(self, task_id: str) -> str:
        request = chaos_clients.pb.GetTaskRequest(task_id=task_id)
        return chaos_clients.status_name(self.caller.call("GetTask", request, at=1))

    def test_its_worker_goes_on_at_another(self):
        with QueueFleet(servers=2, workers=1, slots=4, keep=False) as fleet:
            chaos_clients.load_stubs(fleet.folder)
            fleet.start()
            hung, self.worker = fleet.servers[0], fleet.workers[0]
            self.caller = chaos_clients.Caller([server.address for server in fleet.servers],
                                               fleet.token("ann", "user"), random.Random(1))
            self.addCleanup(self.caller.close)
            self.worker.start()  # at the first server
            running = self.submit(1, RUN_MS, at=0)
            self.wait("not started", time.monotonic() + 30, lambda: self.starts(running) == 1)

            hung.stop()
            until = time.monotonic() + HUNG_S
            waiting = self.submit(2, 1, at=1)
            self.wait("a new task does not reach the worker", until,
                      lambda: self.status(waiting) == "SUCCEEDED")
            self.wait("what ran is not handed in", until,
                      lambda: self.status(running) == "SUCCEEDED")
            took_s = HUNG_S - (until - time.monotonic())
            hung.go_on()
            self.assertEqual(self.starts(running), 1, "the worker kept its lease")
            # Back again, it takes nothing away: its own memory of the lease is old.
            last = self.submit(3, 1, at=0)
            self.wait("not even afterwards", time.monotonic() + 30,
                      lambda: self.status(last) == "SUCCEEDED")
            sys.stderr.write(f"all done {took_s:.1f} s after the server had stopped\n")


if __name__ == "__main__":
    unittest.main()
