"""A small HTTP client of the edge: JSON calls, Server-Sent Events, the WebSocket. Standard library
and Debian's python3-websockets alone."""

import http.client
import json
import time
import urllib.parse
from typing import Iterator


class ApiError(Exception):
    """An answer that is not a success; `problem` is the problem+json body."""

    def __init__(self, status: int, problem: dict, headers: dict):
        super().__init__(f"{status} {problem.get('reason', '')}: {problem.get('detail', problem)}")
        self.status, self.problem, self.headers = status, problem, headers


class Client:
    """Calls the edge at `base` ("http://127.0.0.1:8080") with a token. Not for several threads."""

    def __init__(self, base: str, token: str = "", timeout_s: float = 30):
        url = urllib.parse.urlsplit(base)
        self.host, self.port = url.hostname, url.port or 80
        self.token, self.timeout_s = token, timeout_s

    def _open(self, method: str, path: str, body=None, headers=None, timeout_s=None):
        connection = http.client.HTTPConnection(self.host, self.port,
                                                timeout=timeout_s or self.timeout_s)
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        connection.request(method, path, body=body, headers=sent)
        return connection, connection.getresponse()

    def raw(self, method: str, path: str, body=None, headers=None) -> tuple[int, dict, bytes]:
        """Status, headers (lower-case names) and body, whatever the status."""
        connection, response = self._open(method, path, body, headers)
        try:
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def call(self, method: str, path: str, body=None, headers=None):
        """The parsed JSON of a success; ApiError otherwise."""
        status, got, data = self.raw(method, path, body, headers)
        answer = json.loads(data) if data else {}
        if status >= 400:
            raise ApiError(status, answer, got)
        return answer

    def get(self, path: str):
        return self.call("GET", path)

    def post(self, path: str, body):
        return self.call("POST", path, body)

    def submit(self, task_type: str, args: dict, **options) -> dict:
        return self.post("/api/v1/async-tasks/submit",
                         {"task_type": task_type, "args": args, **options})

    def events(self, path: str, headers=None, timeout_s: float = 300) -> Iterator[dict]:
        """Server-Sent Events as {"event", "id", "data"}, until the stream ends. TimeoutError when
        it has not ended after `timeout_s` (the edge's heartbeats let a quiet stream see the time).
        """
        deadline = time.monotonic() + timeout_s
        connection, response = self._open("GET", path, headers={"Accept": "text/event-stream",
                                                                **(headers or {})},
                                          timeout_s=timeout_s)
        try:
            if response.status != 200:
                raise ApiError(response.status, json.loads(response.read()), {})
            event = {}
            for raw in response:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} has not ended after {timeout_s} s")
                line = raw.decode().rstrip("\r\n")
                if not line:
                    if "data" in event:
                        yield {"event": event.get("event", "message"), "id": event.get("id", ""),
                               "data": json.loads(event["data"])}
                    event = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(":")
                    event[name] = value.removeprefix(" ")
        finally:
            connection.close()


def websocket(client: Client, cursor: str = ""):
    """A connection of python3-websockets to /ws, signed in; to be entered with `async with`."""
    import websockets  # the one package that is not in the standard library

    url = f"ws://{client.host}:{client.port}/ws"
    if cursor:
        url += "?cursor=" + urllib.parse.quote(cursor)
    return websockets.connect(url, extra_headers={"Authorization": f"Bearer {client.token}"},
                              max_size=4 << 20)
