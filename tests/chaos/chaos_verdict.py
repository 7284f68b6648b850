"""What must hold after queue_chaos.py has run, from what is left of it: the queue's answers, the
effect ledger and the workers' event logs."""

import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field

from chaos_clients import checksum, data_of, status_name
from chaos_faults import Kill
from chaos_processes import QueueFleet

MAX_SHOWN = 5
SESSIONS_END_S = 15


@dataclass
class Verdict:
    violations: list[str] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def violation(self, kind: str, text: str) -> None:
        """A few of each kind are enough to look for the cause."""
        self.shown[kind] += 1
        if self.shown[kind] <= MAX_SHOWN:
            self.violations.append(f"{kind}: {text}")

    def totals(self) -> str:
        return ", ".join(f"{count} x {kind}" for kind, count in self.shown.items())


def percentile(sorted_values: list[float], part: float) -> float:
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(part * len(sorted_values)))]


def figures(values: list[float]) -> dict:
    ordered = sorted(values)
    return {"count": len(ordered), "p50": round(percentile(ordered, 0.5), 3),
            "p99": round(percentile(ordered, 0.99), 3),
            "max": round(ordered[-1], 3) if ordered else 0.0}


def check_tasks(verdict: Verdict, acknowledged: dict[str, int], found: dict, seed: int) -> None:
    """Every acknowledged task has succeeded, with what its own arguments give."""
    for task_id, number in acknowledged.items():
        task = found.get(task_id)
        if task is None:
            verdict.violation("lost", f"{task_id} (task {number}) is not there")
            continue
        if status_name(task) != "SUCCEEDED":
            verdict.violation("not succeeded", f"{task_id} is {status_name(task)} after "
                              f"{task.attempt} attempts: {task.error.reason} {task.error.message}")
            continue
        if task.result.fields["checksum"].string_value != checksum(data_of(seed, number)):
            verdict.violation("wrong result", f"{task_id} (task {number}): {task.result}")


def check_effects(verdict: Verdict, acknowledged: dict[str, int], found: dict, seed: int,
                  entries: list[list[str]]) -> dict:
    accepted: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    refused = 0
    for answer, task_id, epoch, check, worker in entries:
        if answer == "A":
            accepted[task_id].append((int(epoch), check, worker))
        else:
            refused += 1
    again = 0
    for task_id, effects in accepted.items():
        epochs = [epoch for epoch, _, _ in effects]
        again += len(epochs) - 1
        if task_id not in acknowledged:
            verdict.violation("unknown effect", f"{task_id} was run and never acknowledged: a "
                              "submit was counted twice")
            continue
        # The ledger refuses falling epochs; the same one twice means two holders of one lease.
        if any(after <= before for before, after in zip(epochs, epochs[1:])):
            verdict.violation("epoch used twice", f"{task_id}: {effects}")
        expected = checksum(data_of(seed, acknowledged[task_id]))
        if any(check != expected for _, check, _ in effects):
            verdict.violation("wrong effect", f"{task_id}: {effects}")
        task = found.get(task_id)
        if task is None or status_name(task) != "SUCCEEDED":
            continue
        stored = int(task.result.fields["epoch"].string_value or 0)
        if stored != epochs[-1]:
            verdict.violation("stale result", f"{task_id}: the queue took the result of epoch "
                              f"{stored}, effects accepted: {effects}")
    for task_id in acknowledged:
        if task_id not in accepted:
            verdict.violation("no effect", f"{task_id} is not in the ledger")
    return {"effects_accepted": sum(map(len, accepted.values())), "effects_of_a_later_attempt": again,
            "effects_refused_as_stale": refused}


def read_starts(fleet: QueueFleet) -> dict[str, list[tuple[int, int, str]]]:
    """Starts of each task: when (ns), epoch, worker's life."""
    starts = defaultdict(list)
    for worker in fleet.workers:
        for life in range(1, worker.life + 1):
            path = worker.events(life)
            if not path.exists():
                continue
            for line in path.read_text().splitlines():
                parts = line.split(" ")
                if len(parts) == 4 and parts[0] == "S":
                    starts[parts[1]].append((int(parts[3]), int(parts[2]), f"{worker.name}.{life}"))
    for one in starts.values():
        one.sort()
    return starts


