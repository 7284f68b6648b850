"""Starts a suite on this machine, runs the demo job on it, and stays up (see tools/up)."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import demo
from client import ApiError, Client
from suite import ROOT, Suite, SuiteError

DEFAULT_PROMPT = ROOT / "services/worker/testdata/prompts/session_tokens.txt"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/up", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the demo job, 0 or an error")
    parser.add_argument("--prompt", type=Path, default=DEFAULT_PROMPT, metavar="FILE",
                        help="prompt of the demo job")
    parser.add_argument("--port", type=int, default=8080, help="of the edge (default: 8080)")
    parser.add_argument("--split", action="store_true", help="each service its own process")
    parser.add_argument("--redis", default="", metavar="URL", help="Redis of the cache's second tier")
    parser.add_argument("--postgres", default="", metavar="URL",
                        help="database of the database optimizer")
    options = parser.parse_args()
    if not options.prompt.is_file():
        parser.error(f"--prompt {options.prompt}: no such file")
    return options


def _environment(options) -> dict[str, str]:
    """URLs carry passwords: they travel by environment and are never written to a file."""
    values = {}
    if options.redis:
        values["SLIPSTREAM_CACHE_REDIS_URL"] = options.redis
    if options.postgres:
        values["SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL"] = options.postgres
    return values


def main() -> None:
    options = _options()
    folder = Path(os.environ.get("SLIP_RUN_DIR", ROOT / ".run"))
    # The other ports follow the edge's, so that two suites on one machine need only --port.
    suite = Suite(folder, split=options.split, edge_port=options.port,
                  free_ports=options.port != 8080, environment=_environment(options))
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with suite:
            what = f"{len(suite.processes)} processes" if options.split else "one process"
            print(f"up: the suite runs as {what}; logs in {folder}/logs", flush=True)
            owner = Client(suite.base, suite.token("alice"))
            demo.run(owner, Client(suite.base, suite.token("bob")), options.prompt, folder / "out")
            if options.once:
                print("\nup: the main job is done", flush=True)
                return
            print(f"\nDashboard:  {suite.base}/dashboard\n"
                  f"Token (alice, 12 h):  {suite.token('alice', lifetime_s=43200)}\n"
                  "Another one:  tools/slipctl token --user NAME [--admin]\n"
                  "Ctrl-C ends the suite.", flush=True)
            while not stopped.wait(1):
                for name, process in suite.processes.items():
                    if process.poll() is not None:
                        raise SuiteError(f"{name} ended with {process.returncode}:\n"
                                         f"{suite.log_end(name)}")
    except (SuiteError, demo.DemoError, ApiError, OSError) as error:
        sys.exit(f"up: {error}")


if __name__ == "__main__":
    main()
