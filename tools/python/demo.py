"""The main job on real input: draft an RFC from a prompt, make it a PDF, fetch it, draft it again.

Every step goes through the edge, as a front end would: REST to submit, WebSocket and SSE to follow,
REST to download. Raises DemoError when any step does not do what it must.
"""

import asyncio
import json
import subprocess
import threading
from pathlib import Path

from client import ApiError, Client, websocket


class DemoError(Exception):
    pass


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise DemoError(message)


class Follower:
    """Follows a user's WebSocket in a thread and keeps what arrives."""

    def __init__(self, client: Client):
        self.client = client
        self.events: list[dict] = []
        self.changed = threading.Condition()
        self.failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait(lambda e: e["type"] == "subscribed", 10)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._follow())
        except BaseException as error:  # handed to whoever waits
            self.failure = error
        with self.changed:
            self.changed.notify_all()

    async def _follow(self) -> None:
        async with websocket(self.client) as socket:
            stopping = asyncio.ensure_future(self._stop.wait())
            while True:
                reading = asyncio.ensure_future(socket.recv())
                await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    reading.cancel()
                    return
                with self.changed:
                    self.events.append(json.loads(reading.result()))
                    self.changed.notify_all()

    def wait(self, matches, timeout_s: float, seen: int = 0, each=None) -> dict:
        """The first event from number `seen` on that matches; `each` is called for all before."""
        with self.changed:
            while True:
                while seen < len(self.events):
                    event = self.events[seen]
                    seen += 1
                    if each:
                        each(event)
                    if matches(event):
                        return event
                if self.failure:
                    raise DemoError(f"the WebSocket ended: {self.failure}")
                if not self.changed.wait(timeout_s):
                    raise DemoError(f"no matching event within {timeout_s} s; "
                                    f"last: {self.events[-1:]}")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def _position(event: dict) -> str:
    """The event's epoch:offset in its channel. Progress is conflated and has none of its own: then
    the user's part of the cursor, up to where the stream is complete."""
    if event.get("position"):
        return event["position"]
    parts = [part[1:] for part in event.get("cursor", "").split(".") if part.startswith("u")]
    return parts[0] if parts else "-"


def _show(event: dict) -> None:
    payload = event.get("payload", {})
    text = {"task_progress": f"{payload.get('progress', 0):>3.0f} %  "
                             f"{payload.get('progress_message', '')}"}.get(
        event["type"], payload.get("message", ""))
    print(f"  {_position(event):<24} {event['type']:<15} {text}".rstrip(), flush=True)


def _run_task(client: Client, follower: Follower, task_type: str, args: dict) -> dict:
    """Submits, prints each event as it arrives, checks SSE against the WebSocket; the final task."""
    seen = len(follower.events)
    task = client.submit(task_type, args)
    task_id = task["task_id"]
    print(f"task {task_id} {task_type}", flush=True)
    states = []

    def follow_sse():
        for event in client.events(f"/async-monitoring/tasks/{task_id}/stream/"):
            if event["event"] == "message":
                states.append(event["data"]["status"])

    sse = threading.Thread(target=follow_sse, daemon=True)
    sse.start()
    last = follower.wait(
        lambda e: e.get("task_id") == task_id and e["type"] in
        ("task_completed", "task_failed", "task_cancelled"), 180, seen,
        each=lambda e: _show(e) if e.get("task_id") == task_id else None)
    sse.join(30)
    task = client.get(f"/api/v1/async-tasks/{task_id}")
    _check(last["type"] == "task_completed",
           f"{task_type} ended as {task['status']}: {task.get('error')}")
    _check(task["status"] == "SUCCEEDED", f"{task_type} is {task['status']}")
    _check(not sse.is_alive() and states[-1:] == ["SUCCEEDED"],
           f"SSE saw {states} and not the end")
    print(f"  SSE saw {' -> '.join(dict.fromkeys(states))}", flush=True)
    return task


def _llm_hits(client: Client) -> int:
    stats = client.get("/api/v1/performance/cache/stats")
    return sum(int(entry["counters"]["hits_count"]) for entry in stats["types"] if entry["type"] == "LLM_RESPONSE")


def _pdf_text(path: Path) -> str:
    return subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True,
                          text=True).stdout


def run(owner: Client, other: Client, prompt_file: Path, folder: Path) -> dict:
    """The whole job. `other` is a client with another user's token. Returns the facts it printed."""
    prompt = prompt_file.read_text()
    follower = Follower(owner)
    try:
        before = _llm_hits(owner)
        print(f"\n== Draft of {prompt_file.name}")
        draft = _run_task(owner, follower, "llm_generate_rfc", {"prompt": prompt})
        print(f"  subject: {draft['result']['subject']}; {draft['result']['words']:.0f} words by the "
              f"{draft['result']['drafter']} drafter")

        print("\n== PDF of the draft")
        pdf = _run_task(owner, follower, "generate_pdf",
                        {"artifact_id": draft["result"]["artifact_id"]})
        artifact = pdf["artifacts"][0]
        path = f"/api/v1/artifacts/{artifact['artifact_id']}"
        status, _, body = owner.raw("GET", path)
        _check(status == 200 and body.startswith(b"%PDF-"), f"no PDF came: {status} {body[:200]!r}")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / artifact["name"]
        file.write_bytes(body)
        text = " ".join(_pdf_text(file).split()).lower()
        subject = draft["result"]["subject"]
        _check(" ".join(subject.split()).lower() in text, f"the PDF does not name {subject!r}")
        for heading in draft["result"]["sections"]:
            _check(" ".join(heading.split()).lower() in text,
                   f"the PDF lacks the heading {heading!r}")
        print(f"  PDF: {file} ({len(body)} bytes, {pdf['result']['pages']:.0f} pages, "
              f"all {len(draft['result']['sections'])} headings of the draft)")
        try:
            other.get(path)
            raise DemoError("another user could read the artifact")
        except ApiError as error:
            _check(error.status == 404, f"another user got {error.status}, not 404")
        print("  another user asking for it gets 404")

        print("\n== The same draft again")
        middle = _llm_hits(owner)
        again = _run_task(owner, follower, "llm_generate_rfc", {"prompt": prompt})
        after = _llm_hits(owner)
        _check(again["result"]["markdown"] == draft["result"]["markdown"], "the drafts differ")
        _check(after == middle + 1, f"the cache counted {after - middle} hits, not 1")
        print(f"  CACHE HIT (llm_response hits at the cache: {middle} -> {after})")
        return {"draft": draft, "pdf": pdf, "again": again, "file": file, "hits_before": before}
    finally:
        follower.close()
