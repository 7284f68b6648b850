"""tools/slipctl against a running suite: its token is accepted, its verbs do what they say."""

import json
import subprocess
import unittest

from shared_suite import ROOT, Client, SharedSuite, main, wait_final

SUITE = SharedSuite()
setUpModule, tearDownModule = SUITE.start, SUITE.stop
LIST = "/api/v1/async-tasks/user/tasks"


def slipctl(*arguments: str, code: int = 0) -> str:
    """Its standard output, or with another exit code its standard error."""
    done = subprocess.run([ROOT / "tools/slipctl", *arguments, "--run", SUITE.suite.folder],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != code:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if code == 0 else done.stderr


class SlipctlTest(unittest.TestCase):
    def test_token_prints_the_token_alone(self):
        printed = slipctl("token", "--user", "alice")
        token = printed.strip()
        self.assertEqual(printed, token + "\n")
        self.assertEqual(token.count("."), 2)
        alice = Client(SUITE.suite.base, token)
        self.assertEqual(alice.raw("GET", LIST)[0], 200)
        self.assertEqual(alice.raw("POST", "/api/v1/async-tasks/cleanup", {})[0], 403)
        admin = Client(SUITE.suite.base, slipctl("token", "--user", "root", "--admin").strip())
        self.assertEqual(admin.raw("POST", "/api/v1/async-tasks/cleanup", {})[0], 200)

    def test_submit_watch_tasks_stats(self):
        prompt = ROOT / "services/worker/testdata/prompts/session_tokens.txt"
        task = json.loads(slipctl("submit", "llm_generate_rfc", "--prompt", str(prompt),
                                  "--user", "dora"))
        wait_final(SUITE.client("dora"), task["task_id"])
        states = [json.loads(line) for line in
                  slipctl("watch", task["task_id"], "--user", "dora").splitlines()]
        self.assertEqual(states[-1]["status"], "SUCCEEDED")
        lines = slipctl("tasks", "--user", "dora").splitlines()
        self.assertEqual(len(lines), 1)
        self.assertIn(task["task_id"], lines[0])
        self.assertEqual(slipctl("tasks", "--user", "dora", "--status", "FAILED"), "")
        self.assertEqual(slipctl("tasks", "--user", "nobody-yet"), "")
        self.assertEqual(json.loads(slipctl("stats")).keys(), {"queue", "cache"})

    def test_errors_say_what_to_do(self):
        self.assertIn("llm_generate_rfc", slipctl("submit", "no_such_type", code=1))
        self.assertIn("args.prompt", slipctl("submit", "llm_generate_rfc", code=1))
        self.assertIn("not JSON", slipctl("submit", "generate_pdf", "--args", "{", code=1))
        self.assertIn("cannot be reached",
                      slipctl("tasks", "--edge", "http://127.0.0.1:1", code=1))


if __name__ == "__main__":
    main()
