"""What is rare and must hold all the same: names outside ASCII, HEAD of a download, readers that
do not read."""

import base64
import os
import signal
import socket
import time
import unittest

from shared_suite import SharedSuite, main, wait_final

GRACE_MS = 4000
SUITE = SharedSuite(split=True, settings={"rpc": [f"drain_grace_ms: {GRACE_MS}"],
                                          "worker": ["drain_ms: 1000"],
                                          # One user gets as much as a connection can't take.
                                          "notification": ["user_messages_per_minute_count: 0"]})
setUpModule, tearDownModule = SUITE.start, SUITE.stop


class NamesTest(unittest.TestCase):
    def test_a_name_outside_ascii_runs_the_main_job(self):
        zoe = SUITE.client("zoë 東京", tenant="Ærø")
        draft = wait_final(zoe, zoe.submit("llm_generate_rfc", {
            "prompt": "The export must move to the queue."})["task_id"])
        self.assertEqual(draft["status"], "SUCCEEDED", draft.get("error"))
        pdf = wait_final(zoe, zoe.submit("generate_pdf", {
            "artifact_id": draft["result"]["artifact_id"]})["task_id"])
        self.assertEqual(pdf["status"], "SUCCEEDED", pdf.get("error"))
        path = f"/api/v1/artifacts/{pdf['artifacts'][0]['artifact_id']}"
        self.assertEqual(zoe.raw("GET", path)[0], 200)
        self.assertEqual(SUITE.client("zoë 東京").raw("GET", path)[0], 404, "another tenant's")


class HeadTest(unittest.TestCase):
    def test_head_of_a_download_leaves_the_connection_in_step(self):
        alice = SUITE.client()
        # A body that looks like an answer: read as one it would be somebody else's.
        body = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
        artifact = alice.call("POST", "/api/v1/artifacts?name=note.txt", body,
                              {"Content-Type": "text/plain"})
        request = (f"HEAD /api/v1/artifacts/{artifact['artifact_id']} HTTP/1.1\r\nHost: x\r\n"
                   f"Authorization: Bearer {alice.token}\r\n\r\n"
                   "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        with socket.create_connection((alice.host, alice.port), timeout=10) as connection:
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertNotIn(b"wrong", answer)
        self.assertEqual(answer.count(b"HTTP/1.1 200 OK"), 2, answer)
        self.assertIn(b'"services"', answer)


class ZStuckReaderTest(unittest.TestCase):
    """Comes last: it ends the edge."""

    def test_a_websocket_that_is_not_read_does_not_hold_the_edge_up(self):
        root = SUITE.admin()
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.settimeout(10)
            stuck.connect((root.host, root.port))
            key = base64.b64encode(os.urandom(16)).decode()
            stuck.sendall((f"GET /ws HTTP/1.1\r\nHost: {root.host}:{root.port}\r\n"
                           "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                           f"Authorization: Bearer {root.token}\r\n\r\n").encode())
            self.assertIn(b"101", stuck.recv(64))
            # More than the sockets' buffers hold, so that the edge's write waits for the reader.
            for n in range(300):
                root.post("/api/v1/notifications/broadcast",
                          {"payload": {"n": n, "text": "x" * 30000}})
            edge = SUITE.suite.processes["edge"]
            started = time.monotonic()
            edge.send_signal(signal.SIGTERM)
            SUITE.ended_by_test.add("edge")
            self.assertEqual(edge.wait(GRACE_MS / 1000 + 10), 0, SUITE.suite.log_end("edge"))
            self.assertLess(time.monotonic() - started, GRACE_MS / 1000 + 3)


if __name__ == "__main__":
    main()
