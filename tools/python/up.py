"""Starts a suite on this machine, runs the demo job on it, and stays up (see tools/up)."""

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import demo
from client import ApiError, Client
from postgres_cluster import Cluster
from suite import ROOT, Suite, SuiteError

DEFAULT_PROMPT = ROOT / "services/worker/testdata/prompts/session_tokens.txt"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/up", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the demo job, 0 or an error")
    parser.add_argument("--prompt", type=Path, default=DEFAULT_PROMPT, metavar="FILE",
                        help="prompt of the demo job")
    parser.add_argument("--port", type=int, default=8080, help="of the edge (default: 8080)")
    parser.add_argument("--split", action="store_true", help="each service its own process")
    parser.add_argument("--redis", default="", metavar="URL", help="Redis that holds the tasks, what is cached and the notifications (its maxmemory-policy: noeviction)")
    parser.add_argument("--postgres", default="", metavar="URL|auto",
                        help="database of the database optimizer; auto starts one of its own, that is "
                             "gone at the end")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.prompt.is_file():
        parser.error(f"--prompt {options.prompt}: no such file")
    return options


def _environment(options) -> dict[str, str]:
    """URLs carry passwords: they travel by environment and are never written to a file."""
    values = {}
    if options.redis:
        values["SLIPSTREAM_TASK_QUEUE_REDIS_URL"] = options.redis
        # The cache keeps to half of Redis's memory, so that the tasks always have the other.
        values["SLIPSTREAM_CACHE_REDIS_URL"] = options.redis
        values["SLIPSTREAM_NOTIFICATION_REDIS_URL"] = options.redis
    if options.postgres and options.postgres != "auto":
        values["SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL"] = options.postgres
    return values


def main() -> None:
    options = _options()
    if options.check:
        return
    folder = Path(os.environ.get("SLIP_RUN_DIR", ROOT / ".run"))
    # With another port than the default all others are free ones, so that two suites fit a machine.
    suite = Suite(folder, split=options.split, edge_port=options.port,
                  free_ports=options.port != 8080, environment=_environment(options))
    # A signal ends the suite wherever the script stands, the demo job included.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    done = False
    try:
        with contextlib.ExitStack() as stack:
            if options.postgres == "auto":
                cluster = stack.enter_context(Cluster(durable=True))
                suite.environment["SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL"] = cluster.url
                print(f"up: PostgreSQL of its own at {cluster.url}", flush=True)
            stack.enter_context(suite)
            what = f"{len(suite.processes)} processes" if options.split else "one process"
            print(f"up: the suite runs as {what}; logs in {folder}/logs", flush=True)
            owner = Client(suite.base, suite.token("alice"))
            demo.run(owner, Client(suite.base, suite.token("bob")), options.prompt, folder / "out")
            if options.once:
                print("\nup: the main job is done", flush=True)
                return
            done = True
            print(f"\nDashboard:  {suite.base}/dashboard\n"
                  f"Token (alice, 12 h):  {suite.token('alice', lifetime_s=43200)}\n"
                  "Another one:  tools/slipctl token --user NAME [--admin]\n"
                  "Ctrl-C ends the suite.", flush=True)
            while True:
                time.sleep(1)
                for name, process in suite.processes.items():
                    if process.poll() is not None:
                        raise SuiteError(f"{name} ended with {process.returncode}:\n"
                                         f"{suite.log_end(name)}")
    except KeyboardInterrupt:
        # After the demo this is how the suite is ended; before its end the job was not done.
        sys.exit(130 if not done else 0)
    except (SuiteError, demo.DemoError, ApiError, OSError) as error:
        sys.exit(f"up: {error}")


if __name__ == "__main__":
    main()
