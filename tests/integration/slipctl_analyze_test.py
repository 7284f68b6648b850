"""What slipctl finds in figures, and how it shows it: rules and documents, without a suite."""

import html.parser
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/python"))
from suite_figures import Figures, metrics_addresses, num
from suite_findings import findings_of
from suite_report import as_html, as_json, as_lines, as_md


def figures(**parts) -> Figures:
    """Of a suite in which nothing is wrong, with parts of it replaced."""
    healthy = {
        "health": {"status": "HEALTHY", "services": [{"name": "cache", "status": "HEALTHY"}]},
        "overview": {}, "routes": {}, "notifications": {}, "recommendations": {},
        "cache": {"total": {"hits_count": "9000", "misses_count": "1000", "hit_ratio": 0.9}},
        "queue": {"store": "redis", "workers": [{"slots": 4, "held_count": 1,
                                                 "task_types": ["generate_pdf"]}]},
        "database": {"buffer_hit_ratio": 0.99,
                     "database": {"name": "app", "max_connections_count": 100,
                                  "connections": [{"state": "idle", "count": 10}]},
                     "pool": {"max_connections_count": 20}},
    }
    process = {"cpu_cores": 0.1, "resident_bytes": 1 << 24, "open_files_count": 20,
               "max_files_count": 1024, "threads_count": 9}
    return Figures("2026-01-01T00:00:00Z", "http://edge", {**healthy, **parts}, {},
                   {"cache": process})


def found(given: Figures, detailed: bool = False) -> list[tuple[str, str, str, str]]:
    return [(f.area, f.severity, f.object, f.setting) for f in findings_of(given, detailed)]


class FindingsTest(unittest.TestCase):
    def test_a_healthy_suite_has_none(self):
        self.assertEqual(found(figures(), detailed=True), [])

    def test_database(self):
        stats = figures().parts["database"]
        self.assertEqual(found(figures(database={**stats, "buffer_hit_ratio": 0.5})),
                         [("database", "warning", "app", "shared_buffers (postgresql.conf)")])
        full = {**stats["database"], "connections": [{"state": "idle", "count": 95}]}
        self.assertEqual(found(figures(database={**stats, "database": full}))[0][1:3],
                         ("critical", "connections"))
        waited = {"max_connections_count": 20, "acquire_timeouts_count": "3"}
        finding, = findings_of(figures(database={**stats, "pool": waited}))
        self.assertEqual((finding.setting, finding.value),
                         ("database_optimizer.pool.max_connections_count", "30"))
        self.assertEqual(finding.evidence["acquire_timeouts_count"], 3)
        alert = {"kind": "BLOAT", "severity": "WARNING", "object": "public.t", "message": "bloated"}
        finding, = findings_of(figures(database={**stats, "alerts": [alert]}))
        self.assertEqual((finding.object, finding.finding), ("public.t", "bloated"))
        self.assertEqual(finding.setting, "autovacuum_vacuum_scale_factor (of the table)")
        table = {"table": "public.t", "bloat_bytes": "4096"}
        finding, = findings_of(figures(database={**stats, "alerts": [alert], "tables": [table]}))
        self.assertEqual(finding.evidence["bloat_bytes"], "4096")

    def test_a_recommendation_is_a_finding_with_its_evidence(self):
        advice = {"recommendation_id": "r1", "kind": "CREATE_INDEX", "table": "public.t",
                  "reason": "scans", "apply_statements": ["CREATE INDEX x"],
                  "evidence": {"cost_before": 100, "cost_after": 10, "size_bytes": "8192"}}
        finding, = findings_of(figures(recommendations={"recommendations": [advice]}))
        self.assertEqual(finding.evidence["cost_after"], 10)
        self.assertEqual(finding.evidence["statements"], ["CREATE INDEX x"])

    def test_no_database_is_no_fault_and_one_that_is_away_is(self):
        given = figures()
        del given.parts["database"]
        given.missing = {"database": "503 POSTGRES_NOT_CONFIGURED: set it", "recommendations": "x"}
        self.assertEqual(found(given), [])
        self.assertEqual(found(given, detailed=True),
                         [("database", "info", "PostgreSQL", "database_optimizer.postgres_url")])
        given.missing = {"database": "503 POSTGRES_UNREACHABLE: away"}
        self.assertEqual(found(given)[0][:2], ("database", "critical"))

    def test_cache(self):
        total = {"hits_count": 400, "misses_count": 600, "hit_ratio": 0.4}
        self.assertEqual(found(figures(cache={"total": total}))[0][:3],
                         ("cache", "warning", "hit ratio"))
        few = {"hits_count": 4, "misses_count": 6, "hit_ratio": 0.4}
        self.assertEqual(found(figures(cache={"total": few})), [], "ten reads say nothing")
        tier = {"tier": "L1", "bytes": "950", "max_bytes": "1000"}
        full = {"tiers": [tier], "evictions": [{"cause": "CAPACITY", "count": 5}]}
        finding, = findings_of(figures(cache=full))
        self.assertEqual((finding.setting, finding.value), ("cache.l1_max_bytes", "2000"))
        self.assertEqual(found(figures(cache={**full, "evictions": []})), [])

    def test_queue_and_workers(self):
        worker = {"slots": 4, "held_count": 4, "task_types": ["generate_pdf"]}
        busy = {"store": "redis", "workers": [worker], "oldest_wait_ms": "90000",
                "statuses": [{"status": "PENDING", "count": 7}],
                "depths": [{"task_type": "unknown_type", "pending_count": 7}]}
        self.assertEqual([f[:3] for f in found(figures(queue=busy))],
                         [("queue", "warning", "waiting tasks"),
                          ("workers", "critical", "unknown_type"), ("workers", "warning", "slots")])
        self.assertEqual(found(figures(queue={"store": "redis"}))[0][:2], ("workers", "critical"))
        self.assertEqual(found(figures(queue={"store": "memory", "workers": [
            {"slots": 4, "task_types": []}]}), detailed=True)[0][3], "task_queue.redis_url")

    def test_resources(self):
        given = figures(health={"services": [{"name": "edge", "status": "UNAVAILABLE"}]})
        given.processes["cache"]["cpu_cores"] = 1.5
        given.processes["cache"]["open_files_count"] = 1000
        self.assertEqual([f[1:3] for f in found(given)],
                         [("critical", "edge"), ("critical", "cache"), ("warning", "cache")])

    def test_what_could_not_be_examined_is_said(self):
        given = figures()
        given.missing = {"queue": "403 PERMISSION_DENIED: no", "process worker": "gone"}
        self.assertEqual([f[:3] for f in found(given)],
                         [("queue", "warning", "queue"), ("resources", "warning",
                                                          "process worker")])


