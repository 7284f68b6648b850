"""The short form of index_chaos.py: each kind of fault strikes once."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 300


class IndexChaos(unittest.TestCase):
    def test_nothing_is_left_and_nobody_waits_for_us(self):
        done = subprocess.run(
            ["/usr/bin/python3", HERE / "index_chaos.py", "--cycles", "8", "--seed", "5"],
            timeout=TIMEOUT_S, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ})
        self.assertEqual(done.returncode, 0, done.stdout)
        sys.stderr.write(done.stdout.splitlines()[0] + "\n")


if __name__ == "__main__":
    unittest.main()
