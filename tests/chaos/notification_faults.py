"""The faults of notification_chaos.py. Which, in what order, to whom and for how long follows from the
seed alone; when follows from the work: fault i strikes when its part of the messages is published."""

import random
import signal
import time
from dataclasses import dataclass

from notification_processes import NotificationFleet

# In a round, by what is done and to whom. "kill" is -9, "end" SIGTERM, "stop" SIGSTOP for a while.
ROUND = {"kill edge": 3, "end edge": 2, "stop edge": 1, "kill notification": 3,
         "end notification": 2, "stop notification": 1, "kill edge+notification": 1,
         "kill redis": 1, "end redis": 1, "stop redis": 1}
SIGNALS = {"kill": signal.SIGKILL, "end": signal.SIGTERM}
AWAY_S = (0.05, 0.6)
# Some of the stops are longer than a reader (8 s) or a client of Redis waits.
STOPS_S = (0.5, 1.5, 3.0, 9.0)
# The flush is the last one, so that what is excused by it is little.
FLUSH_AT = 0.95


@dataclass
class Fault:
    kind: str
    edge: int
    server: int
    away_s: float
    stop_s: float


class NotificationFaults:
    """One at a time; `strike` returns when all processes are there again."""

    def __init__(self, fleet: NotificationFleet, rounds: int, seed: int, say):
        self.fleet, self.say = fleet, say
        rng = random.Random(seed)
        kinds = [kind for _ in range(rounds) for kind, count in ROUND.items() for _ in range(count)]
        rng.shuffle(kinds)
        self.plan = [Fault(kind, rng.randrange(len(fleet.edges)), rng.randrange(len(fleet.servers)),
                           rng.uniform(*AWAY_S), rng.choice(STOPS_S)) for kind in kinds]
        self.count = len(self.plan)
        self.next = 0
        self.struck = {kind: 0 for kind in ROUND}

    def left(self) -> int:
        return self.count - self.next

    def due_at(self, ahead: int = 0) -> float:
        """The part of the messages that the next fault waits for, or one further ahead; above 1:
        there is none."""
        at = self.next + ahead
        return (at + 0.5) / self.count * FLUSH_AT if at < self.count else 2.0

    def strike(self) -> None:
        fault = self.plan[self.next]
        self.next += 1
        how, whom = fault.kind.split(" ")
        one = {"edge": self.fleet.edges[fault.edge],
               "notification": self.fleet.servers[fault.server], "redis": self.fleet.redis}
        victims = [one[name] for name in whom.split("+")]
        names = " and ".join(victim.name for victim in victims)
        self.struck[fault.kind] += 1
        if how == "stop":
            self.say(f"SIGSTOP {names} for {fault.stop_s} s")
            for victim in victims:
                victim.stop()
            time.sleep(fault.stop_s)
            for victim in victims:
                victim.go_on()
            return
        if fault.kind == "kill redis":
            # Only what is in the file before it is answered survives a kill -9.
            self.fleet.redis.ask("config", "set", "appendfsync", "always")
            time.sleep(0.5)
        self.say(f"{'kill -9' if how == 'kill' else 'SIGTERM'} {names}, {fault.away_s:.2f} s")
        for victim in victims:
            victim.end(SIGNALS[how])
        time.sleep(fault.away_s)
        for victim in victims:
            victim.start()
        for victim in victims:
            victim.wait_ready()
