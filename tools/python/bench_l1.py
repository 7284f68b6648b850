"""The benchmark cache-l1: the cache's first tier alone, in one process."""

import json
import subprocess

from bench_processes import BenchError, driver, environment_versions
from bench_queue import Options
from bench_report import Report, median, rounded, spread

TIMEOUT_S = 600
KEYS = 200_000
VALUE_BYTES = 200
THREADS = 2
WRITE_PERCENT = 2
ZIPF = 0.99
MEMORY_KEYS = 1_000_000
MEMORY_MAX_BYTES = 2 << 30


def _run(**flags) -> dict:
    done = subprocess.run([str(driver("cache_l1")), *(f"--{k}={v}" for k, v in flags.items())],
                          capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise BenchError(f"cache_l1: {done.stderr.strip()}")
    return json.loads(done.stdout)


def cache_l1(options: Options) -> Report:
    """The cache's first tier in one process, against an unbounded sharded hash map."""
    runs = options.runs or 5
    report = Report("cache-l1", runs=runs)
    load = {"threads": THREADS, "keys": KEYS, "value_bytes": VALUE_BYTES, "zipf": ZIPF,
            "write_percent": WRITE_PERCENT, "seconds": options.seconds}
    raw = [{"ours": _run(side="ours", **load), "map": _run(side="map", **load)}
           for _ in range(runs)]
    rates = {side: [run[side]["operations_per_second"] for run in raw] for side in ("ours", "map")}
    report.compare("sharded absl::flat_hash_map", median(rates["ours"]), median(rates["map"]),
                   "operations/s")
    report.spread = spread(rates["ours"])
    report.figures = {
        "versions": environment_versions(),
        "settings": {**load, "max_bytes": 256 << 20,
                     "ours": "MemoryCacheStore: expiry, tags, weights, statistics and eviction on",
                     "map": "64 shards with a mutex each, the same hash and values as shared_ptr; "
                            "no bound, no expiry, no eviction",
                     "allocator": "jemalloc on both sides"},
        "bar": {"sharded absl::flat_hash_map": 0.8},
        "map_spread": rounded(spread(rates["map"])),
        "ratio_of_each_pair": [rounded(a / b) for a, b in zip(rates["ours"], rates["map"])],
        "read_ns": {side: {p: median([run[side][f"read_{p}_ns"] for run in raw])
                           for p in ("p50", "p99", "p999")} for side in ("ours", "map")},
        "memory": _run(side="memory", keys=options.tasks or MEMORY_KEYS, value_bytes=VALUE_BYTES,
                       max_bytes=MEMORY_MAX_BYTES),
        "raw_runs": raw,
    }
    return report


def serve(name: str, _options: Options) -> None:
    raise BenchError(f"{name} has no server")


BENCHES = {"cache-l1": cache_l1}
