// Traces that are made, not recorded: one property each, pure, in 2,000,000 requests. They show
// where a policy is weak; the recorded ones show what it is worth.
//
// The same name gives the same trace each time.
//
// Thread safety: functions. Errors: INVALID_ARGUMENT for an unknown name.
#ifndef TESTS_BENCH_CACHE_TRACE_SYNTHETIC_TRACE_H_
#define TESTS_BENCH_CACHE_TRACE_SYNTHETIC_TRACE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/cache_trace/simulated_cache.h"

namespace slipstream::bench {

std::vector<std::string> SyntheticTraceNames();
absl::StatusOr<Trace> MakeSyntheticTrace(std::string_view name);

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_SYNTHETIC_TRACE_H_
