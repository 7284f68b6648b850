"""The faults of cache_chaos.py. Which, in what order, to whom and for how long follows from the seed.
One strikes after the other, with calm between them; a fault's window is from its start until all of
it is over and the nodes have had the time to join again."""

import random
import signal
import time
from dataclasses import dataclass, field

from cache_processes import CacheFleet

REJOIN_S = 1.5
# Calm between two windows, so that L1s are warm again.
CALM_S = (1.0, 3.0)

# How often each strikes in one round of the plan.
ROUND = {"server_kill": 3, "server_stop": 3, "redis_stop": 1, "redis_kill": 1, "redis_restart": 1,
         "link_cut": 2, "link_hang": 2, "hints_lost": 3, "flush": 1, "two_at_once": 2}


@dataclass(order=True)
class Due:
    at: float
    order: int
    run: object = field(compare=False)


class CacheFaults:
    """`say` logs a line; `window(bool)` tells when a window begins and ends."""

    def __init__(self, fleet: CacheFleet, seed: int, rounds: int, say, window):
        self.fleet, self.say, self.window = fleet, say, window
        self.rng = random.Random(seed)
        self.plan = []
        for _ in range(rounds):
            kinds = [kind for kind, count in ROUND.items() for _ in range(count)]
            self.rng.shuffle(kinds)
            self.plan += kinds
        self.struck = {kind: 0 for kind in ROUND}
        self.next = 0
        self.timers: list[Due] = []
        self.orders = 0
        self.in_window = False
        self.until = time.monotonic() + 2  # of the calm, then of the window

    @property
    def over(self) -> bool:
        return self.next == len(self.plan) and not self.in_window

    def step(self) -> None:
        now = time.monotonic()
        for due in sorted(due for due in self.timers if due.at <= now):
            self.timers.remove(due)
            due.run()
        if now < self.until or self.timers:
            return
        if self.in_window:
            self.in_window = False
            self.window(False)
            self.until = time.monotonic() + self.rng.uniform(*CALM_S)
        elif self.next < len(self.plan):
            kind = self.plan[self.next]
            self.next += 1
            self.in_window = True
            self.window(True)
            getattr(self, "_" + kind)()
            self.struck[kind] += 1
            self._rest()

    def _after(self, seconds: float, run) -> None:
        self.orders += 1
        self.timers.append(Due(time.monotonic() + seconds, self.orders, run))

    def _rest(self) -> None:
        """The window lasts until all that is due has run, and then for the nodes to join."""
        end = max([due.at for due in self.timers], default=time.monotonic())
        self.until = end + REJOIN_S

    # -- one each ---------------------------------------------------------------------------------

    def _server_kill(self) -> None:
        server = self.rng.choice(self.fleet.servers)
        if not server.runs():
            return
        self.say(f"kill -9 {server.name}")
        server.end(signal.SIGKILL)

        def back():
            server.start()
            server.wait_ready()
            self._rest()
        self._after(self.rng.uniform(0.05, 1.5), back)

    def _server_stop(self) -> None:
        """Shorter and longer than the lease of a second."""
        server = self.rng.choice(self.fleet.servers)
        if not server.runs():
            return
        seconds = self.rng.uniform(0.3, 3.0)
        self.say(f"SIGSTOP {server.name} for {seconds:.1f} s")
        server.stop()
        self._after(seconds, server.go_on)

    def _redis_stop(self) -> None:
        seconds = self.rng.uniform(0.3, 3.0)
        self.say(f"SIGSTOP Redis for {seconds:.1f} s")
        self.fleet.redis.stop()
        self._after(seconds, self.fleet.redis.go_on)

    def _redis_kill(self) -> None:
        """What was written in the last second may be gone."""
        self._end_redis(signal.SIGKILL, "kill -9 Redis (appendfsync everysec)")

    def _redis_restart(self) -> None:
        self._end_redis(signal.SIGTERM, "SIGTERM to Redis")

    def _end_redis(self, how: int, what: str) -> None:
        redis = self.fleet.redis
        if not redis.runs():
            return
        self.say(what)
        redis.end(how)

        def back():
            redis.start()
            redis.wait_ready()
            self._rest()
        self._after(self.rng.uniform(0.05, 2.0), back)

    def _link(self, order: str, seconds: float) -> None:
        link = self.rng.choice(self.fleet.links)
        self.say(f"{link.name}: {order} for {seconds:.1f} s")
        link.order(order)
        self._after(seconds, lambda: link.order("flow"))

    def _link_cut(self) -> None:
        self._link("cut", self.rng.uniform(0.05, 3.0))

    def _link_hang(self) -> None:
        self._link("hang", self.rng.uniform(0.2, 3.0))

    def _hints_lost(self) -> None:
        self._link(f"lose {self.rng.choice([0.3, 0.7, 1.0])}", self.rng.uniform(1.0, 4.0))

    def _flush(self) -> None:
        self.say("FLUSHALL")
        self.fleet.redis.ask("flushall")

    def _two_at_once(self) -> None:
        for kind in self.rng.sample([one for one in ROUND if one != "two_at_once"], 2):
            getattr(self, "_" + kind)()
