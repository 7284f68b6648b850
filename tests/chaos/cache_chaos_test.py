"""The short form of cache_chaos.py: each kind of fault strikes once or a few times; and how often the
origin is called when 1,000 callers miss one key at two servers at the same time."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tools/python"))
sys.path.insert(0, str(HERE))

from cache_processes import CacheFleet
from suite import binary

TIMEOUT_S = 400
SHORT = ["--operations", "60000", "--rounds", "1", "--groups", "25", "--seed", "7"]


class CacheChaos(unittest.TestCase):
    def test_no_old_value_after_its_invalidation_was_acknowledged(self):
        done = subprocess.run(
            ["/usr/bin/python3", HERE / "cache_chaos.py", *SHORT], timeout=TIMEOUT_S, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tools/python")})
        self.assertEqual(done.returncode, 0, done.stdout)
        sys.stderr.write(done.stdout.splitlines()[0] + "\n")


class SingleFlight(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fleet = CacheFleet(servers=2, keep=False)
        cls.addClassCleanup(cls.fleet.__exit__)
        cls.fleet.start()

    def fly(self, key: str, *flags: str) -> dict:
        done = subprocess.run(
            [binary("x").parent.parent.parent / "tests/chaos/cache_flight", "--key", key,
             "--address", ",".join(server.address for server in self.fleet.servers),
             "--token", self.fleet.token("pilot", "user"), *flags],
            timeout=60, text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_a_thousand_misses_call_the_origin_once(self):
        self.assertEqual(self.fly("once")["origin_calls"], 1)

    def test_the_death_of_the_holder_calls_it_once_more(self):
        self.assertEqual(self.fly("dies", "--holder_dies")["origin_calls"], 2)


if __name__ == "__main__":
    unittest.main()
