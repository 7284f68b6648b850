#!/usr/bin/env python3
"""The task queue under kill -9, SIGSTOP and restarts of Redis: nothing lost, nothing acted on twice
by a stale worker.

Three task queue servers on one Redis, six workers, four clients. Faults strike from a seed, which is
printed; the schedule is logged. Exits with 1 on any violation. The full form:

    tests/chaos/queue_chaos.py --tasks 100000
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

if not sys.executable.startswith("/usr/bin/"):  # Debian's python has grpc
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

import chaos_clients
import chaos_verdict
from chaos_faults import Counts, Faults
from chaos_processes import ChaosError, QueueFleet, Worker

SERVERS = 3
WORKERS = 6
SLOTS = 16
MAX_TAKEOVER_P99_S = 5.0
MAX_CANCEL_P99_S = 0.1
STUCK_S = 60
# How far the clients may be ahead of the next fault, and of the workers: a few times the slots.
AHEAD_PART = 0.02
AHEAD_COUNT = 300


class Run:
    def __init__(self, options):
        self.options = options
        self.seed = options.seed
        self.began = time.monotonic()
        self.until = self.began + options.timeout_s
        self.verdict = chaos_verdict.Verdict()
        self.figures: dict = {}

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.2f}] {text}", flush=True)

    def caller(self, fleet: QueueFleet, user: str, role: str = "user") -> chaos_clients.Caller:
        return chaos_clients.Caller([server.address for server in fleet.servers],
                                    fleet.token(user, role), random.Random(f"{self.seed}/{user}"))

    # -- how soon a cancel reaches its handler ---------------------------------------------------

    def measure_cancels(self, fleet: QueueFleet) -> None:
        """The worker is at the first server; cancels come in at that one and at the second."""
        worker = Worker("holder", fleet.folder, type="chaos_hold", slots=8,
                        address=fleet.servers[0].address,
                        token=fleet.token("chaos-worker", "service"))
        fleet.extra.append(worker)
        worker.start()
        caller = self.caller(fleet, "eve")
        pb = chaos_clients.pb
        events = worker.events(1)
        deadline = time.monotonic() + 20
        while not events.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        took: dict[int, list[float]] = {0: [], 1: []}
        with open(events, encoding="ascii") as lines:

            def wait_for(what: str, task_id: str) -> int:
                end = time.monotonic() + 20
                while time.monotonic() < end:
                    where = lines.tell()
                    line = lines.readline()
                    if not line.endswith("\n"):
                        lines.seek(where)
                        time.sleep(0.0005)
                    elif line.startswith(f"{what} {task_id} "):
                        return int(line.split(" ")[3])
                raise ChaosError(f"no {what} of {task_id} within 20 s\n{worker.log_end()}")

            for i in range(2 * self.options.cancels):
                at = i % 2
                # The type is known once the worker has announced it.
                request = pb.SubmitTaskRequest(task_type="chaos_hold", request_id=f"c-{self.seed}-{i}")
                task = self._submit_when_known(caller, request)
                wait_for("S", task.task_id)
                before_ns = time.monotonic_ns()
                caller.call("CancelTask", pb.CancelTaskRequest(task_id=task.task_id), at=at)
                took[at].append((wait_for("C", task.task_id) - before_ns) / 1e9)
        caller.close()
        worker.end(signal.SIGKILL)
        fleet.extra.remove(worker)
        self.cancelled = 2 * self.options.cancels
        for at, name in enumerate(["same_server", "other_server"]):
            result = chaos_verdict.figures(took[at])
            self.figures[f"cancel_to_handler_{name}_s"] = result
            if result["p99"] > MAX_CANCEL_P99_S:
                self.verdict.violation("slow cancel", f"{name}: {result}")

    def _submit_when_known(self, caller, request):
        end = time.monotonic() + 20
        while True:
            try:
                return caller.insist("SubmitTask", request, end)[0]
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    # -- the chaos --------------------------------------------------------------------------------

    def chaos(self, fleet: QueueFleet) -> dict[str, int]:
        options = self.options
        faults = Faults(fleet, Counts(options.worker_kills, options.server_kills,
                                      options.worker_stops, options.server_stops,
                                      options.redis_terms, options.redis_kills),
                        self.seed, self.say)
        for worker in fleet.workers:
            worker.start()
        self._wait_for_type(fleet)
        submitters = []
        progress = {"done": 0}

        def allowed() -> float:
            return min(faults.next_part() + AHEAD_PART,
                       (progress["done"] + AHEAD_COUNT) / options.tasks)

        users = chaos_clients.USERS
        for i, user in enumerate(users):
            numbers = range(options.tasks * i // len(users), options.tasks * (i + 1) // len(users))
            submitters.append(chaos_clients.Submitter(
                self.caller(fleet, user), user, self.seed, numbers,
                allowed, self.until))
        for submitter in submitters:
            submitter.start()
        done = moved_at_done = 0
        moved_at = told_at = time.monotonic()
        try:
            while done < options.tasks or not faults.over:
                for end in fleet.ended_by_themselves():
                    self.verdict.violation("ended by itself", end)
                failures = [one.failure for one in submitters if one.failure]
                if failures:
                    raise ChaosError(f"a client gave up: {failures}")
                now = time.monotonic()
                done, refused = fleet.ledger.counts()
                progress["done"] = done
                if done > moved_at_done:
                    moved_at_done, moved_at = done, now
                if now > moved_at + STUCK_S and done < options.tasks:
                    raise ChaosError(f"nothing has moved for {STUCK_S} s: {done} tasks have run")
                if now > self.until:
                    raise ChaosError(f"not over after {options.timeout_s} s: {done} tasks have run")
                if now > told_at + 10:
                    told_at = now
                    self.say(f"{done} tasks have run, {refused} effects were refused")
                faults.step(done / options.tasks)
                time.sleep(0.02)
        finally:
            for submitter in submitters:
                submitter.stopping = True
            for submitter in submitters:
                submitter.join(30)
            self.faults = faults
            self.submitters = submitters
            self.figures["faults"] = dict(faults.struck)
        self.figures["chaos_s"] = round(time.monotonic() - self.began, 1)
        self.figures["calls_sent_again"] = sum(one.repeated_calls for one in submitters)

    def _wait_for_type(self, fleet: QueueFleet) -> None:
        caller = self.caller(fleet, "eve")
        end = time.monotonic() + 30
        for at in range(SERVERS):
            while not any(one.name == "chaos" for one in caller.call(
                    "ListTaskTypes", chaos_clients.pb.ListTaskTypesRequest(), at=at).task_types):
                if time.monotonic() > end:
                    raise ChaosError("the servers do not know the workers' task type")
                time.sleep(0.1)
        caller.close()

    # -- the end ----------------------------------------------------------------------------------

    def read_back(self, fleet: QueueFleet) -> tuple[dict[str, int], dict]:
        """What was acknowledged, and how the queue has it once nothing is on its way any more."""
        acknowledged: dict[str, int] = {}
        found: dict = {}
        for submitter in self.submitters:
            acknowledged |= submitter.acknowledged
            end = min(self.until, time.monotonic() + 30)
            caller = submitter.caller
            left = list(submitter.acknowledged)
            while left:
                found |= chaos_clients.read_all(caller, left, end)
                left = [one for one in left if one in found and chaos_clients.status_name(found[one])
                        in ("PENDING", "RUNNING", "SCHEDULED")]
                if time.monotonic() > end:
                    break
                time.sleep(0.1 if left else 0)
            caller.close()
        return acknowledged, found

    def judge(self, fleet: QueueFleet) -> None:
        acknowledged, found = self.read_back(fleet)
        verdict = self.verdict
        if len(acknowledged) != self.options.tasks:
            verdict.violation("not acknowledged", f"{len(acknowledged)} of {self.options.tasks}")
        chaos_verdict.check_tasks(verdict, acknowledged, found, self.seed)
        self.figures |= {"acknowledged": len(acknowledged), "succeeded": sum(
            chaos_clients.status_name(task) == "SUCCEEDED" for task in found.values())}
        self.figures |= chaos_verdict.check_effects(verdict, acknowledged, found, self.seed,
                                                    fleet.ledger.dump())
        starts = chaos_verdict.read_starts(fleet)
        self.figures["starts"] = sum(map(len, starts.values()))
        self.figures |= chaos_verdict.check_starts(verdict, starts, self.faults.kills,
                                                   self.faults.away_ns, MAX_TAKEOVER_P99_S)
        self.figures |= chaos_verdict.check_redis(verdict, fleet, self.options.tasks, self.cancelled)
        for end in fleet.ended_by_themselves():
            verdict.violation("ended by itself", end)

    def run(self) -> int:
        self.say(f"seed {self.seed}: {self.options.tasks} tasks")
        with QueueFleet(SERVERS, WORKERS, SLOTS, self.options.keep) as fleet:
            chaos_clients.load_stubs(fleet.folder)
            fleet.start()
            try:
                self.measure_cancels(fleet)
                self.say(f"cancels: {self.figures}")
                self.chaos(fleet)
            except ChaosError as error:
                self.verdict.violation("run broken off", str(error))
            if hasattr(self, "submitters"):
                self.judge(fleet)
        print(json.dumps({"seed": self.seed, **self.figures}, indent=1))
        for violation in self.verdict.violations:
            print(f"VIOLATION {violation}")
        if self.verdict.violations:
            print(f"violations: {self.verdict.totals()}; again with --seed {self.seed}")
            return 1
        print(f"{self.options.tasks} tasks, no violation")
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    # Defaults in proportion to the tasks: the full form's at 100,000.
    for name, full in (("worker-kills", 60), ("server-kills", 24), ("worker-stops", 20),
                       ("server-stops", 10), ("redis-terms", 6), ("redis-kills", 6)):
        parser.add_argument(f"--{name}", type=int, help=f"{full} with 100,000 tasks")
        parser.set_defaults(**{f"full_{name.replace('-', '_')}": full})
    parser.add_argument("--cancels", type=int, default=200, help="cancels measured at each server")
    parser.add_argument("--timeout-s", type=float, default=900)
    parser.add_argument("--keep", action="store_true", help="leave the run's folder there")
    options = parser.parse_args()
    for name in ("worker_kills", "server_kills", "worker_stops", "server_stops", "redis_terms",
                 "redis_kills"):
        if getattr(options, name) is None:
            full = getattr(options, f"full_{name}")
            setattr(options, name, max(1, round(full * options.tasks / 100_000)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended
    sys.exit(Run(options).run())


if __name__ == "__main__":
    main()
