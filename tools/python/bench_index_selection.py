"""The benchmark of the advisor's search: how close to the best set of indexes, and how soon."""

import json
import subprocess
from pathlib import Path

from bench_processes import BenchError, driver, environment_versions
from bench_queue import Options
from bench_report import Report, median, rounded, spread
from suite import ROOT

MATRIX = ROOT.parent / "shared/data/index-selection/tpch_what_if.txt"
# Of MATRIX: percent of the cost without an index that an exact solver reaches, by GB.
EXACT_PERCENT = {1.0: 95.5, 2.0: 81.3, 3.5: 76.0, 5.0: 72.1, 10.0: 67.6}
TIMEOUT_S = 300
UNIT = "% of the cost without an index"


def _solve(matrix: Path, budgets_gb: list[float]) -> list[dict]:
    budgets = [str(round(gb * 1e9)) for gb in budgets_gb]
    done = subprocess.run([driver("index_selection"), matrix, *budgets], capture_output=True,
                          text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise BenchError(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def index_selection(options: Options) -> Report:
    """Indexes chosen for a what-if matrix, against the exact optimum and greedy by ratio."""
    runs = options.runs or 3
    report = Report("index-selection", runs=runs)
    matrix = Path(options.matrix).absolute() if options.matrix else MATRIX
    if not matrix.is_file():
        if options.matrix:
            raise BenchError(f"there is no matrix {matrix}")
        report.runs = 0
        report.figures["skipped"] = ("shared/data/index-selection is not there; --matrix FILE takes "
                                     "another")
        return report
    budgets = [options.budget_gb] if options.budget_gb is not None else list(EXACT_PERCENT)
    raw = [_solve(matrix, budgets) for _ in range(runs)]
    solved = dict(zip(budgets, raw[0]))
    for gb, one in solved.items():
        if not options.matrix and gb in EXACT_PERCENT:
            report.compare(f"exact optimum at {gb:g} GB", one["percent"], EXACT_PERCENT[gb], UNIT,
                           more_is_better=False)
    for gb, one in solved.items():
        report.compare(f"greedy by ratio at {gb:g} GB", one["percent"], one["greedy_percent"], UNIT,
                       more_is_better=False)
    seconds = {gb: median([run[at]["seconds"] for run in raw]) for at, gb in enumerate(budgets)}
    report.spread = spread([sum(one["seconds"] for one in run) for run in raw])

    def by_budget(values: dict):
        return values[budgets[0]] if len(budgets) == 1 else {f"{gb:g}": v for gb, v in values.items()}

    report.figures = {
        "percent": by_budget({gb: round(one["percent"], 4) for gb, one in solved.items()}),
        "percent_bound": by_budget({gb: round(one["percent_bound"], 4)
                                    for gb, one in solved.items()}),
        "proved": by_budget({gb: one["proved"] for gb, one in solved.items()}),
        "seconds": by_budget({gb: rounded(value) for gb, value in seconds.items()}),
        "bar": {"exact optimum": "within 1 point", "seconds": 1},
        "versions": environment_versions(),
        "settings": {"matrix": matrix.name, "budgets_gb": budgets, "gb": "10^9 bytes",
                     "search": "the advisor's own limits; each budget by itself"},
        "raw_runs": raw,
    }
    return report


def serve(name: str, options: Options) -> None:
    """There is nothing to serve."""
    raise BenchError(f"{name} has no server; run it with --matrix FILE --budget_gb X")


BENCHES = {"index-selection": index_selection}
