"""The short form of notification_chaos.py: each kind of fault strikes once or twice."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT_S = 200
SHORT = ["--readers", "60", "--messages", "6000", "--rate", "250", "--busy-part", "0.2", "--rounds",
         "1", "--seed", "7"]


class NotificationChaos(unittest.TestCase):
    def test_every_ledger_is_contiguous_or_its_reader_was_told(self):
        done = subprocess.run(
            ["/usr/bin/python3", HERE / "notification_chaos.py", *SHORT], timeout=TIMEOUT_S,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tools/python")})
        self.assertEqual(done.returncode, 0, done.stdout)
        sys.stderr.write(done.stdout.splitlines()[0] + "\n")


if __name__ == "__main__":
    unittest.main()
