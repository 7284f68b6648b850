#!/usr/bin/env python3
"""The ledgers of many notification readers under kill -9 and SIGTERM of edges, notification servers
and Redis: each reader's numbers are contiguous and without a double, or it was told so.

Two notification servers on one Redis (AOF), two edges, half of the readers by WebSocket and half by
SSE. Numbered events are published to each user until they are acknowledged. Faults strike from a
seed, which is printed. Exits with 1 on any violation. The full form:

    tests/chaos/notification_chaos.py --readers 2000 --messages 200000
"""

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import sys
import threading
import time
from pathlib import Path

if not sys.executable.startswith("/usr/bin/"):
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

import grpc

from chaos_clients import make_stubs
from notification_processes import NotificationFleet
from notification_readers import KEPT, SseReader, Tally, WebSocketReader

SERVERS, EDGES = 2, 2
READERS_PER_USER = 2
PUBLISHERS = 4
BATCH = 64
MIN_RECOVERED_PART = 0.9
SETTLE_S = 60
# By kind of fault, how many in a round; a round is for 20,000 messages.
ROUND = {"kill edge": 2, "end edge": 1, "kill notification": 2, "end notification": 1,
         "kill redis": 1}


class Publisher(threading.Thread):
    """Publishes each of its users' numbers in order, each until it is acknowledged."""

    def __init__(self, users: list[str], counts: dict[str, int], run, seed: str):
        super().__init__(daemon=True)
        self.users, self.counts, self.run_ = users, counts, run
        self.rng = random.Random(seed)
        self.sent = 0
        self.repeated = 0

    def run(self) -> None:
        next_number = {user: 1 for user in self.users}
        while not self.run_.stop.is_set():
            left = [user for user in self.users if next_number[user] <= self.counts[user]]
            if not left:
                return
            # Not all at once, so that readers fall behind by different numbers.
            users = self.rng.sample(left, min(BATCH, len(left)))
            self.insist([(user, next_number[user]) for user in users])
            for user in users:
                next_number[user] += 1
            self.sent += len(users)
            time.sleep(self.run_.pause_s(len(users)))

    def insist(self, batch: list[tuple[str, int]]) -> None:
        pb, stubs = self.run_.pb, self.run_.stubs
        request = pb.PublishManyRequest()
        for user, number in batch:
            event = request.events.add(channel=f"user:{user}", type="task_completed",
                                       task_id=f"{user}-{number}", idempotency_key=f"{user}:{number}")
            event.payload["number"] = number
        while not self.run_.stop.is_set():
            try:
                self.rng.choice(stubs).PublishMany(request, timeout=3,
                                                   metadata=self.run_.metadata)
                return
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.INVALID_ARGUMENT,
                                    grpc.StatusCode.PERMISSION_DENIED,
                                    grpc.StatusCode.UNAUTHENTICATED):
                    self.run_.violations.append(f"a publish was refused: {error.details()}")
                    return
                self.repeated += 1
                time.sleep(self.rng.uniform(0.02, 0.2))


