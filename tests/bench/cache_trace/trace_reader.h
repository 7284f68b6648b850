// Reads a trace, in one of the formats in which such are published.
//
// Thread safety: a function. Errors: INVALID_ARGUMENT for an unknown format, no request at all, a
// number that is none (with its line), or more requests than kMaxRequestsCount.
#ifndef TESTS_BENCH_CACHE_TRACE_TRACE_READER_H_
#define TESTS_BENCH_CACHE_TRACE_TRACE_READER_H_

#include <cstddef>
#include <istream>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/bench/cache_trace/simulated_cache.h"

namespace slipstream::bench {

inline constexpr size_t kMaxRequestsCount = 200'000'000;  // of 4 bytes each

// Formats, one request each:
//   int32be, uint32be, int64be   a number of 4 or 8 bytes
//   text                         a line with a number; other lines are comments
//   arc                          a line `start n_blocks ...`: n requests from start on
absl::StatusOr<Trace> ReadTrace(std::istream& in, std::string_view format);

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_TRACE_READER_H_
