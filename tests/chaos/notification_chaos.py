#!/usr/bin/env python3
"""The ledgers of many notification readers while edges, notification servers and Redis are killed,
ended and stopped: each reader's numbers are contiguous and without a double, or it was told so.

Two notification servers on one Redis (AOF), two edges, and ledger_load: readers by WebSocket and SSE,
and publishers that repeat each event until it is acknowledged. Faults strike from a seed, which is
printed. Exits with 1 on any violation. The full form:

    tests/chaos/notification_chaos.py --readers 2000 --messages 200000
"""

import argparse
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

if not sys.executable.startswith("/usr/bin/"):
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

from notification_faults import FLUSH_AT, ROUND, NotificationFaults
from notification_processes import LedgerLoad, NotificationFleet

SERVERS, EDGES = 2, 2
READERS_PER_USER = 2
MESSAGES_PER_BROADCAST = 250
MESSAGES_PER_ROUND = 40_000
MIN_RECOVERED_PART = 0.9
CONNECT_S = 60
SETTLE_S = 90
# A calm while before the flush: an append that a server still holds would come twice without it.
CALM_S = 4


class Run:
    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.violations: list[str] = []

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.2f}] {text}", flush=True)

    def late(self) -> bool:
        return time.monotonic() > self.began + self.options.timeout_s

    def goes_on(self, fleet: NotificationFleet, load: LedgerLoad) -> bool:
        load.take()
        self.violations += fleet.ended_by_themselves()
        return not self.violations and not load.violations and not self.late()

    def flush(self, fleet: NotificationFleet, load: LedgerLoad) -> None:
        """Everything is gone from Redis while nothing is being published."""
        load.order("pause")
        if not load.wait_for("paused", 30):
            self.violations.append("publishing did not come to rest")
            return
        time.sleep(CALM_S)
        # Told first: a reader that hears of it before would be taken for one that was not recovered.
        load.order("flushed")
        self.say("FLUSHALL")
        fleet.redis.ask("flushall")
        load.order("resume")
        load.order("limit 1")

    def chaos(self, fleet: NotificationFleet, load: LedgerLoad) -> NotificationFaults:
        options = self.options
        faults = NotificationFaults(fleet, options.rounds, options.seed, self.say)
        if not load.wait_for("ready", CONNECT_S):
            self.violations.append(f"after {CONNECT_S} s not all readers are subscribed")
            return faults
        self.say(f"{options.readers} readers are there")
        load.order("go")
        told_at, flushed = time.monotonic(), False
        while self.goes_on(fleet, load):
            part = load.progress.get("published", 0) / options.messages
            if part >= faults.due_at():
                # Not further than to the next one, so that there is work around each.
                load.order(f"limit {faults.due_at(1) if faults.left() > 1 else FLUSH_AT + 0.005}")
                faults.strike()
            elif part >= FLUSH_AT and not flushed and faults.due_at() > 1:
                flushed = True
                self.flush(fleet, load)
            elif part >= 1:
                break
            if time.monotonic() > told_at + 10:
                told_at = time.monotonic()
                self.say(f"{load.progress}")
            time.sleep(0.02)
        load.order("settle")
        load.wait_for("report", SETTLE_S)
        return faults

    def judge(self, load: LedgerLoad) -> None:
        self.violations += load.violations
        report = load.report
        if self.late():
            self.violations.append(f"not over after {self.options.timeout_s} s")
        if report is None:
            self.violations.append("there is no report")
            return
        resumes = report["reconnects_with_cursor"]
        part = report["recovered_part"] = round(report["recovered"] / max(1, resumes), 4)
        if report["published"] != self.options.messages:
            self.violations.append(f"{report['published']} messages were published")
        if report["violations"] > len(load.violations):
            self.violations.append(f"{report['violations']} in all")
        if resumes == 0:
            self.violations.append("no reader ever came back: nothing was tried")
        elif part < MIN_RECOVERED_PART:
            self.violations.append(f"only {part:.3f} of the reconnects were recovered")

    def run(self) -> int:
        options = self.options
        self.say(f"seed {options.seed}: {options.readers} readers, {options.messages} messages, "
                 f"{options.rounds * sum(ROUND.values())} faults and a flush")
        with NotificationFleet(SERVERS, EDGES, options.keep) as fleet:
            fleet.start()
            users = [f"user{i}" for i in range(max(1, options.readers // READERS_PER_USER))]
            load = fleet.start_load(users, readers=options.readers, messages=options.messages,
                                    broadcasts=options.messages // MESSAGES_PER_BROADCAST,
                                    rate=options.rate, busy_part=options.busy_part,
                                    seed=options.seed)
            faults = self.chaos(fleet, load)
            self.judge(load)
        print(json.dumps({"seed": options.seed, "readers": options.readers,
                          "faults": faults.struck, **(load.report or {}),
                          "seconds": round(time.monotonic() - self.began, 1)}, indent=1))
        for violation in self.violations[:20]:
            print(f"VIOLATION {violation}")
        if self.violations:
            print(f"{len(self.violations)} violations; again with --seed {options.seed}")
            return 1
        report = load.report
        print(f"{report['recovered']} of {report['reconnects_with_cursor']} reconnects were recovered, "
              f"{report['missed_at_most_50_recovered']} of {report['missed_at_most_50']} of those who "
              "had missed at most 50 messages")
        print(f"{options.messages} messages, {report['received']} receipts, no violation")
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=1500, help="messages a second, at most")
    parser.add_argument("--busy-part", type=float, default=0.5,
                        help="of the messages, for a tenth of the users")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--rounds", type=int, help=f"of {sum(ROUND.values())} faults; one for "
                                                   f"{MESSAGES_PER_ROUND} messages")
    parser.add_argument("--timeout-s", type=float, default=600)
    parser.add_argument("--keep", action="store_true", help="leave the run's folder there")
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = max(1, options.messages // MESSAGES_PER_ROUND)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended
    sys.exit(Run(options).run())


if __name__ == "__main__":
    main()
