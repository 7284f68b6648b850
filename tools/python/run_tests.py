"""Runs every test of the suite and sums them up (see tools/test)."""

import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from suite import ROOT

PYTHON = "/usr/bin/python3"
# No single command may hang the run; the whole is under 45 minutes from a cold start.
COMMAND_TIMEOUT_S = 2700


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Count") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures

    def fail(self, what: str) -> "Count":
        self.failed += 1
        self.failures.append(what)
        return self


def _run(command: list, **options) -> tuple[int, str]:
    """Runs with its output shown as it comes; the exit code and the output."""
    print("$ " + " ".join(str(part) for part in command), flush=True)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, text=True, errors="replace",
                               start_new_session=True, **options)
    # The whole group: a grandchild that holds the pipe would keep the loop below waiting.
    timer = threading.Timer(COMMAND_TIMEOUT_S, os.killpg, (process.pid, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    code = process.wait()
    timer.cancel()
    return code, "".join(lines)


def _single(name: str, command: list) -> Count:
    """A command that is one test: it passes when it exits with 0."""
    code, _ = _run(command)
    return Count(passed=1) if code == 0 else Count().fail(name)


# -- steps ---------------------------------------------------------------------------------------


def setup_is_a_noop() -> Count:
    started = time.monotonic()
    code, _ = _run(["tools/setup"])
    took = time.monotonic() - started
    if code == 0 and took < 2:
        return Count(passed=1)
    return Count().fail(f"tools/setup with nothing to do took {took:.1f} s and exited {code}")


def tidy() -> Count:
    return _single("tools/tidy", ["tools/tidy"])


def protos() -> Count:
    count = _single("buf lint", ["node_modules/.bin/buf", "lint", "protos"])
    count.add(_single("buf breaking", ["node_modules/.bin/buf", "breaking", "protos", "--against",
                                       "protos/baseline.binpb"]))
    return count


def _bazel(*arguments: str) -> list[str]:
    return ["bazel", *arguments, "--curses=no", "--show_progress_rate_limit=15"]


def _xml_count(file: Path) -> Count:
    """The cases of one test.xml: gtest's own, or the one that Bazel makes of an exit code."""
    count = Count()
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        for case in suite.findall("testcase"):
            name = f"{case.get('classname', '')}.{case.get('name', '')}"
            if case.find("failure") is not None or case.find("error") is not None:
                count.fail(f"{file.parent.name}: {name}")
            elif case.find("skipped") is not None or case.get("status") == "notrun":
                count.skipped += 1
            else:
                count.passed += 1
    return count


def _bazel_test(config: list[str], targets: list[str]) -> Count:
    code, output = _run(_bazel("test", "--keep_going", *config, *targets))
    logs = subprocess.run(["bazel", "info", "bazel-testlogs", *config], cwd=ROOT, text=True,
                          capture_output=True, check=True).stdout.strip()
    count = Count()
    for label in re.findall(r"^(//\S+)\s+(?:\(cached\) )?(?:PASSED|FLAKY|FAILED in|TIMEOUT)", output,
                            re.MULTILINE):
        package, name = label[2:].split(":")
        file = Path(logs) / package / name / "test.xml"
        got = _xml_count(file) if file.exists() else Count()
        if not got.passed and not got.failed:
            got.fail(f"{label}: no case ran")
        count.add(got)
    if code != 0 and not count.failed:
        count.fail(f"bazel exited with {code}")
    return count


def cpp() -> Count:
    return _bazel_test([], ["//..."])


def binaries() -> Count:
    return _single("bazel build //services/... //tests/bench/... //tests/chaos/...",
                   _bazel("build", "//services/...", "//tests/bench/...", "//tests/chaos/..."))


def _script_count(name: str, code: int, output: str) -> Count:
    """Sums up what a test script printed: unittest, node:test, or our own closing line."""
    count = Count()
    if ran := re.search(r"^Ran (\d+) tests? in", output, re.MULTILINE):
        bad = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", output))
        count.skipped = sum(int(n) for n in re.findall(r"skipped=(\d+)", output))
        count.passed = int(ran[1]) - bad - count.skipped
        for line in re.findall(r"^(?:FAIL|ERROR): (.*)$", output, re.MULTILINE):
            count.fail(f"{name}: {line}")
    elif re.search(r"^# pass (\d+)", output, re.MULTILINE):
        for kind, number in re.findall(r"^# (pass|fail|skipped|todo) (\d+)", output, re.MULTILINE):
            if kind == "pass":
                count.passed += int(number)
            elif kind == "fail":
                for _ in range(int(number)):
                    count.fail(name)
            else:
                count.skipped += int(number)
    elif closing := re.search(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", output,
                              re.MULTILINE):
        count.passed, count.skipped = int(closing[1]), int(closing[3] or 0)
        for line in re.findall(r"^FAIL:? (.*)$", output, re.MULTILINE) or [name] * int(closing[2]):
            count.fail(f"{name}: {line}")
    if code != 0 and not count.failed:
        count.fail(f"{name} exited with {code}")
    if code == 0 and not count.passed:
        count.fail(f"{name} ran no test")
    return count


def _script(path: Path) -> Count:
    name = str(path.relative_to(ROOT))
    if path.suffix == ".mjs":
        command = ["node", "--test", "--test-reporter=tap", path]
    elif path.suffix == ".sh":
        command = ["bash", path]
    else:
        command = [PYTHON, path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools/python")}
    code, output = _run(command, env=environment)
    return _script_count(name, code, output)


def _scripts(folder: str, *patterns: str) -> Count:
    count = Count()
    files = sorted(file for pattern in patterns for file in (ROOT / folder).glob(pattern))
    if not files:
        return count.fail(f"no test in {folder}")
    for file in files:
        count.add(_script(file))
    return count


def charts() -> Count:
    return _scripts("tests/charts", "*_test.sh", "*_test.py")


def integration() -> Count:
    count = _scripts("tests/integration", "*_test.py", "*_test.mjs")
    count.add(_scripts("tests/bench", "*_test.py"))  # that the benchmarks run
    count.add(_scripts("tests/chaos", "*_test.py"))  # the short form of tests/chaos/queue_chaos.py
    return count


def browser() -> Count:
    return _scripts("tests/browser", "*_test.mjs")


STEPS: dict[str, Callable[[], Count]] = {
    "setup": setup_is_a_noop,
    "tidy": tidy,
    "protos": protos,
    "binaries": binaries,
    "cpp": cpp,
    "charts": charts,
    "integration": integration,
    "browser": browser,
}


def sanitizers() -> Count:
    """asan and ubsan over everything; tsan over the tests that link no gRPC."""
    count = _bazel_test(["--config=asan-ubsan"], ["//..."])
    query = 'tests(//...) except rdeps(//..., @system//:grpc)'
    targets = subprocess.run(["bazel", "query", query], cwd=ROOT, text=True, capture_output=True,
                             check=True).stdout.split()
    count.add(_bazel_test(["--config=tsan"], targets))
    # The suite itself, instrumented, under the same tests from outside.
    programs = ["//services/...", "//tests/bench/...", "//tests/chaos/..."]
    count.add(_single(f"bazel build --config=asan-ubsan {' '.join(programs)}",
                      _bazel("build", "--config=asan-ubsan", *programs)))
    folder = subprocess.run(["bazel", "info", "bazel-bin", "--config=asan-ubsan"], cwd=ROOT,
                            text=True, capture_output=True, check=True).stdout.strip()
    os.environ["SLIP_BIN_DIR"] = folder + "/services"
    os.environ["ASAN_OPTIONS"] = "detect_stack_use_after_return=1:detect_leaks=1:exitcode=99"
    os.environ["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
    count.add(integration())
    return count


def main() -> None:
    parser = argparse.ArgumentParser(prog="tools/test")
    parser.add_argument("--only", choices=STEPS, action="append", help="run this step alone")
    parser.add_argument("--list", action="store_true", help="name the steps")
    parser.add_argument("--mutants", nargs="?", const="", metavar="NAME",
                        help="run the mutants, or the one of this name")
    parser.add_argument("--simulation-faults", nargs="?", const="", metavar="NAME",
                        help="let the task queue's simulation find the planted faults, or one")
    parser.add_argument("--sanitizers", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(STEPS))
        return
    total = Count()
    if options.mutants is not None:
        import mutants
        total.add(mutants.run(options.mutants))
    elif options.simulation_faults is not None:
        import simulation_faults
        total.add(simulation_faults.run(options.simulation_faults))
    elif options.sanitizers:
        total.add(sanitizers())
    else:
        for name in options.only or STEPS:
            print(f"\n===== {name}", flush=True)
            started = time.monotonic()
            count = STEPS[name]()
            print(f"===== {name}: {count.passed} passed, {count.failed} failed, "
                  f"{count.skipped} skipped in {time.monotonic() - started:.0f} s", flush=True)
            total.add(count)
    for failure in total.failures:
        print(f"FAILED {failure}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