class Page(html.parser.HTMLParser):
    """Counts tags, and that each closes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            raise AssertionError(f"</{tag}> closes another")


class ReportTest(unittest.TestCase):
    HOSTILE = "<script>alert(1)</script> | *x* `y` [z](javascript:1)"

    def setUp(self):
        alert = {"kind": "BLOAT", "severity": "CRITICAL", "object": self.HOSTILE,
                 "message": self.HOSTILE}
        stats = {"alerts": [alert], "tables": [{"table": self.HOSTILE, "total_bytes": "8192"}]}
        self.figures = figures(database=stats)
        self.findings = findings_of(self.figures)

    def test_html_is_whole_and_nothing_of_it_is_markup(self):
        for detailed in (False, True):
            text = as_html(self.figures, self.findings, detailed)
            page = Page(text)
            self.assertEqual(page.open, [])
            self.assertNotIn("script", page.tags)
            self.assertNotIn("a", page.tags)
            self.assertEqual(page.tags.count("article"), len(self.findings))
            self.assertNotIn("http-equiv", text)
        self.assertIn("table", page.tags)

    def test_markdown_escapes(self):
        text = as_md(self.figures, self.findings, True)
        self.assertNotIn("<script>", text.replace("\\<script", ""))
        self.assertIn("\\| \\*x\\* \\`y\\` \\[z\\](javascript:1)", text)
        row = next(line for line in text.splitlines() if line.startswith("| \\<script"))
        self.assertEqual(row.replace("\\|", "").count("|"), 7, "six cells")

    def test_json_and_lines(self):
        got = json.loads(as_json(self.figures, self.findings, False))
        self.assertEqual(got["counts"], {"critical": 1, "warning": 0, "info": 0})
        self.assertNotIn("figures", got)
        self.assertIn("figures", json.loads(as_json(self.figures, self.findings, True)))
        self.assertTrue(as_lines(self.figures, self.findings, False).endswith(
            "1 critical, 0 warnings, 0 for information\n"))

    def test_small_things(self):
        self.assertEqual((num("12"), num(None), num(1.5)), (12, 0, 1.5))
        self.assertEqual(metrics_addresses({"http": {"a": 1}}, []), {"a": "127.0.0.1:1"})
        self.assertEqual(metrics_addresses({}, ["b=h:2"]), {"b": "h:2"})
        for bad in ("b", "b=h", "b=h:x"):
            with self.assertRaises(ValueError):
                metrics_addresses({}, [bad])


if __name__ == "__main__":
    unittest.main()
