"""The watch of a real PostgreSQL, from outside: figures by REST, alerts by the event stream, plans
for administrators, and what slipctl makes of them."""

import json
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import grpc

from shared_suite import ROOT, ApiError, SharedSuite, main
from postgres_cluster import Cluster, Session  # behind shared_suite, which puts tools/python on the path

DATABASE = "/api/v1/performance/database"
PATIENCE_S = 30


def setUpModule():
    global POSTGRES, SUITE
    POSTGRES = Cluster({"autovacuum": "off", "shared_buffers": "32MB", "max_connections": "60"})
    unittest.addModuleCleanup(POSTGRES.stop)
    POSTGRES.start()
    POSTGRES.sql("CREATE TABLE accounts (id int PRIMARY KEY, owner text)")
    POSTGRES.sql("INSERT INTO accounts SELECT i, 'owner ' || i FROM generate_series(1, 50000) i")
    POSTGRES.sql("VACUUM ANALYZE")
    SUITE = SharedSuite(
        settings={"database_optimizer": ["watch { interval_ms: 100 lock_wait_alert_ms: 300 }"],
                  "monitoring": ["scrape_interval_ms: 500"]},
        environment={"SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL": POSTGRES.url})
    SUITE.start()


def tearDownModule():
    SUITE.stop()


def slipctl(*arguments: str, code: int = 0) -> str:
    """Its standard output, or with another exit code its standard error."""
    done = subprocess.run([ROOT / "tools/slipctl", *arguments, "--run", SUITE.suite.folder],
                          capture_output=True, text=True, timeout=120)
    if done.returncode != code:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if code == 0 else done.stderr


def stats() -> dict:
    return SUITE.client().get(f"{DATABASE}/stats")


