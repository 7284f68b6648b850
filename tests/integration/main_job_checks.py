"""What must hold of the main job however the suite runs: as one process or as seven."""

import contextlib
import io
import re
import tempfile
from pathlib import Path

from shared_suite import ROOT, wait_final

import demo

PROMPTS = ROOT / "services/worker/testdata/prompts"
EVENT_LINE = re.compile(r"^  [0-9a-f]{16}:\d+ +task_\w+", re.MULTILINE)


class MainJobChecks:
    """To be mixed into a TestCase; `shared` is the file's SharedSuite."""

    shared = None

    def counters(self) -> tuple[int, int]:
        """The cache's own hits and misses of drafts."""
        stats = self.shared.client().get("/api/v1/performance/cache/stats")
        entry = next(entry for entry in stats["types"] if entry["type"] == "LLM_RESPONSE")
        return int(entry["counters"]["hits_count"]), int(entry["counters"]["misses_count"])

    def draft(self, prompt: str) -> dict:
        client = self.shared.client()
        task = wait_final(client, client.submit("llm_generate_rfc", {"prompt": prompt})["task_id"])
        self.assertEqual(task["status"], "SUCCEEDED", task.get("error"))
        return task["result"]

    def test_1_the_main_job(self):
        """Draft, PDF, download, the same draft from the cache: the demo job checks each step."""
        printed = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
            facts = demo.run(self.shared.client("alice"), self.shared.client("bob"),
                             PROMPTS / "session_tokens.txt", Path(folder))
        text = printed.getvalue()
        self.assertIn("CACHE HIT", text)
        self.assertIn(".pdf", text)
        for task in (facts["draft"], facts["pdf"], facts["again"]):
            self.assertIn(task["task_id"], text)
        self.assertGreaterEqual(len(EVENT_LINE.findall(text)), 6, text)
        self.assertGreaterEqual(len(re.findall(r"task_progress", text)), 3, text)
        draft = facts["draft"]["result"]
        self.assertIn("offline", (draft["drafter"] + draft["note"]).lower())
        self.assertIn("token", draft["subject"].lower())
        self.assertGreaterEqual(len(draft["sections"]), 4)
        self.assertTrue(facts["again"]["result"]["cached"])
        self.assertFalse(draft["cached"])

    def test_2_prompts_decide_the_draft(self):
        tokens = self.draft((PROMPTS / "session_tokens.txt").read_text())
        invoices = self.draft((PROMPTS / "invoice_export.txt").read_text())
        self.assertNotEqual(tokens["markdown"], invoices["markdown"])
        self.assertIn("invoice", invoices["title"].lower() + invoices["subject"].lower())
        self.assertNotIn("invoice", tokens["markdown"].lower())
        self.assertIn("refresh", tokens["markdown"].lower())

    def test_3_one_changed_word_is_a_miss(self):
        prompt = (PROMPTS / "invoice_export.txt").read_text()
        self.draft(prompt)
        hits, misses = self.counters()
        self.assertTrue(self.draft(prompt)["cached"])
        self.assertEqual(self.counters(), (hits + 1, misses))
        changed = prompt.replace("Frankfurt", "Hamburg")
        self.assertNotEqual(changed, prompt)
        self.assertFalse(self.draft(changed)["cached"])
        self.assertEqual(self.counters(), (hits + 1, misses + 1))

    def test_4_users_do_not_share_drafts(self):
        prompt = "A private plan for the lighthouse. It must stay with its author. " * 3
        self.draft(prompt)
        client = self.shared.client("mallory")
        task = wait_final(client, client.submit("llm_generate_rfc", {"prompt": prompt})["task_id"])
        self.assertFalse(task["result"]["cached"], "another user's draft came from the cache")
