"""Indexes that the advisor finds and builds on a live database, against a set written by hand under the
same byte budget: measured time of every statement, by pg_stat_statements."""

import math
import shutil
import tempfile
import time
from pathlib import Path

import tpch_like
from bench_processes import BenchError, environment_versions
from bench_queue import Options
from bench_report import Report, rounded, spread
from client import Client
from postgres_cluster import Cluster
from suite import Suite

API = "/api/v1/performance/database"
SCALE = 0.1
SEED = 7
PATIENCE_S = 120
# A statement is worse when it is slower by more than this; microseconds are the clock's.
WORSE_SHARE, LEAST_WORSE_MS = 0.05, 0.05
# The two sets are measured in turn so often, since the machine's speed changes within minutes.
TURNS = 4
BAR = {"time, ours / by hand": 1.1, "worse statements": 0}


def _round(cluster: Cluster, statements: list[tuple[str, str]]) -> dict[str, float]:
    """Mean time of a run in ms, by template, of one run of the mix."""
    cluster.sql("CHECKPOINT; SELECT pg_stat_statements_reset()")
    names = {}
    cluster.sql("".join(f"/* {name} */ {sql};\n" for name, sql in statements))
    for query, calls, total in cluster.sql(
            "SELECT replace(left(query, 60), E'\\n', ' '), calls, total_exec_time FROM "
            "pg_stat_statements WHERE query LIKE '/* %'"):
        name = query.split("/* ", 1)[1].split(" */", 1)[0]
        was = names.get(name, (0, 0.0))
        names[name] = (was[0] + int(calls), was[1] + float(total))
    return {name: total / calls for name, (calls, total) in names.items()}


def _measure(cluster: Cluster, statements: list, runs: int) -> tuple[dict[str, float], list[float]]:
    """The least mean of each template over the runs, after one that warms up; and each run's sum."""
    _round(cluster, statements)
    rounds = [_round(cluster, statements) for _ in range(runs)]
    best = {name: min(one[name] for one in rounds) for name in rounds[0]}
    return best, [_sum(one, statements) for one in rounds]


def _sum(means: dict[str, float], statements: list) -> float:
    return sum(means[name] for name, _ in statements)


def _measure_built(cluster: Cluster, definitions: list[str], statements: list,
                   runs: int) -> tuple[dict[str, float], list[float]]:
    """The same with these indexes and no others beside the primary keys."""
    _drop_all(cluster)
    for definition in definitions:
        cluster.sql(definition)
    cluster.sql("VACUUM ANALYZE")
    return _measure(cluster, statements, runs)


def _least(turns: list[dict[str, float]]) -> dict[str, float]:
    return {name: min(turn[name] for turn in turns) for name in turns[0]}


def _built(cluster: Cluster) -> list[dict]:
    """Indexes beside those of primary keys."""
    return [{"index": name, "bytes": int(size), "definition": definition} for name, size, definition in
            cluster.sql("SELECT indexrelid::regclass, pg_relation_size(indexrelid), "
                        "pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = "
                        "i.indrelid WHERE NOT indisprimary AND c.relnamespace = 'public'::regnamespace "
                        "ORDER BY 1")]


def _drop_all(cluster: Cluster) -> None:
    for one in _built(cluster):
        cluster.sql(f"DROP INDEX {one['index']}")


def _apply(cluster: Cluster, suite: Suite, budget: int) -> dict:
    """What the advisor finds for the workload in pg_stat_statements, built by the service."""
    admin = Client(suite.base, suite.token("bench", ["admin"]), timeout_s=PATIENCE_S)
    started = time.monotonic()
    found = admin.post(f"{API}/optimize", {"storage_budget_bytes": str(budget), "apply": True})
    searched_s = time.monotonic() - started
    ids = [r["recommendation_id"] for r in found["recommendations"] if r["status"] == "APPLYING"]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        states = [admin.get(f"{API}/recommendations/{one}") for one in ids]
        if all(r["status"] in ("VERIFIED", "FAILED", "REVERTED") for r in states):
            break
        if time.monotonic() > deadline:
            raise BenchError(f"not all was applied: {[r['status'] for r in states]}")
        time.sleep(0.1)
    return {"search_s": rounded(searched_s), "recommendations": len(ids),
            "estimated": {"cost_before": found["cost_before"], "cost_after": found["cost_after"]},
            "states": sorted({r["status"] for r in states})}


