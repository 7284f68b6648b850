"""Applies each patch of tests/mutants to a copy of the tree and checks that its test catches it.

A patch begins with lines "# what: ..." and "# test: ..." before the diff; the test is a Bazel label
or a script of tests/. A mutant that its test lets pass is a failure.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from run_tests import PYTHON, Count
from suite import ROOT

FOLDER = ROOT / "tests/mutants"


def _copy_tree(tree: Path) -> None:
    """What is tested is the tree as it stands, uncommitted changes included."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, text=True, capture_output=True).stdout
    for name in filter(None, listed.split("\0")):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target, follow_symlinks=False)


def _apply(tree: Path, patch: Path, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "apply", *flags, str(patch)], cwd=tree, text=True,
                          capture_output=True)


def _header(patch: Path, name: str) -> str:
    found = re.search(rf"^# {name}: (.+)$", patch.read_text(), re.MULTILINE)
    if not found:
        raise ValueError(f"{patch.name} has no line '# {name}: ...'")
    return found[1].strip()


def _run_test(tree: Path, test: str) -> tuple[int, str]:
    if test.startswith("//"):
        done = subprocess.run(["bazel", "test", "--curses=no", test], cwd=tree, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)
        # 3: the build is good and the test failed. Anything else is not a catch.
        return done.returncode, done.stdout + done.stderr
    built = subprocess.run(["bazel", "build", "--curses=no", "//services/..."], cwd=tree, text=True,
                           capture_output=True, stdin=subprocess.DEVNULL)
    if built.returncode != 0:
        return 1, built.stdout + built.stderr
    environment = {**os.environ, "PYTHONPATH": str(tree / "tools/python")}
    done = subprocess.run([PYTHON, tree / test], cwd=tree, text=True, capture_output=True,
                          env=environment, stdin=subprocess.DEVNULL)
    failed = re.search(r"^FAILED \((failures|errors)", done.stderr, re.MULTILINE)
    return (3 if failed else done.returncode), done.stdout + done.stderr


def _caught_by(output: str) -> str:
    cases = re.findall(r"^\[  FAILED  \] (\S+?),? ", output + " ", re.MULTILINE) or re.findall(
        r"^(?:FAIL|ERROR): (\S+)", output, re.MULTILINE)
    return ", ".join(dict.fromkeys(cases[:3])) or "its exit code"


def run(only: str) -> Count:
    count = Count()
    patches = sorted(FOLDER.glob("*.patch"))
    if only:
        patches = [patch for patch in patches if patch.stem == only]
    if not patches:
        return count.fail(f"no mutant {only}" if only else "tests/mutants has no patch")
    tree = Path(tempfile.mkdtemp(prefix="mutants."))
    try:
        _copy_tree(tree)
        (tree / "node_modules").symlink_to(ROOT / "node_modules")
        for patch in patches:
            what, test = _header(patch, "what"), _header(patch, "test")
            applied = _apply(tree, patch)
            if applied.returncode != 0:
                count.fail(f"mutant {patch.stem}: the patch does not apply")
                print(f"STALE  {patch.stem}: {applied.stderr.strip()}", flush=True)
                continue
            code, output = _run_test(tree, test)
            _apply(tree, patch, "-R").check_returncode()
            if code == 3:
                count.passed += 1
                print(f"CAUGHT {patch.stem}: {what}\n       by {test}: {_caught_by(output)}",
                      flush=True)
            else:
                count.fail(f"mutant {patch.stem} is not caught by {test}")
                print(f"MISSED {patch.stem}: {what}\n       {test} exited with {code}\n"
                      f"{output[-2000:] if code != 0 else ''}", flush=True)
    finally:
        subprocess.run(["bazel", "shutdown"], cwd=tree, capture_output=True)
        shutil.rmtree(tree, ignore_errors=True)
    return count
