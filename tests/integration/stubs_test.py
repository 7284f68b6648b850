"""A caller and a worker in Python, from stubs that protoc makes of our protos: no C++ of ours."""

import queue
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

import grpc

from shared_suite import ROOT, SharedSuite, main

PROTOS = ROOT / "protos"
LEASE_MS = 3000
HEARTBEAT_MS = 300
SUITE = SharedSuite(settings={"task_queue": [
    f"lease_ms: {LEASE_MS}", f"heartbeat_interval_ms: {HEARTBEAT_MS}", "session_grace_ms: 300",
    "retry_backoff_base_ms: 20"]})
WAIT_S = 30


def generate(folder: str) -> None:
    """Messages and stubs of the task queue and of all that it imports."""
    files = sorted(str(path.relative_to(PROTOS)) for pattern in
                   ("google/api/*.proto", "google/rpc/*.proto", "slipstream/api/v1/*.proto",
                    "slipstream/task_queue/v1/*.proto") for path in PROTOS.glob(pattern))
    subprocess.run(["protoc", f"-I{PROTOS}", f"--python_out={folder}",
                    f"--grpc_python_out={folder}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *files],
                   check=True)
    sys.path.insert(0, folder)
    # Debian's protobuf owns the package `google`; ours is found beside it.
    import google
    google.__path__.append(f"{folder}/google")


def setUpModule():
    global pb, worker_pb, types_pb, status_pb, details_pb, queue_stub, worker_stub
    folder = tempfile.TemporaryDirectory(prefix="slip-stubs-")
    unittest.addModuleCleanup(folder.cleanup)
    generate(folder.name)
    from google.rpc import error_details_pb2 as details_pb, status_pb2 as status_pb
    from slipstream.task_queue.v1 import (task_queue_pb2 as pb, task_queue_pb2_grpc as queue_stub,
                                          task_type_pb2 as types_pb, worker_pb2 as worker_pb,
                                          worker_pb2_grpc as worker_stub)
    SUITE.start()


tearDownModule = SUITE.stop


def bearer(token: str):
    return (("authorization", f"Bearer {token}"),)


def reason_of(status) -> str:
    """The reason inside the ErrorInfo of a google.rpc.Status."""
    for detail in status.details:
        info = details_pb.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def reason_of_call(error: grpc.RpcError) -> str:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return reason_of(status_pb.Status.FromString(value))
    return ""


class PythonWorker:
    """A worker as the README tells to write one: hello, then run what is assigned."""

    def __init__(self, channel, token: str, name: str, task_type: str, slots: int = 2):
        self._outbox = queue.SimpleQueue()
        self._inbox = queue.Queue()
        self.send(hello=worker_pb.WorkRequest.Hello(
            worker_name=name, slots=slots, task_types=[reverse_text_type(task_type)]))
        self.call = worker_stub.WorkerServiceStub(channel).Work(
            iter(self._outbox.get, None), metadata=bearer(token))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            for response in self.call:
                self._inbox.put(response)
        except grpc.RpcError as error:
            self._inbox.put(error)
        self._inbox.put(None)

    def send(self, **message):
        self._outbox.put(worker_pb.WorkRequest(**message))

    def receive(self, kind: str, timeout_s: float = WAIT_S):
        """The next message of this kind; heartbeats go out meanwhile."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                response = self._inbox.get(timeout=HEARTBEAT_MS / 1000)
            except queue.Empty:
                self.send(heartbeat=worker_pb.WorkRequest.Heartbeat())
                continue
            if response is None or isinstance(response, grpc.RpcError):
                raise AssertionError(f"the stream ended while waiting for {kind}: {response}")
            if response.WhichOneof("message") == kind:
                return getattr(response, kind)
        raise AssertionError(f"no {kind} within {timeout_s} s")

    def end(self) -> None:
        self._outbox.put(None)
        self._reader.join(WAIT_S)

    def break_stream(self) -> None:
        self.call.cancel()
        self._reader.join(WAIT_S)


def reverse_text_type(name: str):
    made = types_pb.TaskType(name=name, description="Reverses a text.", deadline_ms=60000,
                             max_attempts=3, expected_min_ms=1, expected_max_ms=100)
    made.args_schema.update({"type": "object", "required": ["text"], "additionalProperties": False,
                             "properties": {"text": {"type": "string", "maxLength": 1000}}})
    made.example_args.update({"text": "stressed"})
    return made


class StubsCase(unittest.TestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(SUITE.suite.grpc_address("task_queue"))
        self.addCleanup(self.channel.close)
        self.stub = queue_stub.TaskQueueServiceStub(self.channel)
        self.alice = bearer(SUITE.suite.token("alice"))
        self.service = SUITE.suite.token("python-worker", ["service"])
        # Each test its own type, so that no worker takes another test's task.
        self.task_type = f"reverse_text_{uuid.uuid4().hex[:8]}"

    def worker(self, name: str = "python") -> PythonWorker:
        worker = PythonWorker(self.channel, self.service, name, self.task_type)
        self.addCleanup(worker.end)
        worker.welcome = worker.receive("welcome")
        return worker

    def submit(self, text: str, **options):
        request = pb.SubmitTaskRequest(task_type=self.task_type, **options)
        request.args.update({"text": text})
        return self.stub.SubmitTask(request, metadata=self.alice, timeout=WAIT_S)

    def get(self, task_id: str):
        return self.stub.GetTask(pb.GetTaskRequest(task_id=task_id), metadata=self.alice,
                                 timeout=WAIT_S)

    def success(self, assignment):
        success = worker_pb.WorkRequest.Success(task_id=assignment.task_id,
                                                lease_epoch=assignment.lease_epoch)
        success.result.update({"text": assignment.args["text"][::-1]})
        return success


class RunsTest(StubsCase):
    def test_a_task_from_submit_to_result(self):
        worker = self.worker()
        self.assertGreater(worker.welcome.heartbeat_interval_ms, 0)
        submitted = self.submit("stressed")
        watch = self.stub.WatchTask(pb.WatchTaskRequest(task_id=submitted.task_id),
                                    metadata=self.alice, timeout=60)
        states = []
        follower = threading.Thread(target=lambda: states.extend(watch), daemon=True)
        follower.start()
        assignment = worker.receive("assignment")
        self.assertEqual((assignment.task_id, assignment.owner, assignment.attempt,
                          assignment.args["text"]),
                         (submitted.task_id, "alice", 1, "stressed"))
        self.assertEqual(assignment.correlation_id, submitted.correlation_id)
        worker.send(progress=worker_pb.WorkRequest.Progress(
            task_id=assignment.task_id, lease_epoch=assignment.lease_epoch, percent=50,
            message="half way"))
        worker.send(success=self.success(assignment))
        ack = worker.receive("ack")
        self.assertTrue(ack.accepted, ack)
        follower.join(WAIT_S)
        self.assertFalse(follower.is_alive(), "the watch did not end")
        self.assertEqual(states[-1].result["text"], "desserts")
        task = self.get(submitted.task_id)
        self.assertEqual((task.status, task.progress), (task.SUCCEEDED, 100))
        # What a worker reports twice, for want of an answer, counts once and is accepted.
        worker.send(success=self.success(assignment))
        self.assertTrue(worker.receive("ack").accepted)

    def test_the_type_is_known_to_callers(self):
        self.worker()
        types = self.stub.ListTaskTypes(pb.ListTaskTypesRequest(), metadata=self.alice)
        found = next(t for t in types.task_types if t.name == self.task_type)
        self.assertEqual(found.worker_count, 1)
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub.SubmitTask(pb.SubmitTaskRequest(task_type=self.task_type),
                                 metadata=self.alice)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_progress_is_seen_before_the_end(self):
        worker = self.worker()
        task_id = self.submit("abc").task_id
        assignment = worker.receive("assignment")
        worker.send(progress=worker_pb.WorkRequest.Progress(
            task_id=task_id, lease_epoch=assignment.lease_epoch, percent=42, message="at it"))
        for task in self.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id), metadata=self.alice,
                                        timeout=WAIT_S):
            if task.progress == 42:
                break
        self.assertEqual((task.progress_message, task.status), ("at it", task.RUNNING))
        worker.send(success=self.success(assignment))
        worker.receive("ack")

    def test_cancel_reaches_the_worker(self):
        worker = self.worker()
        task_id = self.submit("abc").task_id
        assignment = worker.receive("assignment")
        started = time.monotonic()
        self.stub.CancelTask(pb.CancelTaskRequest(task_id=task_id), metadata=self.alice)
        cancel = worker.receive("cancel")
        self.assertLess(time.monotonic() - started, 2)
        self.assertEqual((cancel.task_id, cancel.lease_epoch, cancel.reason),
                         (task_id, assignment.lease_epoch, "CANCELLED"))
        worker.send(success=self.success(assignment))
        self.assertFalse(worker.receive("ack").accepted)
        self.assertEqual(self.get(task_id).status, self.get(task_id).CANCELLED)

    def test_a_failure_is_tried_again(self):
        worker = self.worker()
        task_id = self.submit("abc").task_id
        first = worker.receive("assignment")
        worker.send(failure=worker_pb.WorkRequest.Failure(
            task_id=task_id, lease_epoch=first.lease_epoch, reason="BAD_LUCK", message="once more",
            retryable=True))
        self.assertTrue(worker.receive("ack").accepted)
        second = worker.receive("assignment")
        self.assertEqual((second.task_id, second.attempt), (task_id, 2))
        self.assertGreater(second.lease_epoch, first.lease_epoch)
        worker.send(failure=worker_pb.WorkRequest.Failure(
            task_id=task_id, lease_epoch=second.lease_epoch, reason="NO_USE", message="give up"))
        self.assertTrue(worker.receive("ack").accepted)
        task = self.get(task_id)
        self.assertEqual((task.status, task.error.reason), (task.FAILED, "NO_USE"))

    def test_a_release_costs_no_attempt(self):
        worker = self.worker()
        task_id = self.submit("abc").task_id
        first = worker.receive("assignment")
        worker.send(release=worker_pb.WorkRequest.Release(task_id=task_id,
                                                          lease_epoch=first.lease_epoch))
        again = worker.receive("assignment")
        self.assertEqual((again.task_id, again.attempt), (task_id, 1))
        worker.send(success=self.success(again))


class FencingTest(StubsCase):
    def test_a_stale_epoch_is_refused(self):
        lost = self.worker("lost")
        task_id = self.submit("stressed").task_id
        first = lost.receive("assignment")
        lost.break_stream()
        heir = self.worker("heir")
        second = heir.receive("assignment")
        self.assertEqual(second.task_id, task_id)
        self.assertGreater(second.lease_epoch, first.lease_epoch)
        for report in ("success", "failure", "progress", "release"):
            with self.subTest(report):
                message = {
                    "success": lambda: self.success(first),
                    "failure": lambda: worker_pb.WorkRequest.Failure(
                        task_id=task_id, lease_epoch=first.lease_epoch, reason="OLD"),
                    "progress": lambda: worker_pb.WorkRequest.Progress(
                        task_id=task_id, lease_epoch=first.lease_epoch, percent=99),
                    "release": lambda: worker_pb.WorkRequest.Release(
                        task_id=task_id, lease_epoch=first.lease_epoch),
                }[report]()
                heir.send(**{report: message})
                ack = heir.receive("ack")
                self.assertFalse(ack.accepted)
                self.assertEqual((ack.lease_epoch, reason_of(ack.error)),
                                 (first.lease_epoch, "STALE_LEASE"))
        self.assertEqual(self.get(task_id).status, self.get(task_id).RUNNING)
        heir.send(success=self.success(second))
        self.assertTrue(heir.receive("ack").accepted)
        self.assertEqual(self.get(task_id).result["text"], "desserts")

    def test_another_workers_lease_is_refused(self):
        holder, thief = self.worker("holder"), self.worker("thief")
        task_id = self.submit("stressed").task_id
        # Either may be given the task.
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                assignment = holder.receive("assignment", 1)
                break
            except AssertionError:
                holder, thief = thief, holder
                self.assertLess(time.monotonic(), deadline)
        thief.send(success=self.success(assignment))
        ack = thief.receive("ack")
        self.assertEqual((ack.accepted, reason_of(ack.error)), (False, "STALE_LEASE"))
        self.assertEqual(self.get(task_id).status, self.get(task_id).RUNNING)
        holder.send(success=self.success(assignment))
        self.assertTrue(holder.receive("ack").accepted)

    def test_a_silent_worker_loses_its_lease(self):
        silent = self.worker("silent")
        task_id = self.submit("stressed").task_id
        first = silent.receive("assignment")
        heir = self.worker("heir")  # only the heir's receive() sends heartbeats from now on
        second = heir.receive("assignment", LEASE_MS / 1000 + 15)
        self.assertEqual((second.task_id, second.lease_epoch > first.lease_epoch), (task_id, True))
        heir.send(success=self.success(second))
        self.assertTrue(heir.receive("ack").accepted)


class AccessTest(StubsCase):
    def test_wrong_tokens(self):
        suite = SUITE.suite
        for name, metadata in (("none", ()), ("garbage", bearer("garbage")),
                               ("expired", bearer(suite.token("alice", exp=int(time.time()) - 999))),
                               ("other scheme", (("authorization", "Basic YTpi"),))):
            with self.subTest(name):
                with self.assertRaises(grpc.RpcError) as raised:
                    self.stub.GetQueueStats(pb.GetQueueStatsRequest(), metadata=metadata,
                                            timeout=WAIT_S)
                self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
                self.assertTrue(reason_of_call(raised.exception))
                with self.assertRaises(grpc.RpcError) as raised:
                    next(worker_stub.WorkerServiceStub(self.channel).Work(
                        iter([worker_pb.WorkRequest()]), metadata=metadata, timeout=WAIT_S))
                self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)

    def test_a_user_is_no_worker(self):
        hello = worker_pb.WorkRequest(hello=worker_pb.WorkRequest.Hello(
            worker_name="alice", slots=1, task_types=[reverse_text_type(self.task_type)]))
        with self.assertRaises(grpc.RpcError) as raised:
            next(worker_stub.WorkerServiceStub(self.channel).Work(
                iter([hello]), metadata=self.alice, timeout=WAIT_S))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.PERMISSION_DENIED)

    def test_only_services_act_for_users(self):
        acting = (("x-slipstream-act-as-user", "bob"),)
        self.worker()
        request = pb.SubmitTaskRequest(task_type=self.task_type)
        request.args.update({"text": "x"})
        task = self.stub.SubmitTask(request, metadata=bearer(self.service) + acting, timeout=WAIT_S)
        self.assertEqual(task.owner, "bob")
        with self.assertRaises(grpc.RpcError) as raised:
            self.stub.SubmitTask(request, metadata=self.alice + acting, timeout=WAIT_S)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.PERMISSION_DENIED)

    def test_wrong_first_messages(self):
        wrong = [worker_pb.WorkRequest(), worker_pb.WorkRequest(
            heartbeat=worker_pb.WorkRequest.Heartbeat()),
            worker_pb.WorkRequest(hello=worker_pb.WorkRequest.Hello(worker_name="x", slots=1)),
            worker_pb.WorkRequest(hello=worker_pb.WorkRequest.Hello(
                worker_name="x", slots=0, task_types=[reverse_text_type(self.task_type)])),
            worker_pb.WorkRequest(hello=worker_pb.WorkRequest.Hello(
                worker_name="x", slots=1, task_types=[types_pb.TaskType(name="NOT A NAME")]))]
        for message in wrong:
            with self.subTest(str(message)):
                with self.assertRaises(grpc.RpcError) as raised:
                    next(worker_stub.WorkerServiceStub(self.channel).Work(
                        iter([message]), metadata=bearer(self.service), timeout=WAIT_S))
                self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)


if __name__ == "__main__":
    main()
