"""Applies each patch of tests/mutants to a copy of the tree and checks that its test catches it.

A patch begins with lines "# what: ..." and "# test: ..." before the diff; a test is a Bazel label or
a script of tests/. With several "# test:" lines each of them must catch it. A mutant that a test of
its lets pass is a failure, and so is one whose test fails without it.
"""

import contextlib
import fcntl
import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from run_tests import PYTHON, Count
from suite import ROOT

FOLDER = ROOT / "tests/mutants"
# Bazel's output is kept from run to run, one folder for each clone; what is compiled is in the disk
# cache that all clones share.
KEPT = Path.home() / ".cache/slipstream-mutants"
# How bazel test ends when all was built and a test failed. Any other failure is not a catch.
TEST_FAILED = 3


def _copy_tree(tree: Path) -> None:
    """What is tested is the tree as it stands, uncommitted changes included."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, text=True, capture_output=True).stdout
    for name in filter(None, listed.split("\0")):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(ROOT / name):
            shutil.copy2(ROOT / name, target, follow_symlinks=False)


class _Copy:
    """A copy of the tree, with a Bazel of its own."""

    def __init__(self, tree: Path, output: Path):
        self.tree = tree
        # An idle server of a run that was killed ends by itself.
        self._bazel = ["bazel", f"--output_base={output}", "--max_idle_secs=300"]
        self._env = {name: value for name, value in os.environ.items() if name != "SLIP_BIN_DIR"}

    def apply(self, patch: Path, *flags: str) -> subprocess.CompletedProcess:
        # Inside of another repository git apply would take paths from that one's top, and pass
        # over a patch that is not below it without a word.
        environment = {name: value for name, value in self._env.items()
                       if not name.startswith("GIT_")}
        environment["GIT_CEILING_DIRECTORIES"] = str(self.tree.parent)
        return subprocess.run(["git", "apply", *flags, str(patch)], cwd=self.tree, text=True,
                              capture_output=True, env=environment)

    def bazel(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run([*self._bazel, *arguments], cwd=self.tree, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              stdin=subprocess.DEVNULL, env=self._env)
        return done.returncode, done.stdout

    def run_test(self, test: str) -> tuple[int, str]:
        if test.startswith("//"):
            return self.bazel("test", "--curses=no", test)
        code, output = self.bazel("build", "--curses=no", "//services/...", "//tests/chaos/...")
        if code != 0:
            return 1, output
        done = subprocess.run([PYTHON, self.tree / test], cwd=self.tree, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              stdin=subprocess.DEVNULL,
                              env={**self._env, "PYTHONPATH": str(self.tree / "tools/python")})
        failed = re.search(r"^FAILED \((failures|errors)", done.stdout, re.MULTILINE)
        return (TEST_FAILED if failed else done.returncode), done.stdout

    def failing(self, tests: list[str]) -> set[str]:
        """Those of the tests that do not pass in the tree as it is now."""
        labels = [test for test in tests if test.startswith("//")]
        bad = set()
        for script in set(tests) - set(labels):
            code, output = self.run_test(script)
            if code != 0:
                bad.add(script)
                print(f"{script} exited with {code}\n{output[-4000:]}")
        if labels:
            code, output = self.bazel("test", "--curses=no", "--keep_going", *labels)
            if code != 0:
                passed = re.findall(r"^(//\S+) +(?:\(cached\) )?PASSED", output, re.MULTILINE)
                bad |= set(labels) - set(passed)
                print(output[-4000:])
        return bad


@contextlib.contextmanager
def copied():
    kept = KEPT / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    kept.mkdir(parents=True, exist_ok=True)
    with open(kept / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SystemExit("mutants of this clone are being run already") from error
        with tempfile.TemporaryDirectory(prefix="mutants.", ignore_cleanup_errors=True) as folder:
            tree = Path(folder).resolve() / "tree"
            tree.mkdir()
            copy = _Copy(tree, kept / "output")
            try:
                _copy_tree(tree)
                if not os.path.lexists(tree / "node_modules"):
                    (tree / "node_modules").symlink_to(ROOT / "node_modules")
                yield copy
            finally:
                copy.bazel("shutdown")


def headers(patch: Path, name: str) -> list[str]:
    found = re.findall(rf"^# {name}: (.+)$", patch.read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"{patch.name} has no line '# {name}: ...'")
    return [value.strip() for value in found]


def _caught_by(output: str) -> str:
    cases = (re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)", output, re.MULTILINE)
             # It ended in the middle of a case.
             or re.findall(r"^\[ RUN      \] (\S+)(?![\s\S]*^\[       OK)", output, re.MULTILINE)
             or re.findall(r"^(?:FAIL|ERROR): (\w\S*)", output, re.MULTILINE))
    names = list(dict.fromkeys(cases))
    if not names:
        return "its exit code"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _judge(copy: _Copy, patch: Path, test: str, count: Count) -> None:
    what = headers(patch, "what")[0]
    applied = copy.apply(patch)
    if applied.returncode != 0:
        count.fail(f"mutant {patch.stem}: the patch does not apply")
        print(f"STALE  {patch.stem}: {applied.stderr.strip()}", flush=True)
        return
    code, output = copy.run_test(test)
    copy.apply(patch, "-R").check_returncode()
    if code == TEST_FAILED:
        count.passed += 1
        print(f"CAUGHT {patch.stem}: {what}\n       by {test}: {_caught_by(output)}", flush=True)
    else:
        count.fail(f"mutant {patch.stem} is not caught by {test}")
        print(f"MISSED {patch.stem}: {what}\n       {test} exited with {code}\n"
              f"{output[-2000:] if code != 0 else ''}", flush=True)


def run(only: str) -> Count:
    """All, or those whose name fits `only`, which may have wildcards."""
    count = Count()
    patches = sorted(patch for patch in FOLDER.glob("*.patch")
                     if not only or fnmatch.fnmatchcase(patch.stem, only))
    if not patches:
        return count.fail(f"no mutant {only}" if only else "tests/mutants has no patch")
    with copied() as copy:
        pairs = [(patch, test) for patch in patches for test in headers(patch, "test")]
        bad = copy.failing(sorted({test for _, test in pairs}))
        for patch, test in pairs:
            if test in bad:
                count.fail(f"mutant {patch.stem}: {test} fails without it, too")
            else:
                _judge(copy, patch, test, count)
    return count
