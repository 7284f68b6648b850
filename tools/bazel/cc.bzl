"""House macros for C++: one place for warnings, gtest and static linking.

Every package's BUILD file uses these, never the native rules.
"""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wthread-safety",
    "-Wno-missing-field-initializers",  # designated initialisers leave out what keeps its default
    "-Werror",
]

def slip_cc_library(name, copts = [], **kwargs):
    """cc_library with the house warnings as errors."""
    native.cc_library(
        name = name,
        copts = _WARNINGS + copts,
        linkstatic = True,
        **kwargs
    )

def slip_cc_binary(name, copts = [], **kwargs):
    """cc_binary with the house warnings as errors, and jemalloc."""
    native.cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        malloc = "@system//:malloc",
        **kwargs
    )

def slip_cc_test(name, copts = [], deps = [], main = True, size = "small", **kwargs):
    """cc_test with gtest and gmock.

    Args:
      name: the target.
      copts: added to the house warnings.
      deps: gtest is added.
      main: False when the test has a main() of its own.
      size: as for cc_test: small may take 2 minutes, medium 5, large 15 (see .bazelrc).
      **kwargs: as for cc_test; tags = ["no-sandbox"] for a test that starts servers.
    """
    native.cc_test(
        name = name,
        size = size,
        copts = _WARNINGS + copts,
        linkstatic = True,
        deps = deps + ["@system//:gtest_main" if main else "@system//:gtest"],
        **kwargs
    )
