"""The REST surface as a front end meets it: what works, and what every wrong request gets."""

import http.client
import json
import time
import unittest
import uuid

from shared_suite import (PROMPT, SharedSuite, Client, later, main, wait_final)

SUITE = SharedSuite(settings={
    "edge": ['cors_allowed_origins: "https://app.example.com"', "sse_heartbeat_ms: 1000"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop

SUBMIT = "/api/v1/async-tasks/submit"
LIST = "/api/v1/async-tasks/user/tasks"
TASK = "/api/v1/async-tasks/{}"
MONITOR = "/async-monitoring/tasks/{}"
STATES = {"SCHEDULED", "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}
TASK_FIELDS = {"task_id", "task_type", "status", "priority", "progress", "progress_message",
               "result", "error", "attempt", "created_at", "started_at", "finished_at",
               "expires_at", "artifacts"}

# The REST table of the design, for the services that stand.
ROUTES = [
    ("post", SUBMIT), ("get", TASK.format("{task_id}")), ("delete", TASK.format("{task_id}")),
    ("get", LIST), ("get", "/api/v1/async-tasks/queue/stats"),
    ("post", "/api/v1/async-tasks/cleanup"), ("get", "/api/v1/async-tasks/examples"),
    ("post", "/api/v1/async-tasks/bulk-submit"),
    ("post", "/api/v1/async-tasks/{task_id}/restart"),
    ("post", "/api/v1/async-tasks/queue/purge"), ("post", "/api/v1/async-tasks/queue/pause"),
    ("post", "/api/v1/async-tasks/queue/resume"),
    ("get", "/async-monitoring/tasks/{task_id}/status"),
    ("post", "/async-monitoring/tasks/bulk-status"),
    ("post", "/async-monitoring/tasks/{task_id}/cancel"),
    ("get", "/async-monitoring/tasks/{task_id}/stream"),
    ("get", "/async-monitoring/admin/monitoring"), ("get", "/async-monitoring/health"),
    ("get", "/api/v1/performance/cache/stats"), ("post", "/api/v1/performance/cache/clear"),
    ("get", "/api/v1/performance/database/stats"),
    ("post", "/api/v1/performance/database/optimize"),
    ("get", "/api/v1/performance/system/health"), ("get", "/api/v1/performance/metrics/summary"),
    ("post", "/api/v1/artifacts"), ("get", "/api/v1/artifacts/{artifact_id}"),
    ("get", "/api/v1/llm/health"), ("get", "/api/v1/audit"),
    ("get", "/api/v1/notifications/stream"), ("post", "/api/v1/notifications/broadcast"),
    ("get", "/health"),
]
ADMIN_ROUTES = [
    ("POST", "/api/v1/async-tasks/cleanup", {}),
    ("POST", "/api/v1/async-tasks/queue/purge", {"task_type": "*"}),
    ("POST", "/api/v1/async-tasks/queue/pause", {}),
    ("POST", "/api/v1/async-tasks/queue/resume", {}),
    ("POST", "/api/v1/performance/cache/clear", {"pattern": "*"}),
    ("POST", "/api/v1/performance/database/optimize", {}),
    ("POST", "/api/v1/notifications/broadcast", {"payload": {"text": "hello"}}),
    ("GET", "/async-monitoring/admin/monitoring", None),
    ("GET", "/api/v1/audit", None),
]


class RestCase(unittest.TestCase):
    def setUp(self):
        self.alice, self.bob, self.root = SUITE.client(), SUITE.client("bob"), SUITE.admin()
        self.nobody = Client(SUITE.suite.base)

    def assert_problem(self, answer, status: int, reason: str = "", field: str = "") -> dict:
        """An answer of Client.raw is the problem that was expected, whole and consistent."""
        got, headers, body = answer
        self.assertEqual(got, status, body)
        self.assertEqual(headers["content-type"], "application/problem+json")
        problem = json.loads(body)
        self.assertEqual(problem["status"], status)
        for name in ("type", "title", "detail", "code"):
            self.assertTrue(problem.get(name), f"{name} is missing in {problem}")
        self.assertEqual(problem["correlation_id"], headers["x-request-id"])
        if reason:
            self.assertEqual(problem["reason"], reason, problem)
        if field:
            self.assertIn(field, [error["field"] for error in problem.get("errors", [])], problem)
        return problem

    def body(self, **more) -> dict:
        return {"task_type": "llm_generate_rfc", "args": {"prompt": PROMPT}, **more}


class WorksTest(RestCase):
    def test_submit_answers_at_once_and_the_task_succeeds(self):
        for path in (SUBMIT, SUBMIT + "/"):
            with self.subTest(path):
                status, headers, body = self.alice.raw("POST", path, self.body(
                    args={"prompt": PROMPT + path}))
                self.assertEqual(status, 202, body)
                self.assertEqual(headers["content-type"], "application/json")
                task = json.loads(body)
                self.assertEqual(uuid.UUID(task["task_id"]).version, 7)
                self.assertIn(task["status"], ("PENDING", "RUNNING"))
                self.assertEqual(task["correlation_id"], headers["x-request-id"])
                done = wait_final(self.alice, task["task_id"])
                self.assertEqual(done["status"], "SUCCEEDED", done)
                self.assertEqual((done["progress"], done["attempt"]), (100, 1))
                self.assertIn("invoice", done["result"]["markdown"])
                self.assertLessEqual(done["created_at"], done["started_at"])
                self.assertLessEqual(done["started_at"], done["finished_at"])

    def test_status_by_both_paths_with_and_without_slash(self):
        task = later(self.alice)
        for path in (TASK, TASK + "/", MONITOR + "/status", MONITOR + "/status/"):
            with self.subTest(path):
                got = self.alice.get(path.format(task["task_id"]))
                self.assertLessEqual({"task_id", "task_type", "status", "priority", "created_at"},
                                     got.keys())
                self.assertEqual((got["task_id"], got["status"], got["priority"], got["owner"]),
                                 (task["task_id"], "SCHEDULED", "NORMAL", "alice"))
        self.assertNotIn("prompt", json.dumps(got))
        shown = self.alice.get(TASK.format(task["task_id"]) + "?include_args=true")
        self.assertEqual(shown["args"], {"prompt": PROMPT})

    def test_task_json_has_the_fields_of_the_contract(self):
        task = self.alice.submit("generate_pdf", {"markdown": "# Contract\n\ntext"})
        done = wait_final(self.alice, task["task_id"])
        self.assertEqual(done["status"], "SUCCEEDED", done)
        missing = TASK_FIELDS - done.keys() - {"error"}
        self.assertFalse(missing, f"missing in {done}")

    def test_list_is_the_callers_newest_first(self):
        user = f"lister-{uuid.uuid4()}"
        client = SUITE.client(user)
        ids = [later(client)["task_id"] for _ in range(3)]
        for path in (LIST, LIST + "/"):
            listed = client.get(path)
            self.assertEqual([task["task_id"] for task in listed["tasks"]], ids[::-1])
        self.assertEqual(SUITE.client(user + "x").get(LIST).get("tasks"), [])

    def test_cancel_by_both_paths(self):
        for method, path, body in (("DELETE", TASK, None), ("DELETE", TASK + "/", None),
                                   ("POST", MONITOR + "/cancel", {"reason": "no need"}),
                                   ("POST", MONITOR + "/cancel/", None)):
            with self.subTest(path=path, method=method):
                task_id = later(self.alice)["task_id"]
                got = self.alice.call(method, path.format(task_id), body)
                self.assertEqual(got["status"], "CANCELLED")
                self.assertEqual(self.alice.get(TASK.format(task_id))["status"], "CANCELLED")
                if body:
                    self.assertIn("no need", got["error"]["message"])
                again = self.alice.call(method, path.format(task_id), body)
                self.assertEqual(again["status"], "CANCELLED", "cancelling twice is no error")

    def test_cancel_of_a_finished_task_is_a_conflict(self):
        task_id = self.alice.submit("llm_generate_rfc", {"prompt": PROMPT})["task_id"]
        wait_final(self.alice, task_id)
        self.assert_problem(self.alice.raw("DELETE", TASK.format(task_id)), 409, "TASK_FINISHED")
        self.assertEqual(self.alice.get(TASK.format(task_id))["status"], "SUCCEEDED")

    def test_restart_of_a_cancelled_task(self):
        task_id = later(self.alice)["task_id"]
        self.alice.call("DELETE", TASK.format(task_id))
        status, _, body = self.alice.raw("POST", TASK.format(task_id) + "/restart", {})
        self.assertEqual(status, 202, body)
        self.assertEqual(wait_final(self.alice, task_id)["status"], "SUCCEEDED")

    def test_queue_stats(self):
        later(self.alice)
        for path in ("/api/v1/async-tasks/queue/stats", "/api/v1/async-tasks/queue/stats/"):
            stats = self.alice.get(path)
            counts = {entry["status"]: int(entry["count"]) for entry in stats["statuses"]}
            self.assertEqual(counts.keys(), STATES)
            self.assertGreaterEqual(counts["SCHEDULED"], 1)
            self.assertEqual(stats["store"], "memory")
            self.assertFalse(stats.get("workers"), "users see no workers")
        workers = self.root.get("/api/v1/async-tasks/queue/stats")["workers"]
        self.assertEqual(len(workers), 1)
        self.assertIn("generate_pdf", workers[0]["task_types"])

    def test_examples_work_as_they_are(self):
        for path in ("/api/v1/async-tasks/examples", "/api/v1/async-tasks/examples/"):
            types = {entry["name"]: entry for entry in self.alice.get(path)["task_types"]}
            self.assertLessEqual({"llm_generate_rfc", "generate_pdf"}, types.keys())
        for name, entry in types.items():
            with self.subTest(name):
                self.assertTrue(entry["description"])
                self.assertEqual(entry["args_schema"]["type"], "object")
                self.assertGreater(entry["expected_max_ms"], 0)
                self.assertGreater(entry["deadline_ms"], 0)
                self.assertEqual(entry["max_attempts"], 3)
                task = self.alice.submit(name, entry["example_args"])
                done = wait_final(self.alice, task["task_id"])
                self.assertEqual(done["status"], "SUCCEEDED", done.get("error"))

    def test_health_needs_no_token(self):
        for path in ("/async-monitoring/health", "/async-monitoring/health/", "/health",
                     "/api/v1/performance/system/health"):
            with self.subTest(path):
                status, _, body = self.nobody.raw("GET", path)
                self.assertEqual(status, 200, body)
                text = body.decode()
                self.assertIn("task_queue", text)
                self.assertNotIn("127.0.0.1", text, "health names addresses to anybody")

    def test_bulk_submit_and_bulk_status(self):
        got = self.alice.post("/api/v1/async-tasks/bulk-submit",
                              {"tasks": [self.body(delay_ms=3600000),
                                         {"task_type": "no_such_type"}]})
        self.assertEqual(got["accepted_count"], 1)
        task_id = got["results"][0]["task"]["task_id"]
        self.assertEqual(got["results"][1]["error"]["reason"], "UNKNOWN_TASK_TYPE")
        others = later(self.bob)["task_id"]
        for path in ("/async-monitoring/tasks/bulk-status", "/async-monitoring/tasks/bulk-status/"):
            found = self.alice.post(path, {"task_ids": [task_id, others]})
            self.assertEqual([task["task_id"] for task in found["tasks"]], [task_id])
            self.assertEqual(found["missing_task_ids"], [others])

    def test_pause_and_resume(self):
        self.root.post("/api/v1/async-tasks/queue/pause",
                       {"task_type": "generate_pdf", "reason": "test"})
        try:
            task = self.alice.submit("generate_pdf", {"markdown": "# paused"})
            stats = self.alice.get("/api/v1/async-tasks/queue/stats")
            self.assertEqual(stats["paused_task_types"], ["generate_pdf"])
            # Another type goes on meanwhile, so the queue has dispatched since.
            other = self.alice.submit("llm_generate_rfc", {"prompt": PROMPT})
            wait_final(self.alice, other["task_id"])
            self.assertEqual(self.alice.get(TASK.format(task["task_id"]))["status"], "PENDING")
        finally:
            self.root.post("/api/v1/async-tasks/queue/resume", {"task_type": "generate_pdf"})
        self.assertEqual(wait_final(self.alice, task["task_id"])["status"], "SUCCEEDED")

    def test_artifacts_belong_to_their_owner(self):
        status, headers, body = self.alice.raw("POST", "/api/v1/artifacts", b"# Notes\n\nours",
                                               {"Content-Type": "text/markdown"})
        self.assertLess(status, 300, body)
        artifact = json.loads(body)
        path = f"/api/v1/artifacts/{artifact['artifact_id']}"
        for suffix in ("", "/"):
            status, headers, body = self.alice.raw("GET", path + suffix)
            self.assertEqual((status, body), (200, b"# Notes\n\nours"))
            self.assertTrue(headers["content-type"].startswith("text/markdown"))
        self.assert_problem(self.bob.raw("GET", path), 404)
        self.assert_problem(self.nobody.raw("GET", path), 401)
        self.assertEqual(self.root.raw("GET", path)[0], 200)

    def test_other_reads_of_the_table(self):
        for path in ("/api/v1/performance/cache/stats", "/api/v1/performance/metrics/summary",
                     "/api/v1/llm/health"):
            with self.subTest(path):
                status, _, body = self.alice.raw("GET", path)
                self.assertEqual(status, 200, body)
        for path in ("/async-monitoring/admin/monitoring/", "/api/v1/audit"):
            with self.subTest(path):
                status, _, body = self.root.raw("GET", path)
                self.assertEqual(status, 200, body)

    def await_answer(self, client: Client, path: str, matches) -> dict:
        """The first answer that matches; services report to monitoring a little later."""
        deadline = time.monotonic() + 15
        while not matches(answer := client.get(path)):
            self.assertLess(time.monotonic(), deadline, answer)
        return answer

    def test_requests_are_summed_up_by_route(self):
        route = "slipstream.task_queue.v1.TaskQueueService.ListTaskTypes"
        path = f"/api/v1/performance/metrics/summary?route_prefix={route}"

        def count(answer: dict) -> int:
            return sum(int(one["requests_count"]) for one in answer["routes"]
                       if one["route"] == route)
        before = count(self.alice.get(path))
        for _ in range(3):
            self.alice.get("/api/v1/async-tasks/examples")
        summary = self.await_answer(self.alice, path, lambda got: count(got) >= before + 3)
        self.assertEqual(summary["total"]["requests_count"], str(count(summary)))
        self.assertEqual(int(summary["total"].get("errors_count", 0)), 0)
        self.assertGreater(summary["total"]["max_ms"], 0)

    def test_drafts_count_as_answers_of_the_model(self):
        before = int(self.alice.get("/api/v1/llm/health").get("requests_count", 0))
        task = self.alice.submit("llm_generate_rfc", {"prompt": f"{PROMPT} {uuid.uuid4()}"})
        self.assertEqual(wait_final(self.alice, task["task_id"])["status"], "SUCCEEDED")
        health = self.await_answer(self.alice, "/api/v1/llm/health",
                                   lambda got: int(got.get("requests_count", 0)) > before)
        self.assertEqual((health["status"], health["model"]),
                         ("OFFLINE_DRAFTER", "offline drafter"))

    def test_database_without_postgres_says_what_to_configure(self):
        problem = self.assert_problem(
            self.alice.raw("GET", "/api/v1/performance/database/stats"), 503)
        self.assertIn("postgres_url", problem["detail"])

    def test_what_is_not_built_says_so(self):
        for path in ("/api/v1/budget/status", "/api/v1/schedules", "/api/v1/webhooks"):
            with self.subTest(path):
                self.assert_problem(self.alice.raw("GET", path), 501)


class AccessTest(RestCase):
    def test_without_a_token(self):
        for verb, path in ROUTES:
            if path.endswith("health") and "llm" not in path:
                continue
            with self.subTest(f"{verb} {path}"):
                path = path.replace("{task_id}", str(uuid.uuid4())).replace(
                    "{artifact_id}", str(uuid.uuid4()))
                got = self.nobody.raw(verb.upper(), path, {} if verb == "post" else None)
                self.assert_problem(got, 401)
                self.assertTrue(got[1]["www-authenticate"].startswith("Bearer"))

    def test_wrong_tokens(self):
        good = self.alice.token
        suite = SUITE.suite
        head, payload, signature = good.split(".")
        now = int(time.time())
        wrong = {
            "garbage": "garbage", "cut": good[:-2], "other signature": f"{head}.{payload}.{'A' * 43}",
            "no signature": f"{head}.{payload}.", "expired": suite.token("alice", exp=now - 3600),
            "not yet": suite.token("alice", nbf=now + 3600),
            "audience": suite.token("alice", aud="another"),
            "issuer": suite.token("alice", iss="another"), "nobody": suite.token(""),
            "alg none": "eyJhbGciOiJub25lIn0." + payload + ".",
        }
        for name, token in wrong.items():
            with self.subTest(name):
                got = Client(suite.base, token).raw("GET", LIST)
                problem = self.assert_problem(got, 401)
                self.assertNotIn(token, problem["detail"])
        for header in ("Basic YTpi", "Bearer", "Bearer ", good):
            with self.subTest(header[:12]):
                self.assert_problem(
                    self.nobody.raw("GET", LIST, headers={"Authorization": header}), 401)
        self.assertEqual(self.nobody.raw("GET", LIST, headers={
            "Authorization": f"bearer {good}"})[0], 200, "the scheme's case does not count")

    def test_another_users_task_does_not_exist(self):
        task_id = later(self.alice)["task_id"]
        unknown = task_id[:-4] + ("0000" if task_id[-4:] != "0000" else "0001")
        for method, path, body in (("GET", TASK, None), ("DELETE", TASK, None),
                                   ("GET", MONITOR + "/status/", None),
                                   ("GET", MONITOR + "/stream/", None),
                                   ("POST", MONITOR + "/cancel/", {}),
                                   ("POST", TASK + "/restart", {})):
            with self.subTest(f"{method} {path}"):
                others = self.assert_problem(self.bob.raw(method, path.format(task_id), body), 404)
                missing = self.assert_problem(self.bob.raw(method, path.format(unknown), body), 404)
                for problem, used in ((others, task_id), (missing, unknown)):
                    del problem["correlation_id"]
                    self.assertNotIn("alice", json.dumps(problem))
                self.assertEqual(json.dumps(others).replace(task_id, "ID"),
                                 json.dumps(missing).replace(unknown, "ID"),
                                 "the answers tell a stranger that the task exists")
        self.assertEqual(self.alice.get(TASK.format(task_id))["status"], "SCHEDULED")

    def test_admin_sees_and_cancels_all(self):
        task_id = later(self.alice)["task_id"]
        self.assertEqual(self.root.get(TASK.format(task_id))["owner"], "alice")
        listed = self.root.get(LIST + "?owner=alice")["tasks"]
        self.assertIn(task_id, [task["task_id"] for task in listed])
        self.assertEqual(self.root.call("DELETE", TASK.format(task_id))["status"], "CANCELLED")
        self.assert_problem(self.bob.raw("GET", LIST + "?owner=alice"), 403)

    def test_tenants_are_apart(self):
        task_id = later(SUITE.client("carol", tenant="blue"))["task_id"]
        self.assert_problem(SUITE.client("carol", tenant="red").raw("GET", TASK.format(task_id)),
                            404)

    def test_admin_paths_are_closed_to_users(self):
        for method, path, body in ADMIN_ROUTES:
            for end in ("", "/"):
                with self.subTest(path + end):
                    self.assert_problem(self.alice.raw(method, path + end, body), 403)
        for method, path, body in ADMIN_ROUTES:
            with self.subTest(f"{path} by an admin"):
                self.assertNotIn(self.root.raw(method, path, body)[0], (401, 403, 500))

    def test_denials_are_audited(self):
        user = f"denied-{uuid.uuid4()}"
        SUITE.client(user).raw("POST", "/api/v1/async-tasks/cleanup", {})
        entries = self.root.get("/api/v1/audit?page_size=100")
        self.assertIn(user, json.dumps(entries))


class WrongRequestTest(RestCase):
    def test_malformed_json(self):
        for body in (b"{", b"[]", b"\"text\"", b"{'task_type': 'x'}", b"{\"task_type\": }",
                     b"{\"task_type\": \"a\",}", b"{\"task_type\": \"a\"} x", b"\xff\xfe", b"nul",
                     b"{\"task_type\": \"\\ud800\"}", b"{\"task_type\": \"a\", \"task_type\": \"b\"}",
                     b"{" * 100000, b"[" * 100000,
                     b"{\"task_type\": \"a\", \"args\": " + b"{\"a\":" * 5000 + b"1" + b"}" * 5001):
            with self.subTest(body[:40]):
                got = self.alice.raw("POST", SUBMIT, body, {"Content-Type": "application/json"})
                self.assert_problem(got, 400)

    def test_unknown_and_wrong_fields_are_named(self):
        for change, field in (
                ({"priorty": "LOW"}, "priorty"), ({"zzz": 1}, "zzz"),
                ({"priority": "SOON"}, "priority"), ({"delay_ms": "soon"}, "delay_ms"),
                ({"delay_ms": -1}, "delay_ms"), ({"delay_ms": 1.5}, "delay_ms"),
                ({"max_attempts": 3000000000}, "max_attempts"),
                ({"max_attempts": 101}, "max_attempts"), ({"labels": {"": "x"}}, "labels"),
                ({"labels": []}, "labels"), ({"run_at": "tomorrow"}, "run_at"),
                ({"task_type": 5}, "task_type"), ({"args": "text"}, "args"),
                ({"request_id": "x" * 129}, "request_id"),
                ({"args": {}}, "args.prompt"), ({"args": {"prompt": 5}}, "args.prompt"),
                ({"args": {"prompt": ""}}, "args.prompt"),
                ({"args": {"prompt": "x", "colour": 1}}, "args.colour"),
                ({"args": {"prompt": "x", "template": "odd"}}, "args.template")):
            with self.subTest(str(change)):
                problem = self.assert_problem(
                    self.alice.raw("POST", SUBMIT, self.body(**change)), 400, field=field)
                self.assertIn(problem["code"], ("INVALID_ARGUMENT", "OUT_OF_RANGE"))

    def test_unknown_query_parameters_are_named(self):
        self.assert_problem(self.alice.raw("GET", LIST + "?page_sise=3"), 400, field="page_sise")
        self.assert_problem(self.alice.raw("GET", LIST + "?status=LATE"), 400, field="status")
        self.assert_problem(self.alice.raw("GET", LIST + "?page_size=x"), 400, field="page_size")

    def test_unknown_task_type_lists_the_known(self):
        for name in ("no_such_type", "", "x" * 100, "../../etc/passwd"):
            with self.subTest(name):
                problem = self.assert_problem(
                    self.alice.raw("POST", SUBMIT, self.body(task_type=name)), 400)
                if name:
                    self.assertIn("llm_generate_rfc", problem["detail"])
                    self.assertIn("generate_pdf", problem["detail"])
                else:
                    self.assertIn("task_type", problem["detail"])

    def test_wrong_task_ids(self):
        for task_id in ("x", "0", "a" * 37, "a" * 3000, "%20", "..%2f..", "%00"):
            with self.subTest(task_id[:20]):
                status = self.alice.raw("GET", TASK.format(task_id))[0]
                self.assertIn(status, (400, 404))

    def test_wrong_media_type(self):
        got = self.alice.raw("POST", SUBMIT, b"task_type=x",
                             {"Content-Type": "application/x-www-form-urlencoded"})
        self.assert_problem(got, 415)

    def test_method_not_allowed_names_those_that_are(self):
        for method, path, allowed in (("PUT", SUBMIT, "POST"), ("POST", LIST, "GET"), ("PATCH", TASK.format("x"), "DELETE"),
                                      ("POST", "/dashboard", "GET"), ("DELETE", "/health", "GET")):
            with self.subTest(f"{method} {path}"):
                got = self.alice.raw(method, path, {} if method in ("PUT", "POST") else None)
                self.assert_problem(got, 405)
                self.assertIn(allowed, got[1]["allow"])

    def test_unknown_paths(self):
        for path in ("/nothing", "/api", "/api/v2/async-tasks/submit", "/api//v1", "/metrics",
                     "/api/v1/async-tasks", SUBMIT + "//", "/etc/passwd"):
            with self.subTest(path):
                self.assert_problem(self.alice.raw("GET", path), 404)
        for path in ("/api/v1/async-tasks/%zz", "/api/v1/async-tasks/%ff", "/%2e%2e/",
                     "/../../etc/passwd", "/" + "a/" * 100):
            with self.subTest(path):
                self.assert_problem(self.alice.raw("GET", path), 400)

    def test_huge_bodies(self):
        body = json.dumps(self.body(args={"prompt": "x" * (20 << 20)})).encode()
        for headers in ({"Content-Type": "application/json"},
                        {"Content-Type": "application/json", "Expect": "100-continue"}):
            with self.subTest(str(headers)):
                problem = self.assert_problem(self.alice.raw("POST", SUBMIT, body, headers), 413,
                                              "BODY_TOO_LARGE")
                self.assertIn("1048576", problem["detail"])
        with self.subTest("chunked, so that no length warns the server"):
            connection = http.client.HTTPConnection(self.alice.host, self.alice.port, timeout=30)
            try:
                connection.request(
                    "POST", SUBMIT, (body[i:i + 65536] for i in range(0, len(body), 65536)),
                    {"Authorization": f"Bearer {self.alice.token}",
                     "Content-Type": "application/json"}, encode_chunked=True)
                response = connection.getresponse()
                self.assert_problem((response.status,
                                     {k.lower(): v for k, v in response.getheaders()},
                                     response.read()), 413)
            finally:
                connection.close()

    def test_args_beyond_the_queues_bound(self):
        got = self.alice.raw("POST", SUBMIT, self.body(args={"prompt": "x" * 300000}))
        self.assert_problem(got, 400, field="args")


class ListingTest(RestCase):
    @classmethod
    def setUpClass(cls):
        cls.pager = SUITE.client(f"pager-{uuid.uuid4()}")
        cls.ids = [later(cls.pager, priority=priority)["task_id"]
                   for priority in ("LOW", "NORMAL", "HIGH", "URGENT", "NORMAL")]
        cls.pager.call("DELETE", TASK.format(cls.ids[0]))
        cls.pdf = cls.pager.submit("generate_pdf", {"markdown": "# p"},
                                   delay_ms=3600000)["task_id"]

    def test_pages(self):
        seen, token, pages = [], "", 0
        while True:
            page = self.pager.get(f"{LIST}?page_size=4&page_token={token}")
            seen += [task["task_id"] for task in page["tasks"]]
            token, pages = page["next_page_token"], pages + 1
            if not token:
                break
            self.assertLess(pages, 5)
        self.assertEqual(seen, [self.pdf] + self.ids[::-1])
        self.assertEqual(pages, 2)

    def test_filters(self):
        def ids(query):
            return [task["task_id"] for task in self.pager.get(f"{LIST}?{query}")["tasks"]]

        self.assertEqual(ids("status=CANCELLED"), self.ids[:1])
        self.assertEqual(len(ids("status=CANCELLED&status=SCHEDULED")), 6)
        self.assertEqual(ids("task_type=generate_pdf"), [self.pdf])
        self.assertEqual(ids("task_type=generate_pdf&status=CANCELLED"), [])
        self.assertEqual(ids("status=RUNNING"), [])

    def test_wrong_page_tokens(self):
        token = self.pager.get(f"{LIST}?page_size=2")["next_page_token"]
        for query in (f"page_token={token}x", f"page_token={token}&status=SCHEDULED",
                      "page_token=AAAA"):
            with self.subTest(query):
                self.assert_problem(self.pager.raw("GET", f"{LIST}?page_size=2&{query}"), 400,
                                    field="page_token")
        self.assert_problem(self.bob.raw("GET", f"{LIST}?page_token={token}"), 400,
                            field="page_token")

    def test_page_size_bounds(self):
        self.assertEqual(len(self.pager.get(f"{LIST}?page_size=5000")["tasks"]), 6)
        self.assert_problem(self.pager.raw("GET", f"{LIST}?page_size=-1"), 400, field="page_size")


class IdempotencyTest(RestCase):
    def test_same_key_same_task(self):
        key = str(uuid.uuid4())
        headers = {"Idempotency-Key": key}
        body = self.body(delay_ms=3600000)
        first = self.alice.call("POST", SUBMIT, body, headers)
        again = self.alice.call("POST", SUBMIT, body, headers)
        self.assertEqual(again["task_id"], first["task_id"])
        in_body = self.alice.post(SUBMIT, {**body, "request_id": key})
        self.assertEqual(in_body["task_id"], first["task_id"])
        others = self.bob.call("POST", SUBMIT, body, headers)
        self.assertNotEqual(others["task_id"], first["task_id"])
        changed = self.alice.raw("POST", SUBMIT, {**body, "args": {"prompt": "another"}}, headers)
        self.assertIn(changed[0], (400, 409))
        self.assert_problem(changed, changed[0])


class HttpTest(RestCase):
    def test_request_ids(self):
        _, headers, _ = self.alice.raw("GET", LIST, headers={"X-Request-Id": "my-id-1"})
        self.assertEqual(headers["x-request-id"], "my-id-1")
        _, headers, _ = self.alice.raw("GET", LIST, headers={"X-Request-Id": "bad id; x"})
        self.assertNotIn("bad", headers["x-request-id"])
        problem = self.assert_problem(
            self.alice.raw("GET", TASK.format(uuid.uuid4()), headers={"X-Request-Id": "my-id-2"}),
            404)
        self.assertEqual(problem["correlation_id"], "my-id-2")

    def test_security_headers(self):
        for path in ("/dashboard", "/health", LIST, "/nothing"):
            _, headers, _ = self.alice.raw("GET", path)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["x-frame-options"], "DENY")
        _, headers, _ = self.alice.raw("GET", "/dashboard")
        self.assertIn("default-src 'none'", headers["content-security-policy"])

    def test_head_has_headers_and_no_body(self):
        for path in ("/health", "/dashboard", "/openapi.json", LIST):
            with self.subTest(path):
                status, headers, body = self.alice.raw("HEAD", path)
                self.assertEqual((status, body), (200, b""))
                self.assertGreater(int(headers["content-length"]), 0)
        self.assertEqual(self.nobody.raw("HEAD", LIST)[0], 401)

    def test_cors_by_allow_list(self):
        preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
                     "Access-Control-Request-Headers": "authorization, content-type"}
        status, headers, body = self.nobody.raw("OPTIONS", SUBMIT, headers=preflight)
        self.assertEqual((status, body), (204, b""))
        self.assertEqual(headers["access-control-allow-origin"], "https://app.example.com")
        self.assertIn("POST", headers["access-control-allow-methods"])
        self.assertIn("authorization", headers["access-control-allow-headers"])
        for origin in ("https://evil.example.com", "null", "https://app.example.com.evil.com"):
            with self.subTest(origin):
                _, headers, _ = self.nobody.raw("OPTIONS", SUBMIT,
                                                headers={**preflight, "Origin": origin})
                self.assertNotIn("access-control-allow-origin", headers)
        _, headers, _ = self.alice.raw("GET", LIST, headers={"Origin": "https://app.example.com"})
        self.assertEqual(headers["access-control-allow-origin"], "https://app.example.com")
        self.assertIn("origin", headers["vary"].lower())

    def test_keep_alive_serves_many_requests_on_one_connection(self):
        connection = http.client.HTTPConnection(self.alice.host, self.alice.port, timeout=10)
        try:
            connection.connect()
            local = connection.sock.getsockname()
            for path in (LIST, "/nothing", "/health", LIST):
                connection.request("GET", path,
                                   headers={"Authorization": f"Bearer {self.alice.token}"})
                connection.getresponse().read()
                self.assertEqual(connection.sock.getsockname(), local)
        finally:
            connection.close()

    def test_pages(self):
        for path, kind in (("/", "text/html"), ("/dashboard", "text/html"), ("/docs", "text/html"),
                           ("/docs/", "text/html"), ("/openapi.json", "application/json")):
            with self.subTest(path):
                status, headers, body = self.nobody.raw("GET", path)
                self.assertEqual(status, 200)
                self.assertTrue(headers["content-type"].startswith(kind))
                self.assertTrue(body)

    def test_openapi_has_the_rest_table(self):
        document = self.nobody.get("/openapi.json")
        self.assertEqual(document["openapi"], "3.1.0")
        for verb, path in ROUTES:
            with self.subTest(f"{verb} {path}"):
                self.assertIn(path, document["paths"])
                operation = document["paths"][path][verb]
                self.assertTrue(operation["description"])
                self.assertIn("default", operation["responses"])
        submit = document["paths"][SUBMIT]["post"]
        self.assertIn("202", submit["responses"])
        self.assertIn("idempotency-key", [p["name"] for p in submit["parameters"]])
        self.assertEqual(document["paths"]["/health"]["get"]["security"], [])
        for verb, path in (("post", "/api/v1/ws/ticket"), ("post", "/api/v1/session"),
                           ("delete", "/api/v1/session"), ("get", "/ws")):
            self.assertIn("default", document["paths"][path][verb]["responses"])


if __name__ == "__main__":
    main()
