"""What operators see of each process: health, readiness, metrics; and the golden lists of series and
routes, so that a change of either is seen.

  readiness_test.py --update    writes the lists anew
"""

import re
import sys
import unittest
from pathlib import Path

from shared_suite import PROMPT, Client, SharedSuite, main, wait_final

GOLDEN = Path(__file__).parent / "golden"
METHODS = ("get", "put", "post", "delete", "patch")
SUITE = SharedSuite(split=True)
SERIES = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$")


def setUpModule():
    SUITE.start()
    # Series with labels show up with their first value.
    alice = SUITE.client()
    wait_final(alice, alice.submit("llm_generate_rfc", {"prompt": PROMPT})["task_id"])
    wait_final(alice, alice.submit("generate_pdf", {"markdown": "# one\n\ntwo"})["task_id"])
    Client(SUITE.suite.base).raw("GET", "/api/v1/async-tasks/user/tasks")


tearDownModule = SUITE.stop


def families(text: str) -> dict[str, str]:
    """Name and kind of each family."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def metric_lines() -> list[str]:
    """"process kind name" for each series of each process."""
    return sorted(f"{name} {kind} {family}" for name in SUITE.process_names()
                  for family, kind in families(SUITE.probe(name, "/metrics")[2]).items())


def route_lines() -> list[str]:
    paths = Client(SUITE.suite.base).get("/openapi.json")["paths"]
    return sorted(f"{path} {verb.upper()} {operation.get('x-permission', 'open')} "
                  f"{operation.get('x-grpc-method', 'edge')}"
                  for path, operations in paths.items() for verb, operation in operations.items()
                  if verb in METHODS)


LISTS = {"metric_names.txt": metric_lines, "routes.txt": route_lines}


class ProbesTest(unittest.TestCase):
    def each_process(self):
        for name in SUITE.process_names():
            with self.subTest(name):
                yield name

    def test_healthz_and_readyz(self):
        for name in self.each_process():
            self.assertEqual(SUITE.probe(name, "/healthz")[0], 200)
            status, _, body = SUITE.probe(name, "/readyz")
            self.assertEqual(status, 200, body)
            self.assertEqual(SUITE.probe(name, "/nothing")[0], 404)

    def test_metrics_are_well_formed(self):
        for name in self.each_process():
            status, headers, text = SUITE.probe(name, "/metrics")
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith("text/plain"))
            known = families(text)
            seen = set()
            for line in text.splitlines():
                if line.startswith("#") or not line:
                    continue
                match = SERIES.match(line)
                self.assertTrue(match, line)
                float(match[3])
                self.assertNotIn((match[1], match[2]), seen, line)
                seen.add((match[1], match[2]))
                base = re.sub(r"_(bucket|sum|count)$", "", match[1])
                self.assertTrue(match[1] in known or base in known, line)
            for family, kind in known.items():
                self.assertRegex(text, rf"(?m)^# HELP {family} \S", family)
                if kind == "counter":
                    self.assertTrue(family.endswith("_total"), family)

    def test_each_process_tells_of_itself(self):
        for name in self.each_process():
            text = SUITE.probe(name, "/metrics")[2]
            for series in ("slipstream_process_resident_memory_bytes", "slipstream_process_open_fds",
                           "slipstream_process_threads"):
                value = re.search(rf"(?m)^{series} (\S+)$", text)
                self.assertTrue(value and float(value[1]) > 0, series)

    def test_calls_are_counted_by_method_and_code(self):
        text = SUITE.probe("task_queue", "/metrics")[2]
        self.assertRegex(text, r'grpc_server_handled_total\{[^}]*grpc_method="SubmitTask"[^}]*'
                               r'grpc_code="OK"[^}]*\} 2|'
                               r'grpc_server_handled_total\{[^}]*grpc_code="OK"[^}]*'
                               r'grpc_method="SubmitTask"[^}]*\} 2')
        edge = SUITE.probe("edge", "/metrics")[2]
        self.assertRegex(edge, r'slipstream_edge_http_requests_total\{[^}]*status="202"\} 2')
        self.assertRegex(edge, r'slipstream_edge_http_requests_total\{[^}]*status="401"\} 1')

    def test_no_secret_and_no_argument_is_logged(self):
        secret = SUITE.suite.secret.decode()
        token = SUITE.client().token
        for name in self.each_process():
            log = SUITE.suite.log(name).read_text()
            self.assertNotIn(secret, log)
            self.assertNotIn(token.split(".")[2], log)
            self.assertNotIn("nightly invoice export", log)

    def test_the_edge_does_not_serve_probes_beside_its_traffic(self):
        for path in ("/metrics", "/readyz", "/healthz"):
            self.assertEqual(Client(SUITE.suite.base).raw("GET", path)[0], 404)


class GoldenTest(unittest.TestCase):
    maxDiff = None

    def test_lists(self):
        for file, lines in LISTS.items():
            with self.subTest(file):
                expected = (GOLDEN / file).read_text().splitlines()
                got = lines()
                missing = sorted(set(expected) - set(got))
                new = sorted(set(got) - set(expected))
                self.assertEqual(
                    (missing, new), ([], []),
                    "gone and new; `tests/integration/readiness_test.py --update` accepts them")


if __name__ == "__main__":
    if "--update" in sys.argv:
        try:
            setUpModule()
            GOLDEN.mkdir(exist_ok=True)
            for file, lines in LISTS.items():
                (GOLDEN / file).write_text("\n".join(lines()) + "\n")
        finally:
            SUITE.stop()
            unittest.doModuleCleanups()
    else:
        main()
