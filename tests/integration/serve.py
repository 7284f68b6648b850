"""A suite for tests in other languages: starts it, prints its facts as one JSON line, and stops it
when standard input ends. The last line tells the exit codes.

  serve.py [--split] [--settings JSON] [--users NAME...]

Meanwhile it takes commands, one a line, and answers each with a JSON line:
  restart NAME         ends the process by SIGTERM and starts it again; {"exit_code"} of the old one
  token USER SECONDS   {"token"} that expires then
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from shared_suite import Suite


def obey(suite: Suite, command: str, *arguments: str) -> dict:
    if command == "token":
        user, seconds = arguments
        return {"token": suite.token(user, exp=int(time.time() + float(seconds)))}
    if command == "restart":
        (name,) = arguments
        process = suite.processes[name]
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        suite.start_one(name)
        suite.wait_ready(name)
        return {"exit_code": code}
    raise ValueError(f"unknown command {command}")


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
            for line in sys.stdin:
                print(json.dumps(obey(suite, *line.split())), flush=True)
        finally:
            codes = suite.stop()
            print(json.dumps({"exit_codes": codes}), flush=True)


if __name__ == "__main__":
    main()
