// TraceContext: W3C Trace Context level 1 (https://www.w3.org/TR/trace-context-1/), the
// `traceparent` and `tracestate` that travel through gRPC, HTTP, Redis and queued tasks.
//
// Thread safety: a plain value and free functions without state. Nothing here fails: what cannot
// be understood is dropped, as the specification asks, and a new trace starts.
#ifndef SLIPSTREAM_LIBS_TRACE_TRACE_CONTEXT_H_
#define SLIPSTREAM_LIBS_TRACE_TRACE_CONTEXT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "libs/random/random.h"

namespace slipstream::trace {

inline constexpr std::string_view kTraceparent = "traceparent";
inline constexpr std::string_view kTracestate = "tracestate";
// The specification asks for at least 512 to be passed on.
inline constexpr size_t kMaxTracestateBytes = 512;

struct TraceContext {
  std::string trace_id;  // 32 lower-case hex digits, not all zero: the whole request's journey
  std::string span_id;   // 16 lower-case hex digits, not all zero: this step of it
  bool sampled = false;
  std::string tracestate;  // other vendors' entries, passed on as they came; may be empty

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// The context that a header carries (its span_id is the caller's span), or nullopt when it is not
// exactly as specified: version ff, upper case, zero ids, wrong lengths, version 00 with a tail.
// Higher versions are read by the part that they must share with version 00.
std::optional<TraceContext> ParseTraceparent(std::string_view header);

// Always version 00. REQUIRES: ids as TraceContext describes them.
std::string FormatTraceparent(const TraceContext& context);

// `header` when it is at most kMaxTracestateBytes of printable ASCII, else "": dropping the state
// keeps the trace, while passing foreign control bytes on would let a client forge headers.
std::string BoundedTracestate(std::string_view header);

// A new trace.
TraceContext NewRoot(random::Random& random, bool sampled);

// A new span in the parent's trace, with its sampling decision and tracestate.
TraceContext NewChild(TraceContext parent, random::Random& random);

// What a server does with a request: a child of the caller's span, or, without a valid
// traceparent, a new root with `sample_new_root` (its tracestate is then void, section 3.3).
TraceContext ContinueOrStart(std::string_view traceparent, std::string_view tracestate,
                             random::Random& random, bool sample_new_root);

}  // namespace slipstream::trace

#endif  // SLIPSTREAM_LIBS_TRACE_TRACE_CONTEXT_H_
