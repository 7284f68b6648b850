#!/usr/bin/env python3
"""The cache's coherence under kill -9, SIGSTOP, cut and hung links, lost hints and restarts of Redis:
no read finds a value whose invalidation had been acknowledged before the read began.

Three cache servers on one Redis, each by a link that can be cut, and many clients. Faults strike
from a seed, which is printed. Exits with 1 on any violation. The full form:

    tests/chaos/cache_chaos.py --operations 1000000
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

if not sys.executable.startswith("/usr/bin/"):
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

from cache_faults import ROUND, CacheFaults
from cache_processes import CacheFleet

SERVERS = 3
MIN_L1_PART = 0.6
STUCK_S = 60


class Run:
    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.violations: list[str] = []

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.2f}] {text}", flush=True)

    def chaos(self, fleet: CacheFleet) -> tuple[dict, CacheFaults]:
        options = self.options
        checker = fleet.start_checker(seed=options.seed, threads=options.threads,
                                      groups=options.groups)
        faults = CacheFaults(fleet, options.seed, options.rounds, self.say,
                             lambda is_fault: checker.order("fault" if is_fault else "calm"))
        moved_at, moved, told_at = time.monotonic(), 0, time.monotonic()
        until = self.began + options.timeout_s
        while not faults.over or checker.figures.get("operations", 0) < options.operations:
            for end in fleet.ended_by_themselves():
                self.violations.append(end)
            now = time.monotonic()
            checker.take()
            done = checker.figures.get("operations", 0)
            if done > moved:
                moved, moved_at = done, now
            if now > moved_at + STUCK_S:
                self.violations.append(f"nothing has moved for {STUCK_S} s: {done} operations")
                break
            if now > until:
                self.violations.append(f"not over after {options.timeout_s} s: {done} operations")
                break
            if self.violations or (checker.violations and options.first):
                break
            if now > told_at + 10:
                told_at = now
                self.say(f"{done} operations, {len(checker.violations)} violations")
            faults.step()
            time.sleep(0.02)
        for process in [*fleet.servers, fleet.redis]:
            if process.stopped:
                process.go_on()
        if checker.process.poll() is None:
            checker.finish(60)
        self.violations += checker.violations
        return checker.figures, faults

    def judge(self, figures: dict) -> dict:
        calm = figures.get("reads_outside_faults", 0)
        part = figures.get("l1_hits_outside_faults", 0) / max(1, calm)
        if part < MIN_L1_PART and not self.violations:
            self.violations.append(
                f"only {part:.3f} of the reads outside fault windows were L1 hits: too little of "
                "what is checked is coherence")
        if figures.get("slow_fills_refused", 0) == 0 and not self.violations:
            self.violations.append("no slow fill was refused: the run has not tried them")
        return {**figures, "l1_hit_part_outside_faults": round(part, 3)}

    def run(self) -> int:
        options = self.options
        self.say(f"seed {options.seed}: {options.operations} operations, "
                 f"{options.rounds * sum(ROUND.values())} faults")
        with CacheFleet(SERVERS, options.keep) as fleet:
            fleet.start()
            figures, faults = self.chaos(fleet)
        print(json.dumps({"seed": options.seed, **self.judge(figures), "faults": faults.struck,
                          "seconds": round(time.monotonic() - self.began, 1)}, indent=1))
        for violation in self.violations[:20]:
            print(f"VIOLATION {violation}")
        if self.violations:
            print(f"{figures.get('violations', 0)} violations; again with --seed {options.seed}")
            return 1
        print(f"{figures['operations']} operations, no violation")
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--rounds", type=int,
                        help=f"of {sum(ROUND.values())} faults; one for 300,000 operations")
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--timeout-s", type=float, default=1500)
    parser.add_argument("--first", action="store_true", help="stop at the first violation")
    parser.add_argument("--keep", action="store_true", help="leave the run's folder there")
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = max(1, options.operations // 300_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended
    sys.exit(Run(options).run())


if __name__ == "__main__":
    main()
