"""The advisor from outside, by REST on a real PostgreSQL: found, shown, applied, taken back; and who and what
is refused."""

import sys
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))

from client import ApiError, Client
from postgres_cluster import Cluster
from suite import Suite

API = "/api/v1/performance/database"
PATIENCE_S = 30
NOBODY = "00000000-0000-7000-8000-000000000000"


class Recommendations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster({"autovacuum": "off"}).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.sql("""
            CREATE TABLE visits (id int, page int, note text);
            INSERT INTO visits SELECT i, i % 700, repeat('x', 80) FROM generate_series(1, 40000) i;
            ANALYZE visits""")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.suite = Suite(Path(folder.name), settings={"database_optimizer": [
            "advisor { verify_ms: 500 verify_min_calls_count: 5 }"]},
            environment={"SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL": cls.cluster.url})
        cls.addClassCleanup(cls.suite.stop)
        cls.suite.start()
        cls.admin = Client(cls.suite.base, cls.suite.token("root", ["admin"]))

    def setUp(self):
        self.cluster.sql("SELECT pg_stat_statements_reset();"
                         + "SELECT count(note) FROM visits WHERE page = 3;" * 20)

    def optimize(self, **request) -> dict:
        return self.admin.post(f"{API}/optimize", {"storage_budget_bytes": str(1 << 30), **request})

    def refused(self, method: str, path: str, body=None, client=None) -> ApiError:
        with self.assertRaises(ApiError) as caught:
            (client or self.admin).call(method, API + path, body)
        return caught.exception

    def indexes(self) -> list[str]:
        return [row[0] for row in self.cluster.sql(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'visits' ORDER BY 1")]

    def wait(self, one: str, status: str) -> dict:
        deadline = time.monotonic() + PATIENCE_S
        while (r := self.admin.get(f"{API}/recommendations/{one}"))["status"] != status:
            self.assertLess(time.monotonic(), deadline, r)
            time.sleep(0.05)
        return r

    def test_from_the_search_to_taking_it_back(self):
        found = self.optimize()
        self.assertTrue(found["dry_run"])
        self.assertLess(found["cost_after"], found["cost_before"])
        [first] = [r for r in found["recommendations"] if r["kind"] == "CREATE_INDEX"]
        self.assertEqual((first["status"], first["table"]), ("PROPOSED", "public.visits"))
        one = first["recommendation_id"]
        listed = self.admin.get(f"{API}/recommendations?kind=CREATE_INDEX&status=PROPOSED&page_size=1")
        self.assertEqual([r["recommendation_id"] for r in listed["recommendations"]], [one])
        self.assertEqual(listed["recommendations"][0]["evidence"]["queries"][0]["plan_before_json"], "")
        whole = self.admin.get(f"{API}/recommendations/{one}")
        self.assertIn("Seq Scan", whole["evidence"]["queries"][0]["plan_before_json"])
        # Shown only.
        shown = self.admin.post(f"{API}/recommendations/{one}/apply", {})
        self.assertTrue(shown["dry_run"])
        self.assertIn("CREATE INDEX CONCURRENTLY", shown["statements"][0])
        self.assertEqual(self.indexes(), [])
        # Applied.
        begun = self.admin.post(f"{API}/recommendations/{one}/apply", {"confirm": True})
        self.assertEqual(begun["recommendation"]["status"], "APPLYING")
        self.assertEqual(self.refused("POST", f"/recommendations/{one}/apply",
                                      {"confirm": True}).problem["reason"], "RECOMMENDATION_STATE")
        self.wait(one, "VERIFIED")
        self.assertEqual(len(self.indexes()), 1)
        self.assertEqual([r for r in self.optimize()["recommendations"]
                          if r["kind"] == "CREATE_INDEX"], [], "it is there already")
        self.admin.post(f"{API}/recommendations/{one}/revert", {})
        self.wait(one, "REVERTED")
        self.assertEqual(self.indexes(), [])
        again = [r["apply_statements"][0] for r in self.optimize()["recommendations"]]
        self.assertNotIn(shown["statements"][0], again, "it was taken back a moment ago")
        self.cluster.sql("DELETE FROM slipstream.recommendations")
        audited = [entry for entry in self.admin.get("/api/v1/audit?page_size=50")["entries"]
                   if entry.get("target") == one]
        self.assertEqual({entry["action"].split("/")[-1] for entry in audited},
                         {"ApplyRecommendation", "RevertRecommendation"})
        self.assertTrue(any("CREATE INDEX" in entry.get("after", "") for entry in audited))

    def test_settings_are_shown_and_never_applied(self):
        [one] = [r["recommendation_id"] for r in self.optimize()["recommendations"]
                 if r["kind"] == "CHANGE_SETTING" and "autovacuum" in r["apply_statements"][0]]
        error = self.refused("POST", f"/recommendations/{one}/apply", {"confirm": True})
        self.assertEqual((error.status, error.problem["reason"]), (409, "RECOMMENDATION_STATE"))
        self.assertEqual(self.cluster.value("SHOW autovacuum"), "off")

    def test_only_an_admin(self):
        bob = Client(self.suite.base, self.suite.token("bob"))
        for method, path, body in (("POST", "/optimize", {}), ("GET", "/recommendations", None),
                                   ("GET", f"/recommendations/{NOBODY}", None),
                                   ("POST", f"/recommendations/{NOBODY}/apply", {"confirm": True}),
                                   ("POST", f"/recommendations/{NOBODY}/revert", {})):
            self.assertEqual(self.refused(method, path, body, bob).status, 403, path)

    def test_bad_input_is_refused_with_the_reason(self):
        for bad in ("1", "x' OR '1'='1", "../..", "0" * 36, NOBODY + "0"):
            quoted = urllib.parse.quote(bad, safe="")
            self.assertIn(self.refused("GET", f"/recommendations/{quoted}").status, (400, 404), bad)
        error = self.refused("GET", f"/recommendations/{NOBODY}")
        self.assertEqual((error.status, error.problem["reason"]), (404, "RECOMMENDATION_NOT_FOUND"))
        for request in ({"storage_budget_bytes": "-1"}, {"storage_budget_bytes": str((1 << 50) + 1)},
                        {"tables": [""]}, {"tables": ["x" * 256]}, {"tables": ["no_such_table"]},
                        {"tables": ['visits"; DROP TABLE visits; --']},
                        {"tables": ["visits'; DROP TABLE visits; --"]}, {"tables": ["t"] * 1001}):
            self.assertEqual(self.refused("POST", "/optimize", request).status, 400, request)
        for query in ("page_size=101", "page_size=-1", "page_token=forged", "kind=99"):
            self.assertEqual(self.refused("GET", f"/recommendations?{query}").status, 400, query)
        self.assertEqual(self.cluster.value("SELECT count(*) FROM visits"), "40000")

    def test_names_that_try_to_be_sql(self):
        table = 'x"; DROP TABLE visits; --'
        column = "c'\"); DROP TABLE visits; --"
        quoted, of_column = table.replace('"', '""'), column.replace('"', '""')
        self.cluster.sql(f'CREATE TABLE "{quoted}" ("{of_column}" int, pad text);'
                         f'INSERT INTO "{quoted}" SELECT i, repeat(\'y\', 90) FROM '
                         f'generate_series(1, 20000) i; ANALYZE "{quoted}";'
                         "SELECT pg_stat_statements_reset();"
                         + f'SELECT pad FROM "{quoted}" WHERE "{of_column}" = 5;' * 20)
        found = self.optimize(tables=[table])
        [r] = [r for r in found["recommendations"] if r["kind"] == "CREATE_INDEX"]
        self.admin.post(f"{API}/recommendations/{r['recommendation_id']}/apply", {"confirm": True})
        self.wait(r["recommendation_id"], "VERIFIED")
        self.admin.post(f"{API}/recommendations/{r['recommendation_id']}/revert", {})
        self.wait(r["recommendation_id"], "REVERTED")
        self.assertEqual(self.cluster.value("SELECT count(*) FROM visits"), "40000")
        self.cluster.sql(f'DROP TABLE "{quoted}"')


if __name__ == "__main__":
    unittest.main()
