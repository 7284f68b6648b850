"""The faults of queue_chaos.py. Which, in what order and to whom follows from the seed; when follows
from the work: fault i strikes when its part of the tasks is done, so that there is always work
around it."""

import random
import signal
import time
from dataclasses import dataclass, field

from chaos_processes import Process, QueueFleet

LEASE_S = 4.0
MIN_GAP_S = 0.4
# A fault whose part of the tasks does not get done strikes anyway: the faults must not depend on
# the queue's getting on.
MAX_GAP_S = 8.0


@dataclass
class Counts:
    worker_kills: int
    server_kills: int
    worker_stops: int
    server_stops: int
    redis_terms: int
    redis_kills: int


@dataclass
class Kill:
    """A worker's life that was ended, and until when its tasks must run again."""
    worker: str
    at_ns: int


@dataclass(order=True)
class Due:
    at: float
    order: int
    run: object = field(compare=False)


class Faults:
    def __init__(self, fleet: QueueFleet, counts: Counts, seed: int, say):
        self.fleet, self.say = fleet, say
        self.rng = random.Random(seed)
        kinds = [name for name, count in vars(counts).items() for _ in range(count)]
        self.rng.shuffle(kinds)
        self.plan = [((i + 0.5) / len(kinds) * 0.94 + 0.01, kind) for i, kind in enumerate(kinds)]
        self.next = 0
        self.timers: list[Due] = []
        self.orders = 0
        self.last = time.monotonic()
        self.redis_busy = False
        self.struck: dict[str, int] = {name: 0 for name in vars(counts)}
        self.kills: list[Kill] = []
        self.away_ns: list[tuple[int, int]] = []  # Redis

    @property
    def over(self) -> bool:
        return self.next == len(self.plan) and not self.timers

    def next_part(self) -> float:
        """Up to which part of the tasks the next fault leaves the run alone."""
        return self.plan[self.next][0] if self.next < len(self.plan) else 1.0

    def step(self, done_part: float) -> None:
        now = time.monotonic()
        for due in sorted(due for due in self.timers if due.at <= now):
            self.timers.remove(due)
            due.run()
        if self.next == len(self.plan) or now < self.last + MIN_GAP_S:
            return
        part, kind = self.plan[self.next]
        if done_part < part and now < self.last + MAX_GAP_S:
            return
        if getattr(self, "_" + kind)():
            self.next += 1
            self.struck[kind] += 1
            self.last = now

    def _after(self, seconds: float, run) -> None:
        self.orders += 1
        self.timers.append(Due(time.monotonic() + seconds, self.orders, run))

    def _victim(self, processes: list, at_least: int) -> Process | None:
        """One that runs, unless fewer than `at_least` others would be left."""
        running = [process for process in processes if process.runs()]
        return self.rng.choice(running) if len(running) > at_least else None

    def _kill(self, victim: Process) -> None:
        victim.end(signal.SIGKILL)
        self._after(self.rng.uniform(0.05, 0.6), victim.start)

    def _stop(self, victim: Process) -> None:
        seconds = LEASE_S + self.rng.uniform(0.5, 3.0)
        self.say(f"SIGSTOP {victim.name} for {seconds:.1f} s")
        victim.stop()

        def go_on():
            self.say(f"SIGCONT {victim.name}")
            victim.go_on()
        self._after(seconds, go_on)

    def _worker_kills(self) -> bool:
        victim = self._victim(self.fleet.workers, 2)
        if victim is None:
            return False
        self.say(f"kill -9 {victim.life_name}")
        at_ns = time.monotonic_ns()
        self.kills.append(Kill(victim.life_name, at_ns))
        self._kill(victim)
        return True

    def _server_kills(self) -> bool:
        victim = self._victim(self.fleet.servers, 1)
        if victim is None:
            return False
        self.say(f"kill -9 {victim.name}")
        self._kill(victim)
        return True

    def _worker_stops(self) -> bool:
        victim = self._victim(self.fleet.workers, 3)
        if victim is not None:
            self._stop(victim)
        return victim is not None

    def _server_stops(self) -> bool:
        victim = self._victim(self.fleet.servers, 2)
        if victim is not None:
            self._stop(victim)
        return victim is not None

    def _redis_terms(self) -> bool:
        if self.redis_busy:
            return False
        self._end_redis(signal.SIGTERM, "SIGTERM to Redis (appendfsync everysec)")
        return True

    def _redis_kills(self) -> bool:
        """Only what is appended and flushed before it is answered survives a kill -9."""
        if self.redis_busy:
            return False
        self.redis_busy = True
        redis = self.fleet.redis
        if redis.ask("config", "set", "appendfsync", "always") != "OK":
            raise RuntimeError("appendfsync could not be set")
        self._after(1.0, lambda: self._end_redis(signal.SIGKILL,
                                                 "kill -9 Redis (appendfsync always)"))
        return True

    def _end_redis(self, how: int, what: str) -> None:
        self.redis_busy = True
        away = time.monotonic_ns()
        self.say(what)
        redis = self.fleet.redis
        redis.end(how)

        def back():
            redis.start()
            redis.wait_ready()
            self.away_ns.append((away, time.monotonic_ns()))
            self.redis_busy = False
            self.say(f"Redis is back after {(self.away_ns[-1][1] - away) / 1e9:.1f} s")
        self._after(self.rng.uniform(0.05, 1.0), back)
