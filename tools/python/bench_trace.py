"""The benchmark cache-trace: eviction policies over recorded requests."""

import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_processes import BenchError, driver, environment_versions
from bench_report import Report
from suite import ROOT
from trace_chart import draw

FOLDER = ROOT.parent / "shared/data/cache-traces"
# file, format
TRACES = [("web07.trace.xz", "int32be"), ("orm-busy.trace.xz", "int32be"),
          ("loop.trace.gz", "text"), ("multi3.trace.gz", "text"), ("sprite.trace.gz", "text"),
          ("P3.lis.zst", "arc")]
FORMATS = ["int32be", "uint32be", "int64be", "text", "arc"]
SIZES = 8
# In entries: of 2,000,000 requests for some 100,000 keys.
SYNTHETIC_SIZES = "15000,40000,120000"
PEERS = ["lru", "sieve", "s3fifo", "wtinylfu", "wtinylfu-1"]
# ours-16: in 16 shards, as a store of 256 MiB is.
POLICIES = ["ours", "ours-16", *PEERS, "optimum"]
TOLERANCE_POINTS = 0.5
TIMEOUT_S = 3600
READERS = {".xz": ["xz", "-dc"], ".gz": ["gzip", "-dc"], ".zst": ["zstd", "-dcq"]}


def _synthetic(name: str, capacity: int | None) -> dict:
    """One trace that is made, at all sizes."""
    sizes = f"{capacity}," if capacity else SYNTHETIC_SIZES
    command = [str(driver("cache_trace") / "cache_trace"), f"synthetic:{name}", sizes, *POLICIES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise BenchError(f"{name}: {done.stderr.strip()}")
    return {"trace": name, "format": "synthetic", **json.loads(done.stdout)}


def _synthetic_names() -> list[str]:
    command = [str(driver("cache_trace") / "cache_trace"), "--synthetic"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _replay(path: Path, form: str, capacity: int | None) -> dict:
    """One recorded trace at all sizes, as the simulator prints it."""
    sizes = f"{capacity}," if capacity else str(SIZES)
    command = [str(driver("cache_trace") / "cache_trace"), form, sizes, *POLICIES]
    reader = None
    try:
        if path.suffix in READERS:
            reader = subprocess.Popen([*READERS[path.suffix], str(path)], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
            done = subprocess.run(command, stdin=reader.stdout, capture_output=True, text=True,
                                  timeout=TIMEOUT_S)
            reader.stdout.close()
            error = reader.stderr.read().decode().strip()
            if reader.wait() != 0:
                raise BenchError(f"{path}: {error}")
        else:
            with open(path, "rb") as file:
                done = subprocess.run(command, stdin=file, capture_output=True, text=True,
                                      timeout=TIMEOUT_S)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None
    finally:
        if reader is not None and reader.poll() is None:
            reader.kill()
            reader.wait()
    if done.returncode != 0:
        raise BenchError(f"{path}: {done.stderr.strip()}")
    return {"trace": path.name, "format": form, **json.loads(done.stdout)}


def _traces(options) -> list[tuple[Path, str]]:
    if options.trace:
        if options.trace_format not in FORMATS:
            raise BenchError(f"--format says what is in the trace: {', '.join(FORMATS)}")
        return [(Path(options.trace), options.trace_format)]
    if options.capacity:
        raise BenchError("--capacity goes with --trace or --synthetic")
    if not FOLDER.is_dir():
        print("cache-trace: SKIPPED, there is no folder ../shared/data/cache-traces beside the "
              "checkout; --trace FILE --format F takes another")
        raise SystemExit(0)
    return [(FOLDER / name, form) for name, form in TRACES]


def cache_trace(options) -> Report:
    """Hit ratios of the cache's eviction policy and its peers over requests, recorded or made."""
    with ThreadPoolExecutor(2) as pool:
        if options.synthetic:
            results = list(pool.map(lambda name: _synthetic(name, options.capacity),
                                    _synthetic_names()))
        else:
            results = list(pool.map(lambda one: _replay(*one, options.capacity),
                                    _traces(options)))
    report = Report("cache-trace", runs=1)
    behind = []
    for result in results:
        for size in result["sizes"]:
            hits = size["hit_percent"]
            best = max(PEERS, key=lambda name: hits[name])
            name = f"{result['trace']} @ {size['capacity']}: {best}"
            report.compare(name, hits["ours"], hits[best], "% hits")
            size["points_to_best"] = round(hits["ours"] - hits[best], 2)
            size["points_to_best_16_shards"] = round(hits["ours-16"] - hits[best], 2)
            behind.append((size["points_to_best"], name))
    if options.chart:
        chart = Path(options.chart)
    else:
        with tempfile.NamedTemporaryFile(prefix="cache-trace-", suffix=".svg",
                                         delete=False) as file:
            chart = Path(file.name)
    draw(results, POLICIES, chart)
    missed = sorted(one for one in behind if one[0] < -TOLERANCE_POINTS)
    report.figures = {
        "versions": environment_versions(),
        "settings": {"weights": "1 each, capacity in entries", "sizes":
                     str(options.capacity) if options.capacity else
                     SYNTHETIC_SIZES if options.synthetic else
                     f"{SIZES} on a logarithmic scale from 0.1 % (at least 4) to 50 % of the keys",
                     "peers": "S3-FIFO, SIEVE: their authors' figures; W-TinyLFU: Caffeine's, "
                              "wtinylfu with the adaptive window, wtinylfu-1 with 1 %",
                     "ours": "the class that the service links, with the shadows of a store of "
                             "256 MiB; ours-16 in 16 shards as there"},
        "bar": f"within {TOLERANCE_POINTS} points of the best peer",
        "within_bar": f"{len(behind) - len(missed)} of {len(behind)}",
        "missed": [f"{name}: {points:+.2f}" for points, name in missed],
        "mean_points_to_best": round(sum(points for points, _ in behind) / len(behind), 3),
        "chart": str(chart),
        "raw_runs": [{"traces": results}],
    }
    return report


def serve(name: str, _options) -> None:
    raise BenchError(f"{name} has no server")


def trace_table(report: Report) -> str:
    """The hit ratios in percent, a line per trace and size."""
    lines = []
    for result in report.figures["raw_runs"][0]["traces"]:
        lines.append(f"{result['trace']}: {result['requests']:,} requests, {result['keys']:,} keys")
        lines.append(f"{'entries':>10} " + " ".join(f"{name:>10}" for name in POLICIES)
                     + f" {'to best':>8} {'16 sh.':>7}")
        for size in result["sizes"]:
            hits = size["hit_percent"]
            lines.append(f"{size['capacity']:>10,} "
                         + " ".join(f"{hits[name]:>10.2f}" for name in POLICIES)
                         + f" {size['points_to_best']:>+8.2f}"
                         + f" {size['points_to_best_16_shards']:>+7.2f}")
        lines.append("")
    for key in ("bar", "within_bar", "missed", "mean_points_to_best", "chart"):
        lines.append(f"{key}: {report.figures[key]}")
    return "\n".join(lines)


BENCHES = {"cache-trace": cache_trace}
