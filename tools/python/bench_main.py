"""The command line of tools/bench."""

import argparse
import json
import signal
import sys

import bench_cache
import bench_index_live
import bench_index_selection
import bench_isolation
import bench_l1
import bench_notify
import bench_pool
import bench_queue
import bench_trace
from bench_processes import BenchError
from suite import SuiteError

DEFAULT_STORE = "redis"
# The module of each benchmark.
MODULES = {name: module for module in (bench_queue, bench_cache, bench_l1, bench_notify,
                                       bench_isolation, bench_trace, bench_index_selection,
                                       bench_index_live, bench_pool)
           for name in module.BENCHES}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="One benchmark, with its peer or limit in the same run.")
    parser.add_argument("name", nargs="?", choices=sorted(MODULES), metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--serve", action="store_true", help="start both sides and wait")
    parser.add_argument("--tasks", type=int, help="how many (queue-backlog, queue-fairness: how "
                                                  "many wait; notify-fanout: messages; "
                                                  "notify-idle: connections)")
    parser.add_argument("--runs", type=int, help="how often each side is measured")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each timed measurement")
    parser.add_argument("--store", choices=["redis", "memory"], default=DEFAULT_STORE)
    parser.add_argument("--server_config", default="", metavar="TEXTPROTO",
                        help="added to the server's configuration, to try settings")
    parser.add_argument("--matrix", default="", metavar="FILE",
                        help="index-selection: a what-if matrix of your own")
    parser.add_argument("--budget_gb", type=float, metavar="X",
                        help="index-selection: one budget, in 10^9 bytes")
    parser.add_argument("--trace", default="", metavar="FILE",
                        help="cache-trace: one of your own, also as .xz, .gz or .zst")
    parser.add_argument("--format", default="", choices=["", *bench_trace.FORMATS],
                        help="cache-trace: what is in it")
    parser.add_argument("--capacity", type=int, help="cache-trace: one size, in entries")
    parser.add_argument("--synthetic", action="store_true",
                        help="cache-trace: traces that are made, one property each")
    parser.add_argument("--chart", default="", metavar="FILE",
                        help="cache-trace: where the drawing goes (SVG)")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the logs")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.list and options.name is None:
        parser.error("which benchmark? --list names them")
    return options


def main() -> None:
    given = parse()
    if given.list:
        for name, module in MODULES.items():
            print(f"{name:<18} {' '.join(module.BENCHES[name].__doc__.split())}")
        return
    if given.check:
        return
    # So that the processes of a bench that is told to end are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = bench_queue.Options(tasks=given.tasks, runs=given.runs, store=given.store,
                                  seconds=given.seconds, keep=given.keep,
                                  server_config=given.server_config, matrix=given.matrix,
                                  budget_gb=given.budget_gb, trace=given.trace,
                                  trace_format=given.format, capacity=given.capacity,
                                  chart=given.chart, synthetic=given.synthetic)
    try:
        if given.serve:
            MODULES[given.name].serve(given.name, options)
            return
        report = MODULES[given.name].BENCHES[given.name](options)
    except (BenchError, SuiteError) as error:
        sys.exit(f"bench: {error}")
    if given.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print(bench_trace.trace_table(report) if given.name == "cache-trace"
              else report.as_table())


if __name__ == "__main__":
    main()