def index_live(options: Options) -> Report:
    """A TPC-H-like database, its workload, and the time with the advisor's indexes and with those
    written by hand."""
    runs = options.runs or 3
    folder = Path(tempfile.mkdtemp(prefix="slip-index-live-"))
    statements = tpch_like.mix(SCALE, SEED)
    report = Report("index-live", runs=runs)
    cluster = Cluster({"shared_buffers": "512MB", "work_mem": "16MB", "maintenance_work_mem": "128MB",
                       "max_parallel_workers_per_gather": "0", "jit": "off", "autovacuum": "off",
                       "random_page_cost": "1.1", "effective_cache_size": "2GB",
                       "synchronous_commit": "off", "max_wal_size": "4GB"})
    try:
        with cluster:
            cluster.sql(tpch_like.load_sql(SCALE, SEED), timeout_s=600)
            nothing, nothing_runs = _measure(cluster, statements, runs)
            for place, target in enumerate(tpch_like.REFERENCE):
                cluster.sql(f"CREATE INDEX by_hand_{place} ON {target}")
            reference = _built(cluster)
            budget = sum(one["bytes"] for one in reference)
            _drop_all(cluster)
            _round(cluster, statements)  # the workload that the advisor reads
            with Suite(folder, settings={"database_optimizer": ["advisor { verify_ms: 100 min_gain_percent: 0 }"]},
                       environment={"SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL": cluster.url}) as suite:
                applied = _apply(cluster, suite, budget)
            built = _built(cluster)
            turns = {"by hand": [], "ours": []}
            for _ in range(TURNS):
                for name, indexes in (("by hand", reference), ("ours", built)):
                    turns[name].append(_measure_built(
                        cluster, [one["definition"] for one in indexes], statements, runs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    by_hand, ours = (_least([means for means, _ in turns[name]]) for name in ("by hand", "ours"))
    by_hand_runs, ours_runs = ([s for _, sums in turns[name] for s in sums]
                               for name in ("by hand", "ours"))
    report.spread = max(spread(one) for one in (nothing_runs, by_hand_runs, ours_runs))
    sums = {name: _sum(means, statements) for name, means in
            (("nothing", nothing), ("by hand", by_hand), ("ours", ours))}
    report.compare("by hand, same bytes (sum)", sums["ours"], sums["by hand"], "ms for the mix",
                   more_is_better=False)
    report.compare("no index (sum)", sums["ours"], sums["nothing"], "ms for the mix",
                   more_is_better=False)
    ratios = {name: ours[name] / by_hand[name] for name in ours}
    worse = {name: round(100 * (ours[name] / nothing[name] - 1), 1) for name in ours
             if ours[name] > nothing[name] * (1 + WORSE_SHARE)
             and ours[name] - nothing[name] > LEAST_WORSE_MS}
    geometric = math.exp(sum(math.log(ratio) for ratio in ratios.values()) / len(ratios))
    report.figures = {
        "ratio_to_by_hand": rounded(sums["ours"] / sums["by hand"]),
        "geometric_mean_to_by_hand": rounded(geometric),
        "worse_than_without_percent": worse,
        "budget_bytes": budget, "bytes": sum(one["bytes"] for one in built), "search": applied,
        "statements_ms": [{"statement": name, "nothing": rounded(nothing[name]),
                           "by_hand": rounded(by_hand[name]), "ours": rounded(ours[name])}
                          for name in sorted(ours)],
        "indexes": built, "reference_indexes": reference, "bar": BAR,
        "versions": environment_versions(),
        "settings": {"scale": SCALE, "seed": SEED, "statements": len(statements), "turns": TURNS,
                     **cluster.settings},
        "raw_runs": {"nothing": nothing_runs, "by_hand": by_hand_runs, "ours": ours_runs},
    }
    return report


def serve(name: str, options: Options) -> None:
    """There is nothing to serve."""
    raise BenchError(f"{name} has no server; run it without --serve")


BENCHES = {"index-live": index_live}
