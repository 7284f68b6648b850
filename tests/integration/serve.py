"""A suite for tests in other languages: starts it, prints its facts as one JSON line, and stops it
when standard input ends. The last line tells the exit codes.

  serve.py [--split] [--settings JSON] [--users NAME...]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from shared_suite import Suite


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--users", nargs="*", default=["alice"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slip-test-") as folder:
        suite = Suite(Path(folder), split=options.split, settings=options.settings)
        try:
            suite.start()
            tokens = {user: suite.token(user) for user in options.users}
            print(json.dumps({"base": suite.base, "grpc": suite.grpc, "http": suite.http,
                              "tokens": tokens, "admin": suite.token("root", ["user", "admin"])}),
                  flush=True)
            sys.stdin.read()
        finally:
            codes = suite.stop()
            print(json.dumps({"exit_codes": codes}), flush=True)


if __name__ == "__main__":
    main()
