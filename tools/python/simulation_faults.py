"""Applies each patch of tests/mutants/simulation to a copy of the tree and lets the simulation look
for what it breaks.

A patch begins with a line "# what: ..." before the diff. The simulation must find a violation within
MAX_SEEDS seeds; a fault that it does not find is a failure, and so is a violation without any fault.
"""

import fnmatch
import re
import subprocess
import time
from pathlib import Path

import mutants
from run_tests import Count
from suite import ROOT

FOLDER = ROOT / "tests/mutants/simulation"
TARGET = "//services/task_queue/simulation:simulate"
BINARY = ".bazel/bin/services/task_queue/simulation/simulate"
MAX_SEEDS = 1000
# A fault may make a world hang or eat memory instead: that is a finding, too, but no seed is named.
TIMEOUT_S = 600


class _Found:
    """What the simulation said."""

    def __init__(self, code: int, output: str):
        seed = re.search(r"^VIOLATION with seed (\d+)", output, re.MULTILINE)
        invariant = re.search(r"^  invariant: (.*)$", output, re.MULTILINE)
        what = re.search(r"^  what: (.*)$", output, re.MULTILINE)
        self.passed = code == 0
        self.seed = seed[1] if seed else ""
        self.text = f"{invariant[1]}: {what[1]}" if invariant and what else output[-2000:]


def _build(copy) -> str:
    """Empty, or why it does not compile."""
    code, output = copy.bazel("build", "--curses=no", TARGET)
    return "" if code == 0 else output[-4000:]


def _simulate(copy) -> _Found:
    try:
        done = subprocess.run([copy.tree / BINARY, "--seeds", str(MAX_SEEDS)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
        return _Found(done.returncode, done.stdout)
    except subprocess.TimeoutExpired:
        return _Found(1, f"not done within {TIMEOUT_S} s")


def _judge(copy, patch: Path, count: Count) -> None:
    what = mutants.headers(patch, "what")[0]
    applied = copy.apply(patch)
    if applied.returncode != 0:
        count.fail(f"simulation fault {patch.stem}: the patch does not apply")
        print(f"STALE  {patch.stem}: {applied.stderr.strip()}", flush=True)
        return
    broken = _build(copy)
    started = time.monotonic()
    found = None if broken else _simulate(copy)
    took = time.monotonic() - started
    copy.apply(patch, "-R").check_returncode()
    if broken:
        count.fail(f"simulation fault {patch.stem} does not compile")
        print(f"BROKEN {patch.stem}: {what}\n{broken}", flush=True)
    elif found.passed:
        count.fail(f"simulation fault {patch.stem} is not found within {MAX_SEEDS} seeds")
        print(f"MISSED {patch.stem}: {what}", flush=True)
    else:
        count.passed += 1
        print(f"FOUND  {patch.stem}: {what}\n       seed {found.seed or '?'} after {took:.1f} s: "
              f"{found.text}", flush=True)


def run(only: str) -> Count:
    """All, or those whose name fits `only`, which may have wildcards."""
    count = Count()
    patches = sorted(patch for patch in FOLDER.glob("*.patch")
                     if not only or fnmatch.fnmatchcase(patch.stem, only))
    if not patches:
        return count.fail(f"no simulation fault {only}" if only else f"{FOLDER} has no patch")
    with mutants.copied() as copy:
        broken = _build(copy)
        if broken:
            print(broken)
            return count.fail("the simulation does not compile")
        found = _simulate(copy)
        if not found.passed:
            print(f"VIOLATION without a fault: seed {found.seed}: {found.text}")
            return count.fail("the simulation finds a violation without any fault")
        for patch in patches:
            _judge(copy, patch, count)
    return count
