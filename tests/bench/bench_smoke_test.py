"""Each benchmark of tools/bench once, with little load: it ends, its output has the promised form, and
nothing is left behind. What it measures here says nothing."""

import gzip
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from suite import ROOT, binary

TIMEOUT_S = 240


def store() -> str:
    return os.environ.get("SLIP_BENCH_STORE", "redis")


class BenchSmokeTest(unittest.TestCase):
    def bench(self, name: str, *options: str) -> dict:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)  # PostgreSQL runs as a user of its own
            done = subprocess.run(
                [ROOT / "tools/bench", name, "--json", "--runs", "1", "--store", store(), *options],
                capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL,
                env={**os.environ, "SLIP_BIN_DIR": str(binary("x").parent.parent),
                     "TMPDIR": folder})
            self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
            self.assertEqual(list(Path(folder).glob("slip_bench_*")), [], "a folder was left")
        out = json.loads(done.stdout)
        self.assertEqual(set(out), {"bench", "comparisons", "figures", "runs", "spread"})
        self.assertEqual(out["bench"], name)
        self.assertEqual(out["runs"], 1)
        for comparison in out["comparisons"]:
            self.assertEqual(set(comparison),
                             {"reference_name", "ours", "reference", "ratio", "unit"})
            self.assertGreater(comparison["ours"], 0)
            self.assertGreater(comparison["reference"], 0)
        self.assertTrue(out["comparisons"])
        self.assertEqual(len(out["figures"]["raw_runs"]), 1)
        for key in ("versions", "settings"):
            self.assertTrue(out["figures"][key])
        return out

    def test_queue_submit(self):
        out = self.bench("queue-submit", "--seconds", "0.6")
        self.assertIn("echo", out["comparisons"][0]["reference_name"])
        # The echo is asked for messages of our sizes.
        run = out["figures"]["raw_runs"][0]["ours"]
        self.assertGreater(run["request_bytes"], 100)
        self.assertGreater(run["response_bytes"], 50)

    def test_queue_lifecycle(self):
        out = self.bench("queue-lifecycle", "--tasks", "2000")
        self.assertIn("bullmq", out["comparisons"][0]["reference_name"])
        tried = out["figures"]["bullmq_settings_tried"]
        self.assertEqual({bool(one["priorities"]) for one in tried}, {True, False})

    def test_queue_latency(self):
        out = self.bench("queue-latency", "--tasks", "2000", "--seconds", "0.5")
        self.assertGreater(out["figures"]["raw_runs"][0]["pickup"]["count"], 0)

    def test_queue_backlog(self):
        out = self.bench("queue-backlog", "--tasks", "3000", "--seconds", "0.5")
        self.assertGreater(out["figures"]["bytes_per_waiting_task"], 0)

    def test_queue_fairness(self):
        self.bench("queue-fairness", "--tasks", "3000", "--seconds", "0.5")

    def test_cache_get(self):
        out = self.bench("cache-get", "--seconds", "0.6")
        self.assertIn("echo", out["comparisons"][0]["reference_name"])
        run = out["figures"]["raw_runs"][0]
        self.assertGreater(run["ours"]["response_bytes"], 100)
        # The echo's messages are those of the cache to within what a length takes.
        self.assertLessEqual(abs(run["echo"]["request_bytes"] - run["ours"]["request_bytes"]), 1)

    def test_cache_get_many(self):
        out = self.bench("cache-get-many", "--seconds", "0.4")
        self.assertIn("redis", out["comparisons"][0]["reference_name"])
        self.assertTrue(out["figures"]["redis_clients_tried"])

    def test_notify_fanout(self):
        out = self.bench("notify-fanout", "--tasks", "300", "--seconds", "0.3")
        self.assertIn("socket.io", out["comparisons"][0]["reference_name"])
        run = out["figures"]["raw_runs"][0]
        for side in ("ours", "socket.io"):
            self.assertEqual((run[side]["missing"], run[side]["wrong"]), (0, 0))
        for part in (run["ours"], run["ours"]["one_a_call"]):
            self.assertGreater(part["half"]["latency"]["count"], 0)

    def test_notify_idle(self):
        out = self.bench("notify-idle", "--tasks", "300")
        self.assertEqual(out["figures"]["raw_runs"][0]["delivered_to_all"], 3000)

    def test_notify_stalled(self):
        out = self.bench("notify-stalled", "--seconds", "0.5")
        run = out["figures"]["raw_runs"][0]
        # The others get all whatever the nuisance does, and as much without it.
        for window in ("reading", "stalled"):
            self.assertEqual((run[window]["missing"], run[window]["wrong"]), (0, 0))
            self.assertEqual(run[window]["latency"]["count"], run[window]["deliveries"])
        self.assertGreater(run["reading"]["nuisance"]["bytes"], 0)
        self.assertEqual(out["figures"]["stalled_readers"]["in_all"], 20)

    def test_notify_flood(self):
        out = self.bench("notify-flood", "--seconds", "0.5")
        run = out["figures"]["raw_runs"][0]
        for kind in ("connections", "sign_ins", "silent"):
            self.assertEqual((run[kind]["missing"], run[kind]["wrong"]), (0, 0))
            self.assertGreater(run[kind]["nuisance"]["connections"], 100)
        # What is let in, and where it ends: failed sign-ins are refused, silence is.
        self.assertIn("101", run["connections"]["nuisance"]["answers"])
        self.assertIn("429", run["sign_ins"]["nuisance"]["answers"])
        self.assertIn("429", run["silent"]["nuisance"]["answers"])

    def test_index_selection(self):
        # Two indexes that help only together, and a small one that greedy takes first.
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as matrix:
            matrix.write("set QUERIES := 1 2;\n"
                         "param size :=\n1 500000000 # ['a']\n2 500000000 # ['b']\n"
                         "3 100000000 # ['c']\n;\n"
                         "set indexes_per_combination[0]:= ;\n"
                         "set indexes_per_combination[1]:= 1 2;\n"
                         "set indexes_per_combination[2]:= 3;\n"
                         "param costs :=\n1 0 1000\n2 0 1000\n1 1 100\n2 1 100\n1 2 600\n;\n")
            matrix.flush()
            out = self.bench("index-selection", "--matrix", matrix.name, "--budget_gb", "1")
        self.assertEqual(out["figures"]["percent"], 10)
        self.assertTrue(out["figures"]["proved"])
        self.assertEqual([(c["reference_name"], c["reference"]) for c in out["comparisons"]],
                         [("greedy by ratio at 1 GB", 80)])

    def test_db_pool(self):
        out = self.bench("db-pool", "--seconds", "0.6")
        names = ["pgbouncer-1ms", "pgbouncer-tiny", "pgbouncer-pool", "connection-per-request"]
        self.assertEqual([c["reference_name"] for c in out["comparisons"]], names)
        self.assertEqual(set(out["figures"]["ratio_of_each_pair"]), set(names))
        for name in names:
            for side in ("ours", "reference"):
                run = out["figures"]["raw_runs"][0][name][side]
                self.assertGreater(run["p99_ms"], run["p50_ms"])
                self.assertTrue(0 < run["jain"] <= 1)
                self.assertGreater(run["cpu_us"]["postgres"], 0)
        for name in names[:3]:
            # Read over 0.2 s here, between two scrapes: not to be held against 100.
            self.assertGreater(out["figures"]["busy_percent"][name], 0)

    def test_cache_l1(self):
        out = self.bench("cache-l1", "--seconds", "0.3", "--tasks", "20000")
        self.assertGreater(out["figures"]["raw_runs"][0]["ours"]["hit_percent"], 99)
        memory = out["figures"]["memory"]
        self.assertEqual(memory["entries"], 20000)
        self.assertLess(memory["churn"]["growth_percent"], 5)

    def test_cache_trace(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = Path(folder) / "loop.gz"
            trace.write_bytes(gzip.compress(b"# a loop\n" + b"".join(
                b"%d\n" % (i % 400) for i in range(20000))))
            chart = Path(folder) / "chart.svg"
            out = self.bench("cache-trace", "--trace", str(trace), "--format", "text",
                             "--capacity", "200", "--chart", str(chart))
            self.assertIn("<svg", chart.read_text())
        hits = out["figures"]["raw_runs"][0]["traces"][0]["sizes"][0]["hit_percent"]
        self.assertEqual(hits["lru"], 0)
        self.assertGreater(hits["ours"], 40)
        self.assertGreater(hits["optimum"], hits["ours"])

    def test_the_table_and_the_list(self):
        for options in (["--list"], ["queue-submit", "--runs", "1", "--seconds", "0.5", "--store",
                                     store()]):
            done = subprocess.run([ROOT / "tools/bench", *options], capture_output=True, text=True,
                                  timeout=TIMEOUT_S,
                                  env={**os.environ, "SLIP_BIN_DIR": str(binary("x").parent.parent)})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("queue-submit", done.stdout)


if __name__ == "__main__":
    unittest.main()
