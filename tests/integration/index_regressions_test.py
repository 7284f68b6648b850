"""Ten indexes are applied while their tables are in use: five that do harm, planted from a seed, and five
that help. Each harmful one is taken back by what is measured, and none of the good ones is.

SLIP_SEED=N tries another seed."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

from client import ApiError, Client
from postgres_cluster import Cluster
from suite import Suite

API = "/api/v1/performance/database"
ROWS = 20_000
PATIENCE_S = 200
SEED = int(os.environ.get("SLIP_SEED", "1"))


def misleading(table: str, rng: random.Random) -> tuple[str, str, str]:
    """An order that the planner believes to be short: the group's rows are all at its end."""
    group = rng.randrange(7, 10)
    return (f"CREATE TABLE {table} AS SELECT i AS at, CASE WHEN i > {ROWS} - 2000 THEN {group} ELSE i % 7 "
            f"END AS grp, repeat('x', 100) AS pad FROM generate_series(1, {ROWS}) i; "
            f"CREATE INDEX {table}_grp ON {table} (grp)",
            f"SELECT pad FROM {table} WHERE grp = {group} ORDER BY at LIMIT 5",
            f"{table} (at)")


def lost_hot_updates(table: str, rng: random.Random) -> tuple[str, str, str]:
    """A counter that every update changes, on a table with many indexes: none is in its page any more."""
    columns = [f"c{i}" for i in range(rng.randrange(5, 8))]
    return (f"CREATE TABLE {table} (id int PRIMARY KEY, hits int DEFAULT 0, "
            + ", ".join(f"{c} int" for c in columns) + ") WITH (fillfactor = 40); "
            f"INSERT INTO {table} SELECT i, 0, " + ", ".join("i" for _ in columns)
            + f" FROM generate_series(1, {ROWS}) i; "
            + "; ".join(f"CREATE INDEX {table}_{c} ON {table} ({c})" for c in columns),
            f"\\set id random(1, {ROWS - 60})\n"
            f"UPDATE {table} SET hits = hits + 1 WHERE id BETWEEN :id AND :id + 50",
            f"{table} (hits)")


def dear_inserts(table: str, rng: random.Random) -> tuple[str, str, str]:
    """Long random keys for rows that are only ever written."""
    count = rng.randrange(150, 250)
    return (f"CREATE TABLE {table} AS SELECT md5(i::text) AS a, md5((-i)::text) AS b "
            f"FROM generate_series(1, {ROWS}) i",
            f"INSERT INTO {table} SELECT md5(random()::text), md5(random()::text) "
            f"FROM generate_series(1, {count})",
            f"{table} (a, b)")


def good(table: str, rng: random.Random) -> tuple[str, str, str]:
    column = rng.choice(["k", "v"])
    return (f"CREATE TABLE {table} AS SELECT i AS k, i * 7 % {ROWS} AS v, repeat('x', 80) AS pad "
            f"FROM generate_series(1, {ROWS}) i",
            f"\\set k random(1, {ROWS})\nSELECT pad FROM {table} WHERE {column} = :k",
            f"{table} ({column})")


class IndexRegressions(unittest.TestCase):
    def test_all_that_do_harm_are_taken_back_and_no_good_one(self):
        rng = random.Random(SEED)
        kinds = [misleading, lost_hot_updates, dear_inserts]
        planted = [rng.choice(kinds) for _ in range(2)] + kinds
        cases = {f"bad{i}": kind(f"bad{i}", rng) for i, kind in enumerate(planted)}
        cases |= {f"good{i}": good(f"good{i}", rng) for i in range(5)}
        folder = Path(tempfile.mkdtemp(prefix="slip-regressions-"))
        folder.chmod(0o755)
        with Cluster({"shared_buffers": "256MB", "autovacuum": "off", "synchronous_commit": "off",
                      "max_wal_size": "4GB"}) as cluster:
            scripts = []
            for name, (load, statement, _) in cases.items():
                cluster.sql(f"{load}; VACUUM ANALYZE {name}")
                scripts.append(folder / f"{name}.sql")
                scripts[-1].write_text(statement + ";\n")
            cluster.sql("SELECT pg_stat_statements_reset()")
            load = subprocess.Popen(
                [cluster.programs / "pgbench", "-n", "-c", "2", "-R", "400", "-T", "600",
                 *[part for script in scripts for part in ("-f", str(script))], cluster.url],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(load.wait)
            self.addCleanup(load.kill)
            with Suite(folder / "suite", settings={"database_optimizer": [
                    "advisor { verify_ms: 3000 verify_min_calls_count: 20 }"]},
                    environment={"SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL": cluster.url}) as suite:
                ended = self.apply(cluster, suite, cases, rng)
                wrong = {name: r for name, r in ended.items()
                         if r["status"] != ("VERIFIED" if name.startswith("good") else "REVERTED")}
                self.assertEqual(wrong, {})
                left = {row[0] for row in cluster.sql(
                    "SELECT tablename FROM pg_indexes WHERE indexname LIKE 'slipstream%'")}
                self.assertEqual(left, {f"good{i}" for i in range(5)})
                for name, r in ended.items():
                    v = r["verification"]
                    print(f"{name} {planted[int(name[3:])].__name__ if name[0] == 'b' else ''}: "
                          f"{v['mean_before_ms']:.3f} ms before, {v['mean_after_ms']:.3f} after, "
                          f"{r['status']}", file=sys.stderr)

    def apply(self, cluster: Cluster, suite: Suite, cases: dict, rng: random.Random) -> dict:
        admin = Client(suite.base, suite.token("root", ["admin"]))
        admin.get(f"{API}/recommendations")  # makes the service's own tables
        ids = {}
        for name, (_, _, target) in cases.items():
            ids[name] = str(uuid.uuid4())
            index = f"slipstream_ix_{name}"
            body = json.dumps({
                "kind": "CREATE_INDEX", "status": "PROPOSED", "table": f"public.{name}",
                "applyStatements": [f"CREATE INDEX CONCURRENTLY {index} ON {target}"],
                "revertStatements": [f"DROP INDEX CONCURRENTLY public.{index}"]})
            cluster.sql(f"INSERT INTO slipstream.recommendations VALUES ('{ids[name]}', 1, 1, 'public.{index}', "
                        f"'public', '{index}', 'public.{name}', 1, '{body}', now(), now())")
        time.sleep(3)  # the workload before: pgbench needs it, not the service
        order = list(ids)
        rng.shuffle(order)
        for name in order:
            admin.post(f"{API}/recommendations/{ids[name]}/apply", {"confirm": True})
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                ended = {name: admin.get(f"{API}/recommendations/{one}") for name, one in ids.items()}
            except (ApiError, OSError):
                ended = {}
            if ended and all(r["status"] in ("VERIFIED", "REVERTED", "FAILED") for r in ended.values()):
                return ended
            time.sleep(0.3)
        self.fail(f"not all ended: {[(n, r['status']) for n, r in ended.items()]}")


if __name__ == "__main__":
    unittest.main()
