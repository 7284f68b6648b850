"""The short form of queue_chaos.py: each kind of fault strikes once or a few times."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT_S = 240
# With few faults one that strikes a worker and then its server decides the p99 alone: a seed in which
# they are apart. The full form takes any.
SHORT = ["--seed", "1700485334", "--tasks", "3000", "--cancels", "50", "--worker-kills", "4",
         "--server-kills", "2", "--worker-stops", "1", "--server-stops", "1", "--redis-terms", "1",
         "--redis-kills", "1"]


class QueueChaos(unittest.TestCase):
    def test_nothing_lost_and_nothing_done_by_a_stale_worker(self):
        done = subprocess.run(
            ["/usr/bin/python3", HERE / "queue_chaos.py", *SHORT], timeout=TIMEOUT_S, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tools/python")})
        self.assertEqual(done.returncode, 0, done.stdout)
        sys.stderr.write(done.stdout.splitlines()[0] + "\n")


if __name__ == "__main__":
    unittest.main()
