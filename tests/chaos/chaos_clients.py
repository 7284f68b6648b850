"""The clients of queue_chaos.py: they submit every task with a request id until it is acknowledged,
at whichever server answers, and read all of them back at the end."""

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc

from suite import ROOT

CALL_TIMEOUT_S = 4
BULK_COUNT = 100
USERS = ["ann", "bob", "cho", "dee"]
TRANSIENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
             grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED}


def make_stubs(folder: Path, service: str) -> None:
    """Lets `slipstream.SERVICE.v1` be imported: messages and stubs made by protoc in `folder`."""
    protos = ROOT / "protos"
    out = folder / "stubs"
    out.mkdir()
    files = sorted(str(path.relative_to(protos)) for pattern in
                   ("google/api/*.proto", "google/rpc/*.proto", "slipstream/api/v1/*.proto",
                    f"slipstream/{service}/v1/*.proto") for path in protos.glob(pattern))
    subprocess.run(["protoc", f"-I{protos}", f"--python_out={out}", f"--grpc_python_out={out}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *files],
                   check=True)
    sys.path.insert(0, str(out))
    import google
    google.__path__.append(f"{out}/google")  # Debian's protobuf owns the package `google`


def load_stubs(folder: Path) -> None:
    make_stubs(folder, "task_queue")
    global pb, task_pb, stubs
    from slipstream.task_queue.v1 import (task_pb2 as task_pb, task_queue_pb2 as pb,
                                          task_queue_pb2_grpc as stubs)


def checksum(data: str) -> str:
    """FNV-1a, 64 bits, as chaos_worker.cc works it out."""
    value = 0xcbf29ce484222325
    for byte in data.encode():
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return f"{value:016x}"


def data_of(seed: int, number: int) -> str:
    return f"{seed}/{number}/" + "x" * (number % 40)


class Caller:
    """One user's calls, at the servers in turn."""

    def __init__(self, addresses: list[str], token: str, rng: random.Random):
        options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 50),
                   ("grpc.use_local_subchannel_pool", 1)]
        self.channels = [grpc.insecure_channel(address, options) for address in addresses]
        self.stubs = [stubs.TaskQueueServiceStub(channel) for channel in self.channels]
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.rng = rng
        self.at = rng.randrange(len(addresses))

    def call(self, method: str, request, at: int | None = None):
        stub = self.stubs[self.at if at is None else at]
        return getattr(stub, method)(request, timeout=CALL_TIMEOUT_S, metadata=self.metadata)

    def insist(self, method: str, request, until: float):
        """Again at another server while it fails for the moment; the answer and how many tries."""
        for tries in range(1, 10_000):
            try:
                return self.call(method, request), tries
            except grpc.RpcError as error:
                if error.code() not in TRANSIENT or time.monotonic() > until:
                    raise
            self.at = (self.at + 1) % len(self.stubs)
            time.sleep(self.rng.uniform(0.01, 0.1))
        raise AssertionError("unreachable")

    def close(self) -> None:
        for channel in self.channels:
            channel.close()


class Submitter(threading.Thread):
    """Submits the tasks [first, last) of one user, never beyond what `allowed` says."""

    def __init__(self, caller: Caller, user: str, seed: int, numbers: range, allowed, until: float):
        super().__init__(name=f"submitter-{user}", daemon=True)
        self.caller, self.user, self.seed = caller, user, seed
        self.numbers, self.allowed, self.until = numbers, allowed, until
        self.acknowledged: dict[str, int] = {}  # task id -> number
        self.repeated_calls = 0
        self.last_acknowledged = ""
        self.failure = ""
        self.stopping = False
        self.requests: dict[int, object] = {}  # not acknowledged yet

    def run(self) -> None:
        try:
            waiting = list(self.numbers)
            done = 0
            while done < len(waiting) and not self.stopping:
                if done > self.allowed() * len(waiting):
                    time.sleep(0.01)
                    continue
                bulk = waiting[done:done + self.caller.rng.choice([1, 20, BULK_COUNT])]
                self._submit(bulk)
                done += len(bulk)
        except Exception as error:  # told by the verdict
            self.failure = f"{type(error).__name__}: {error}"

    def _request(self, number: int):
        """The same each time: another request with this id would be refused."""
        if number not in self.requests:
            self.requests[number] = self._make(number)
        return self.requests[number]

    def _make(self, number: int):
        pick = random.Random(f"{self.seed}/{number}")
        long = pick.random() < 0.1
        request = pb.SubmitTaskRequest(
            task_type="chaos", priority=pick.randint(1, 4), request_id=f"r-{self.seed}-{number}",
            max_attempts=100)
        request.args["data"] = data_of(self.seed, number)
        # Some are long enough for a lease to end in their middle.
        request.args["ms"] = pick.randint(300, 2000) if long else pick.randint(0, 20)
        if pick.random() < 0.02:
            request.delay_ms = pick.randint(100, 3000)
        # Those whose end changes more than themselves.
        kind = pick.random()
        if kind < 0.05:
            request.concurrency_key = f"key{pick.randrange(40)}"
        elif kind < 0.1:
            request.task_type = "chaos_limited"
        elif kind < 0.15 and self.last_acknowledged:
            request.depends_on.append(self.last_acknowledged)
        return request

    def _submit(self, bulk: list[int]) -> None:
        while bulk:
            if len(bulk) == 1:
                task, tries = self.caller.insist("SubmitTask", self._request(bulk[0]), self.until)
                self._take(task, bulk[0])
                again = []
            else:
                request = pb.BulkSubmitTasksRequest(tasks=[self._request(n) for n in bulk])
                response, tries = self.caller.insist("BulkSubmitTasks", request, self.until)
                again = []
                for number, result in zip(bulk, response.results, strict=True):
                    if result.HasField("task"):
                        self._take(result.task, number)
                    elif result.error.retryable and time.monotonic() < self.until:
                        again.append(number)
                    else:
                        raise RuntimeError(f"task {number} was refused: {result.error}")
            self.repeated_calls += tries - 1
            bulk = again

    def _take(self, task, number: int) -> None:
        self.last_acknowledged = task.task_id
        self.requests.pop(number, None)
        if self.acknowledged.setdefault(task.task_id, number) != number:
            raise RuntimeError(f"{task.task_id} was given to tasks {number} and "
                               f"{self.acknowledged[task.task_id]}")


def read_all(caller: Caller, task_ids: list[str], until: float) -> dict[str, object]:
    """Every task as the queue has it; those that it does not know are left out."""
    found = {}
    for first in range(0, len(task_ids), BULK_COUNT):
        request = pb.BulkGetTasksRequest(task_ids=task_ids[first:first + BULK_COUNT])
        response, _ = caller.insist("BulkGetTasks", request, until)
        for task in response.tasks:
            found[task.task_id] = task
    return found


def status_name(task) -> str:
    return task_pb.Task.Status.Name(task.status)