def check_starts(verdict: Verdict, starts: dict, kills: list[Kill],
                 away_ns: list[tuple[int, int]], max_p99_s: float) -> dict:
    killed = {kill.worker: kill.at_ns for kill in kills}
    taken_up, without_outage = [], []
    slowest: dict[str, float] = defaultdict(float)
    for task_id, runs in starts.items():
        epochs = defaultdict(set)
        for _, epoch, worker in runs:
            epochs[epoch].add(worker)
        for epoch, workers in epochs.items():
            if len(workers) > 1:
                verdict.violation("lease given twice", f"{task_id}, epoch {epoch}: {workers}")
        for (_, _, worker), (again_ns, _, _) in zip(runs, runs[1:]):
            at_ns = killed.get(worker)
            if at_ns is None or again_ns < at_ns:
                continue
            # Nothing can be taken up while Redis is not there.
            away = sum(max(0, min(end, again_ns) - max(begin, at_ns)) for begin, end in away_ns)
            taken_up.append((again_ns - at_ns) / 1e9)
            without_outage.append((again_ns - at_ns - away) / 1e9)
            slowest[worker] = max(slowest[worker], without_outage[-1])
    result = {"run_again_after_kill_s": figures(taken_up),
              "run_again_less_redis_away_s": figures(without_outage),
              "slowest_to_run_again_s": {
                  worker: round(seconds, 3) for worker, seconds in
                  sorted(slowest.items(), key=lambda one: -one[1])[:MAX_SHOWN]}}
    if result["run_again_less_redis_away_s"]["p99"] > max_p99_s:
        verdict.violation("slow takeover", f"{result}, allowed {max_p99_s} s")
    return result


def permits_taken(fleet: QueueFleet) -> int:
    return sum(int(value) for value in fleet.redis.ask("hvals", "slipstream{0}:pt").split())


def check_redis(verdict: Verdict, fleet: QueueFleet, tasks: int, cancelled: int) -> dict:
    """The counters in Redis agree with what happened, and no session is left holding anything."""
    redis = fleet.redis
    words = redis.ask("hgetall", "slipstream{0}:n").split("\n")
    counters = {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}
    expected = {"total": tasks + cancelled, "s4": tasks, "s6": cancelled}
    for name, value in sorted(counters.items()):
        if value != expected.get(name, 0):
            verdict.violation("counter", f"{name} is {value}, should be {expected.get(name, 0)}")
    held = redis.ask("--scan", "--pattern", "slipstream{0}:h:*").split()
    if held:
        verdict.violation("left over", f"sessions still hold tasks: {held}")
    for pattern, what in (("c:*", "held concurrency keys"), ("cq:*", "tasks parked for a key"),
                          ("d:*", "dependents"), ("fl", "ended tasks to tell of")):
        keys = redis.ask("--scan", "--pattern", "slipstream{0}:" + pattern).split()
        if keys:
            verdict.violation("left over", f"{what}: {keys[:MAX_SHOWN]}")
    # Known: a permit that a killed server, or one without Redis, could not give back stays with its
    # session for as long as that lives.
    leaked = permits_taken(fleet)
    for worker in fleet.workers:
        worker.end(signal.SIGKILL)
    deadline = time.monotonic() + SESSIONS_END_S
    while permits_taken(fleet) and time.monotonic() < deadline:
        time.sleep(0.1)
    if permits_taken(fleet):
        verdict.violation("left over", "permits of sessions that have ended")
    lanes = redis.ask("--scan", "--pattern", "slipstream{0}:l:*").split()
    return {"counters": {name: value for name, value in counters.items() if value},
            "lanes_left": len(lanes), "permits_leaked_by_live_sessions": leaked}
