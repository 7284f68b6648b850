"""Indexes are applied while the service and PostgreSQL's backends are killed, transactions stay open,
others want the table, and writers go on. At the end of each cycle:

  - the change has ended: VERIFIED with a valid index, or FAILED with none;
  - no invalid index is left, and no index of somebody else is gone or another one: neither the valid
    one nor the invalid one whose name begins with our prefix;
and of the whole run:
  - no session waited 50 ms or longer for a lock that we held (PostgreSQL's own log says who waited for
    whom: log_lock_waits with deadlock_timeout = 50 ms);
  - no session but ours was the victim of a deadlock.

  tests/chaos/index_chaos.py --cycles 50 [--seed N] [--keep]"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools/python"))

from client import ApiError, Client
from postgres_cluster import Cluster, Session
from suite import Suite, SuiteError

API = "/api/v1/performance/database"
ROWS = 60_000
COLUMNS = 8
FAULTS = ["service", "backend", "service with a long transaction", "backend with a long transaction",
          "deadlock", "ALTER TABLE", "long transaction", "service early"]
PATIENCE_S = 60
LOCK_WAIT_MS = 50
WRITERS = 3
SCRIPT = f"""\\set id random(1, {ROWS})
UPDATE accounts SET balance = balance + 1 WHERE id = :id;
INSERT INTO history SELECT :id, now();
"""


class ChaosError(Exception):
    """What must not be was seen."""


class Writers:
    """pgbench on the table that indexes are built on; started again when the server restarted."""

    def __init__(self, cluster: Cluster, folder: Path):
        self.cluster, self.folder = cluster, folder
        self.script = folder / "writers.sql"
        self.script.write_text(SCRIPT)
        self.life = 0
        self.process: subprocess.Popen | None = None

    def ensure(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        self.life += 1
        self.process = subprocess.Popen(
            [self.cluster.programs / "pgbench", "-n", "-c", str(WRITERS), "-R", "150", "-T", "3600",
             "-l", "--log-prefix", str(self.folder / f"writers{self.life}"), "-f", str(self.script),
             f"{self.cluster.url}?application_name=writer"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()  # SIGINT is ignored by what a background shell starts
            self.process.wait(20)

    def latencies_us(self) -> list[int]:
        return [int(line.split()[2]) for file in self.folder.glob("writers*.[0-9]*")
                for line in file.read_text().splitlines() if len(line.split()) > 3]


class Run:
    def __init__(self, cluster: Cluster, suite: Suite, folder: Path, seed: int):
        self.cluster, self.suite = cluster, suite
        self.random = random.Random(seed)
        self.writers = Writers(cluster, folder)
        self.outcomes: dict[str, int] = {}

    def prepare(self) -> None:
        columns = ", ".join(f"c{i} int" for i in range(COLUMNS))
        values = ", ".join(f"(i * {7 + i}) % {ROWS // 4}" for i in range(COLUMNS))
        self.cluster.sql(f"""
            CREATE TABLE accounts (id int PRIMARY KEY, balance int DEFAULT 0, {columns})
              WITH (fillfactor = 60);
            CREATE TABLE history (id int, at timestamptz);
            CREATE TABLE calm AS SELECT 1 AS one;
            INSERT INTO accounts SELECT i, 0, {values} FROM generate_series(1, {ROWS}) i;
            CREATE INDEX foreign_valid ON accounts (balance, id) WHERE id < 0;
            CREATE INDEX slipstream_ix_foreign ON accounts (id, c0) WHERE id < 0;
            UPDATE pg_index SET indisvalid = false
              WHERE indexrelid = 'slipstream_ix_foreign'::regclass;
            VACUUM ANALYZE accounts""")
        self.foreign = self.foreign_indexes()
        self.writers.ensure()

    def foreign_indexes(self) -> list[list[str]]:
        return self.cluster.sql("""
            SELECT indexrelid, indexrelid::regclass, indisvalid FROM pg_index
            WHERE indrelid = 'accounts'::regclass AND indexrelid::regclass::text
              IN ('accounts_pkey', 'foreign_valid', 'slipstream_ix_foreign') ORDER BY 1""")

    def own_indexes(self) -> list[list[str]]:
        return self.cluster.sql("""
            SELECT indexrelid::regclass, indisvalid AND indisready AND indislive FROM pg_index
            WHERE indrelid = 'accounts'::regclass AND indexrelid::regclass::text LIKE 'slipstream%'
              AND indexrelid::regclass::text <> 'slipstream_ix_foreign'""")

    # -- one cycle ---------------------------------------------------------------------------

    def admin(self) -> Client:
        return Client(self.suite.base, self.suite.token("chaos", ["admin"]), timeout_s=60)

    def propose(self, column: str) -> str:
        """A recommendation for an index on the column."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.cluster.sql("SELECT pg_stat_statements_reset();" + "".join(
                    f"SELECT max(balance) FROM accounts WHERE {column} = {i};" for i in range(15)))
                found = self.admin().post(f"{API}/optimize", {"tables": ["accounts"],
                                                              "storage_budget_bytes": str(1 << 30)})
                for r in found["recommendations"]:
                    if r["kind"] == "CREATE_INDEX" and f'"{column}"' in r["apply_statements"][0]:
                        return r["recommendation_id"]
            except (ApiError, OSError, SuiteError) as error:
                found = error
            if time.monotonic() > deadline:
                raise ChaosError(f"no index on {column} was proposed: {found}")
            time.sleep(0.2)

    def wait_building(self, waiting: bool) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            rows = self.cluster.sql("SELECT pid, phase FROM pg_stat_progress_create_index")
            for pid, phase in rows:
                if not waiting or phase.startswith("waiting for"):
                    return pid
            time.sleep(0.005)
        raise ChaosError("no build was seen")

    def kill_service(self) -> None:
        process = self.suite.processes["standalone"]
        process.kill()
        process.wait()
        self.suite.start_one("standalone")
        self.suite.wait_ready("standalone")

    def kill_backend(self, pid: str) -> None:
        subprocess.run(["kill", "-9", pid], check=False)
        time.sleep(0.1)
        self.cluster.wait_ready()

    def strike(self, fault: str, recommendation: str) -> list[Session]:
        """Begins the change and disturbs it; the transactions that are still open."""
        path = f"{API}/recommendations/{recommendation}/apply"
        opened = []
        if "long transaction" in fault:
            old = Session(self.cluster, "old")
            old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM calm")
            opened.append(old)
        if fault == "deadlock":
            other = Session(self.cluster, "deadlock")
            other.run("BEGIN; UPDATE accounts SET balance = 0 WHERE id = 1")
            opened.append(other)
        self.admin().post(path, {"confirm": True})
        if fault == "service early":
            time.sleep(self.random.uniform(0, 0.15))
            self.kill_service()
        elif fault == "deadlock":
            self.wait_building(waiting=True)
            said = opened[0].run("LOCK TABLE accounts IN SHARE UPDATE EXCLUSIVE MODE")
            said += opened[0].run("COMMIT")
            if any("ERROR" in line for line in said):
                raise ChaosError(f"a foreground transaction lost: {said}")
        elif fault == "ALTER TABLE":
            # So that the build is there long enough to be met; another table, so that ALTER is free.
            old = Session(self.cluster, "old")
            old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM calm")
            opened.append(old)
            self.wait_building(waiting=False)
            self.cluster.sql("ALTER TABLE accounts ALTER COLUMN balance SET DEFAULT 1")
        else:
            pid = self.wait_building(waiting="long transaction" in fault)
            time.sleep(self.random.uniform(0, 0.05))
            if fault.startswith("service"):
                self.kill_service()
            elif fault.startswith("backend"):
                self.kill_backend(pid)
        return opened

    def wait_ended(self, recommendation: str) -> dict:
        deadline = time.monotonic() + PATIENCE_S
        last = None
        while time.monotonic() < deadline:
            try:
                last = self.admin().get(f"{API}/recommendations/{recommendation}")
                if last["status"] in ("VERIFIED", "FAILED", "REVERTED"):
                    return last
            except (ApiError, OSError) as error:
                last = error
            time.sleep(0.05)
        raise ChaosError(f"the change has not ended: {last}\n{self.suite.log_end('standalone')}")

    def cycle(self, number: int) -> None:
        fault = FAULTS[number % len(FAULTS)]
        recommendation = self.propose(f"c{self.random.randrange(COLUMNS)}")
        opened = self.strike(fault, recommendation)
        time.sleep(self.random.uniform(0, 0.3))
        for session in opened:
            session.close()
        ended = self.wait_ended(recommendation)
        own = self.own_indexes()
        if any(valid != "t" for _, valid in own):
            raise ChaosError(f"after `{fault}` an invalid index is left: {own}")
        if (ended["status"] == "VERIFIED") != (len(own) == 1):
            raise ChaosError(f"after `{fault}` the change is {ended['status']} "
                             f"({ended['error']}) and the indexes are {own}")
        if self.foreign_indexes() != self.foreign:
            raise ChaosError(f"after `{fault}` the others' indexes are {self.foreign_indexes()}")
        key = f"{fault}: {ended['status']} {ended['error']}".strip()
        self.outcomes[key] = self.outcomes.get(key, 0) + 1
        for name, _ in own:
            self.cluster.sql(f"SET lock_timeout = '10s'; DROP INDEX {name}")
        # What failed would not be proposed again for a week.
        self.cluster.sql("DELETE FROM slipstream.recommendations WHERE status IN (6, 7)")
        self.writers.ensure()

    # -- the whole ---------------------------------------------------------------------------

    def check_waits(self) -> int:
        """How many waits of 50 ms or longer there were at all; none may be for us."""
        log = self.cluster.log.read_text(errors="replace")
        ours = set(re.findall(r"^(\d+) \S* .*application_name=slipstream", log, re.MULTILINE))
        if not ours:
            raise ChaosError("the log names none of our connections: the check would see nothing")
        waits = 0
        for match in re.finditer(r"^(\d+) [^\n]*still waiting for ([^\n]*)\n\d+ [^\n]*DETAIL:\s+Process"
                                 r"(?:es)? holding the lock: ([\d, ]+)\.", log, re.MULTILINE):
            waits += 1
            waiter, what, holders = match.groups()
            # No write queues behind a VACUUM or ANALYZE, which may wait; in a transaction that has
            # written, as the one of the deadlock, nothing may.
            if what.startswith("ShareUpdateExclusive") and " deadlock " not in match.group(0):
                continue
            if waiter not in ours and ours & set(holders.replace(",", " ").split()):
                raise ChaosError(f"a session waited {LOCK_WAIT_MS} ms or longer for us: "
                                 f"{match.group(0)}")
        for match in re.finditer(r"^(\d+) [^\n]*ERROR:\s+deadlock detected", log, re.MULTILINE):
            if match.group(1) not in ours:
                raise ChaosError("a foreground session was the victim of a deadlock")
        return waits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folders with the logs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="slip-index-chaos-"))
    folder.chmod(0o755)
    cluster = Cluster({"log_lock_waits": "on", "deadlock_timeout": f"{LOCK_WAIT_MS}ms",
                       "log_connections": "on", "log_line_prefix": "%p %a ",
                       "shared_buffers": "64MB"})
    try:
        cluster.start()
        suite = Suite(folder, settings={"database_optimizer": [
            "advisor { verify_ms: 300 verify_min_calls_count: 5 build_timeout_ms: 30000 }"]},
            environment={"SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL": cluster.url})
        with suite:
            run = Run(cluster, suite, folder, options.seed)
            try:
                run.prepare()
                started = time.monotonic()
                for number in range(options.cycles):
                    run.cycle(number)
                took = time.monotonic() - started
            finally:
                run.writers.stop()
            waits = run.check_waits()
        latencies = sorted(run.writers.latencies_us()) or [0]
        print(f"{options.cycles} cycles in {took:.0f} s (seed {options.seed}): no invalid index left, "
              f"no foreign index touched; {waits} lock waits of {LOCK_WAIT_MS} ms or longer, none "
              f"for us")
        print(f"writers: {len(latencies)} transactions, p99 "
              f"{latencies[int(len(latencies) * 0.99)] / 1000:.1f} ms (recoveries of the server "
              f"included)")
        for key in sorted(run.outcomes):
            print(f"  {key} x {run.outcomes[key]}")
    except (ChaosError, SuiteError, ApiError) as error:
        print(f"index_chaos: {error}\nlogs: {folder}/logs {cluster.log}", file=sys.stderr)
        if options.keep:
            shutil.copy(cluster.log, folder / "postgres.log")
        sys.exit(1)
    finally:
        cluster.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