def until(look, seen):
    """What `look` gives once it is seen; asked again and again."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        got = look()
        if seen(got):
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen: {json.dumps(got)[:3000]}")
        time.sleep(0.05)


def query(sql: bytes, trace: str) -> None:
    """Runs a statement through the pool as a service does. `sql`: up to 127 bytes."""
    metadata = [("authorization", "Bearer " + SUITE.suite.token("billing", ["service"])),
                ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")]
    with grpc.insecure_channel(SUITE.suite.grpc_address("database_optimizer")) as channel:
        # The message by hand: field 1, a string.
        channel.unary_unary("/slipstream.database_optimizer.v1.DatabaseOptimizerService/Query")(
            b"\x0a" + bytes([len(sql)]) + sql, metadata=metadata, timeout=10)


class Alerts:
    """The performance alerts of a user, from now on."""

    def __init__(self):
        self.seen, self.subscribed = [], threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        if not self.subscribed.wait(PATIENCE_S):
            raise AssertionError("no subscription")

    def _read(self):
        try:
            for event in SUITE.client("watcher").events("/api/v1/notifications/stream",
                                                        timeout_s=120):
                if event["event"] != "message":
                    continue
                if event["data"]["type"] == "subscribed":
                    self.subscribed.set()
                if event["data"]["type"] == "performance_alert":
                    self.seen.append(event["data"]["payload"])
        except (OSError, ValueError, ApiError):
            pass  # the suite ends before the stream does

    def wait(self, **fields) -> dict:
        def matching():
            return [a for a in self.seen if all(a.get(k) == v for k, v in fields.items())]
        return until(matching, bool)[0]


class DatabaseWatchTest(unittest.TestCase):
    def test_a_lock_becomes_an_alert_and_ends(self):
        alerts = Alerts()
        holder, waiter = Session(POSTGRES, "holder"), Session(POSTGRES, "waiter")
        try:
            holder.run("BEGIN")
            holder.run("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
            until(lambda: POSTGRES.value("SELECT count(*) FROM pg_locks WHERE granted AND mode = "
                                         "'AccessExclusiveLock' AND relation = "
                                         "(SELECT oid FROM pg_class WHERE relname = 'accounts')"),
                  lambda count: count == "1")
            waiter.send("SELECT * FROM accounts WHERE owner = 'top secret'")
            raised = alerts.wait(kind="lock_wait", state="raised")
            self.assertEqual(raised["object"], "public.accounts")
            self.assertEqual(raised["source"], "database_optimizer")
            self.assertIn("LOCK TABLE accounts", raised["message"])
            self.assertEqual(raised["database"], "postgres")
            got = until(stats, lambda s: s["lock_waits"])
            wait = got["lock_waits"][0]
            self.assertEqual(wait["object"], "public.accounts")
            self.assertEqual(wait["statement"], "SELECT * FROM accounts WHERE owner = $1")
            self.assertEqual(wait["root_pid"], wait["blocking_pids"][0])
            self.assertNotIn("top secret", json.dumps(got))
            self.assertTrue([a for a in got["alerts"] if a["kind"] == "LOCK_WAIT"])
            lines = slipctl("analyze")
            self.assertIn("public.accounts: process", lines)
            self.assertIn("do: end or shorten the transaction at the root", lines)
        finally:
            holder.run("COMMIT")
            holder.close()
            waiter.close()
        self.assertEqual(alerts.wait(kind="lock_wait", state="resolved")["object"],
                         "public.accounts")
        told = [a for a in alerts.seen if a["kind"] == "lock_wait"]
        self.assertEqual(len(told), 2, told)

    def test_a_slow_statement_is_shown_with_its_plan(self):
        POSTGRES.sql("SELECT count(*), pg_sleep(3) FROM accounts WHERE owner = 'top secret'")
        got = until(stats, lambda s: [q for q in s["slow_queries"]
                                      if float(q["duration_ms"]) >= 3000])
        query = got["slow_queries"][0]
        self.assertEqual(query["severity"], "CRITICAL")
        self.assertIn("FROM accounts WHERE owner = $2", query["statement"])
        self.assertEqual(json.loads(query["plan_json"])[0]["Plan"]["Plans"][0]["Relation Name"],
                         "accounts")
        self.assertNotIn("top secret", json.dumps(got))

    def test_an_n_plus_one_through_the_pool_is_seen_by_its_trace(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        for owner in range(50):
            query(f"SELECT id FROM accounts WHERE owner = 'owner {owner}'".encode(), trace)
        got = until(stats, lambda s: [p for p in s["n_plus_one_patterns"]
                                      if int(p["repetitions_count"]) == 50])
        pattern = got["n_plus_one_patterns"][0]
        self.assertEqual(pattern["statement"], "SELECT id FROM accounts WHERE owner = $1")
        self.assertEqual(pattern["example_trace_id"], trace)
        self.assertGreaterEqual(int(got["examined"]["observed_count"]), 50)
        measured = [q for q in got["top_queries"] if q["statement"] == pattern["statement"]]
        self.assertGreater(measured[0]["p95_ms"], 0)
        self.assertTrue([a for a in got["alerts"] if a["kind"] == "N_PLUS_ONE"] or
                        until(stats, lambda s: [a for a in s["alerts"]
                                                if a["kind"] == "N_PLUS_ONE"]))

    def test_a_slow_statement_of_the_pool_has_its_trace(self):
        trace = "0af7651916cd43dd8448eb211c80319c"
        query(b"SELECT pg_sleep(0.7), 'of the pool'", trace)
        got = until(stats, lambda s: [q for q in s["slow_queries"] if q["trace_id"] == trace])
        seen = [q for q in got["slow_queries"] if q["trace_id"] == trace]
        self.assertEqual([q["statement"] for q in seen], ["SELECT pg_sleep($1), $2"])
        self.assertEqual(seen[0]["severity"], "WARNING")

    def test_explain_is_for_administrators_and_only_reads(self):
        path, body = f"{DATABASE}/explain", {"statement": "SELECT * FROM accounts WHERE owner = $1",
                                             "parameters": ["owner 7"], "analyze": True}
        self.assertEqual(SUITE.client().raw("POST", path, body)[0], 403)
        plan = SUITE.admin().post(path, body)
        self.assertEqual(json.loads(plan["plan_json"])[0]["Plan"]["Actual Rows"], 1)
        self.assertIn("sequential scan of accounts", plan["findings"][0])
        for statement, reason in (("DELETE FROM accounts", "STATEMENT_NOT_READ_ONLY"),
                                  ("SELECT 1; DELETE FROM accounts", "MULTIPLE_STATEMENTS"),
                                  ("SELEC 1", "STATEMENT_INVALID")):
            status, _, answer = SUITE.admin().raw("POST", path, {"statement": statement})
            self.assertEqual(status, 400, answer)
            self.assertEqual(json.loads(answer)["reason"], reason)
        self.assertEqual(POSTGRES.value("SELECT count(*) FROM accounts"), "50000")

    def test_reports(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "report.html"
            slipctl("report", "--export", str(page), "--detailed")
            text = page.read_text()
            self.assertIn("<h2>database</h2>", text)
            self.assertIn("public.accounts", text)
            self.assertNotIn("<script", text)
        got = json.loads(slipctl("report", "--format", "json", "--detailed"))
        self.assertTrue(got["summary"]["database"]["server_version"].startswith("15."))
        self.assertEqual(got["figures"]["processes"].keys(), {"standalone"})
        self.assertGreater(got["figures"]["processes"]["standalone"]["resident_bytes"], 1 << 20)
        self.assertIn("## Database", slipctl("report"))

    def test_optimize_says_what_it_would_do(self):
        status, _, answer = SUITE.admin().raw("POST", f"{DATABASE}/optimize", {})
        self.assertEqual(status, 200, answer)
        self.assertIn("nothing was changed", slipctl("optimize"))

    def test_cleanup_counts_and_removes(self):
        counted = json.loads(slipctl("cleanup", "--dry-run"))
        self.assertTrue(counted["dry_run"])
        self.assertEqual(counted["cleaned"].keys(), {"results", "artifacts", "dead-letters"})
        self.assertIn("no webhooks yet", counted["not_cleaned"]["deliveries"])
        alice = SUITE.client("alice")
        task = alice.submit("llm_generate_rfc", {"prompt": "We need a queue. It must be fair."})
        until(lambda: alice.get(f"/api/v1/async-tasks/{task['task_id']}"),
              lambda t: t["status"] == "SUCCEEDED")
        all_results = ("cleanup", "--only", "results", "--older-than-hours", "0")
        would = json.loads(slipctl(*all_results, "--dry-run"))
        self.assertGreaterEqual(would["cleaned"]["results"]["removed_count"], 1)
        self.assertEqual(alice.raw("GET", f"/api/v1/async-tasks/{task['task_id']}")[0], 200)
        done = json.loads(slipctl(*all_results))
        self.assertEqual(done["cleaned"], would["cleaned"])
        self.assertEqual(alice.raw("GET", f"/api/v1/async-tasks/{task['task_id']}")[0], 404)
        self.assertIn("deliveries: ", slipctl("cleanup", "--only", "deliveries", code=1))
        self.assertIn("choose of", slipctl("cleanup", "--only", "everything", code=1))


if __name__ == "__main__":
    main()
