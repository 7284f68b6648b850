"""House macros for C++: one place for warnings, gtest and static linking.

Every package's BUILD file uses these, never the native rules.
"""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wthread-safety",
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
    """cc_binary with the house warnings as errors."""
    native.cc_binary(
        name = name,
        copts = _WARNINGS + copts,
        **kwargs
    )

def slip_cc_test(name, copts = [], deps = [], main = True, **kwargs):
    """cc_test with gtest and gmock.

    Args:
      name: the target.
      copts: added to the house warnings.
      deps: gtest is added.
      main: False when the test has a main() of its own.
      **kwargs: as for cc_test; tags = ["no-sandbox"] for a test that starts servers.
    """
    native.cc_test(
        name = name,
        copts = _WARNINGS + copts,
        linkstatic = True,
        deps = deps + ["@system//:gtest_main" if main else "@system//:gtest"],
        **kwargs
    )