class Faults:
    """One at a time; each process is started again after a moment."""

    def __init__(self, fleet: NotificationFleet, rounds: int, rng: random.Random, say):
        self.fleet, self.rng, self.say = fleet, rng, say
        self.plan = [kind for _ in range(rounds) for kind, count in ROUND.items()
                     for _ in range(count)]
        rng.shuffle(self.plan)
        self.count = len(self.plan)
        self.struck = {kind: 0 for kind in ROUND}

    def strike(self) -> None:
        kind = self.plan.pop()
        how, what = kind.split(" ")
        process = {"edge": self.rng.choice(self.fleet.edges),
                   "notification": self.rng.choice(self.fleet.servers),
                   "redis": self.fleet.redis}[what]
        self.struck[kind] += 1
        self.say(f"{kind} ({process.name})")
        process.end(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        time.sleep(self.rng.uniform(0.05, 0.6))
        process.start()
        process.wait_ready()


class Run:
    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.violations: list[str] = []
        self.stop = threading.Event()
        self.tally = Tally()
        self.readers = []

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.2f}] {text}", flush=True)

    def pause_s(self, count: int) -> float:
        return count * PUBLISHERS / self.options.rate

    def make_readers(self, fleet: NotificationFleet) -> dict[str, int]:
        options = self.options
        users = [f"user{i}" for i in range(max(1, options.readers // READERS_PER_USER))]
        edges = [edge.address for edge in fleet.edges]
        tokens = {user: fleet.token(user, "user") for user in users}
        for i in range(options.readers):
            user = users[i % len(users)]
            kind = WebSocketReader if i % 4 < 2 else SseReader
            self.readers.append(kind(f"{kind.__name__} {i} of {user}", user, tokens[user], edges,
                                     self.tally, f"{options.seed}/{i}"))
        each, more = divmod(options.messages, len(users))
        return {user: each + (i < more) for i, user in enumerate(users)}

    def load_stubs(self, fleet: NotificationFleet) -> None:
        make_stubs(fleet.folder, "notification")
        from slipstream.notification.v1 import notification_pb2, notification_pb2_grpc
        self.pb = notification_pb2
        self.metadata = [("authorization", "Bearer " + fleet.token("publisher", "service"))]
        settings = [("grpc.max_reconnect_backoff_ms", 300), ("grpc.initial_reconnect_backoff_ms", 50)]
        self.stubs = [notification_pb2_grpc.NotificationServiceStub(
            grpc.insecure_channel(server.address, settings)) for server in fleet.servers]

    async def until(self, condition, timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                self.violations.append(f"after {timeout_s:.0f} s still not: {what}")
                return
            await asyncio.sleep(0.05)

    async def chaos(self, fleet: NotificationFleet) -> dict:
        options = self.options
        counts = self.make_readers(fleet)
        tasks = [asyncio.create_task(reader.run()) for reader in self.readers]
        await self.until(lambda: all(reader.started for reader in self.readers), 120,
                         "all readers are subscribed")
        self.say(f"{len(self.readers)} readers of {len(counts)} users are there")
        users = list(counts)
        publishers = [Publisher(users[i::PUBLISHERS], counts, self, f"{options.seed}/p{i}")
                      for i in range(PUBLISHERS)]
        faults = Faults(fleet, options.rounds, random.Random(options.seed), self.say)
        for publisher in publishers:
            publisher.start()
        loop, told_at = asyncio.get_running_loop(), time.monotonic()
        while any(publisher.is_alive() for publisher in publishers) or faults.plan:
            self.violations += fleet.ended_by_themselves()
            if self.violations or self.tally.violations:
                break
            if time.monotonic() > self.began + options.timeout_s:
                self.violations.append(f"not over after {options.timeout_s} s")
                break
            sent = sum(publisher.sent for publisher in publishers)
            due = sent * faults.count >= options.messages * (faults.count - len(faults.plan) + 0.5)
            if faults.plan and (due or sent == options.messages):
                await loop.run_in_executor(None, faults.strike)
            if time.monotonic() > told_at + 10:
                told_at = time.monotonic()
                self.say(f"{sent} published, {self.tally.events} received")
            await asyncio.sleep(0.02)
        if not self.violations and not self.tally.violations:
            await self.until(lambda: all(reader.last == counts[reader.user]
                                         for reader in self.readers) or self.tally.violations,
                             SETTLE_S, "every reader has its user's last event")
        self.stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for reader in self.readers:
            if reader.last != counts[reader.user] and not self.tally.violations:
                self.violations.append(
                    f"{reader.name}: has {reader.last} of {counts[reader.user]}")
        return {"faults": faults.struck,
                "published": sum(publisher.sent for publisher in publishers),
                "publishes_repeated": sum(publisher.repeated for publisher in publishers)}

    def judge(self, figures: dict) -> dict:
        tally = self.tally
        self.violations += tally.violations
        part = tally.recovered / max(1, tally.resumes)
        if part < MIN_RECOVERED_PART and not self.violations:
            self.violations.append(f"only {part:.3f} of the reconnects were recovered")
        if tally.resumes == 0 and not self.violations:
            self.violations.append("no reader ever came back: nothing was tried")
        return {**figures, "received": tally.events, "connects": tally.connects,
                "reconnects_with_cursor": tally.resumes, "recovered": tally.recovered,
                "recovered_part": round(part, 4),
                f"missed_at_most_{KEPT}": tally.recoverable}

    def run(self) -> int:
        options = self.options
        self.say(f"seed {options.seed}: {options.readers} readers, {options.messages} messages, "
                 f"{options.rounds * sum(ROUND.values())} faults")
        with NotificationFleet(SERVERS, EDGES, options.keep) as fleet:
            fleet.start()
            self.load_stubs(fleet)
            figures = asyncio.run(self.chaos(fleet))
        print(json.dumps({"seed": options.seed, **self.judge(figures),
                          "seconds": round(time.monotonic() - self.began, 1)}, indent=1))
        for violation in self.violations[:20]:
            print(f"VIOLATION {violation}")
        if self.violations:
            print(f"{len(self.violations)} violations; again with --seed {options.seed}")
            return 1
        print(f"{options.messages} messages, {self.tally.events} receipts, no violation")
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=1500, help="messages a second, at most")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--rounds", type=int,
                        help=f"of {sum(ROUND.values())} faults; one for 20,000 messages")
    parser.add_argument("--timeout-s", type=float, default=1500)
    parser.add_argument("--keep", action="store_true", help="leave the run's folder there")
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = max(1, options.messages // 20_000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended
    sys.exit(Run(options).run())


if __name__ == "__main__":
    main()
