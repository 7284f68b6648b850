"""@system: the Debian packages of the suite as cc_library targets, and the check of the compiler."""

_MIN_CLANG = 19

def _fail(why):
    fail("slipstream needs clang >= %d (CC=clang-19, installed by tools/setup): %s" % (_MIN_CLANG, why))

def _check_compiler(ctx):
    cc = ctx.os.environ.get("CC", "")
    path = ctx.which(cc) if cc and not cc.startswith("/") else cc
    if not path:
        _fail("CC is '%s', which is not on PATH" % cc)
    probe = ctx.execute([path, "-dM", "-E", "-x", "c", "/dev/null"])
    major = 0
    for line in probe.stdout.splitlines():
        if line.startswith("#define __clang_major__ "):
            major = int(line.split(" ")[2])
    if major < _MIN_CLANG:
        _fail("CC=%s is %s; g++ 12 miscompiles coroutines" % (cc, "clang %d" % major if major else "not clang"))

def _system_repository_impl(ctx):
    _check_compiler(ctx)
    ctx.symlink(Label("//tools/bazel:system.BUILD"), "BUILD.bazel")
    ctx.symlink(Label("//tools/bazel:asio_impl.cc"), "asio_impl.cc")

    # The two packages whose headers are not directly under /usr/include.
    ctx.symlink("/usr/include/postgresql", "include/postgresql")

system_repository = repository_rule(
    implementation = _system_repository_impl,
    environ = ["CC"],
    local = True,
    doc = "Libraries of /usr as targets; fails when CC is not clang 19 or newer.",
)
