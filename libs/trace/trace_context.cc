#include "libs/trace/trace_context.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace slipstream::trace {
namespace {

// version "-" trace-id "-" parent-id "-" trace-flags, section 3.2.2
constexpr size_t kVersionAt = 0, kVersionLength = 2;
constexpr size_t kTraceIdAt = 3, kTraceIdLength = 32;
constexpr size_t kSpanIdAt = 36, kSpanIdLength = 16;
constexpr size_t kFlagsAt = 53, kFlagsLength = 2;
constexpr size_t kVersion00Length = kFlagsAt + kFlagsLength;

// -1 for anything but a lower-case hex digit: the specification forbids upper case.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return HexDigit(c) >= 0; });
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

std::string NewId(random::Random& random, size_t length) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string id(length, '0');
  for (size_t begin = 0; begin < length; begin += 16) {
    uint64_t bits = random.Next64();
    while (bits == 0) bits = random.Next64();  // an id of zeros means "none"
    for (size_t i = 16; i-- > 0; bits >>= 4) id[begin + i] = kHex[bits & 0xf];
  }
  return id;
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(std::string_view header) {
  if (header.size() < kVersion00Length) return std::nullopt;
  const std::string_view version = header.substr(kVersionAt, kVersionLength);
  const std::string_view trace_id = header.substr(kTraceIdAt, kTraceIdLength);
  const std::string_view span_id = header.substr(kSpanIdAt, kSpanIdLength);
  const std::string_view flags = header.substr(kFlagsAt, kFlagsLength);
  if (!IsHex(version) || version == "ff") return std::nullopt;
  if (header[kTraceIdAt - 1] != '-' || header[kSpanIdAt - 1] != '-' ||
      header[kFlagsAt - 1] != '-') {
    return std::nullopt;
  }
  if (!IsId(trace_id) || !IsId(span_id) || !IsHex(flags)) return std::nullopt;
  if (header.size() > kVersion00Length && (version == "00" || header[kVersion00Length] != '-')) {
    return std::nullopt;
  }
  return TraceContext{.trace_id = std::string(trace_id),
                      .span_id = std::string(span_id),
                      .sampled = (HexDigit(flags[1]) & 1) != 0,
                      .tracestate = ""};
}

std::string FormatTraceparent(const TraceContext& context) {
  std::string header;
  header.reserve(kVersion00Length);
  header.append("00-").append(context.trace_id).append("-").append(context.span_id);
  header.append(context.sampled ? "-01" : "-00");
  return header;
}

std::string BoundedTracestate(std::string_view header) {
  const bool printable = std::all_of(header.begin(), header.end(),
                                     [](char c) { return (c >= ' ' && c <= '~') || c == '\t'; });
  return printable && header.size() <= kMaxTracestateBytes ? std::string(header) : "";
}

TraceContext NewRoot(random::Random& random, bool sampled) {
  std::string trace_id = NewId(random, kTraceIdLength);
  return TraceContext{.trace_id = std::move(trace_id),
                      .span_id = NewId(random, kSpanIdLength),
                      .sampled = sampled,
                      .tracestate = ""};
}

TraceContext NewChild(const TraceContext& parent, random::Random& random) {
  TraceContext child = parent;
  child.span_id = NewId(random, kSpanIdLength);
  return child;
}

TraceContext ContinueOrStart(std::string_view traceparent, std::string_view tracestate,
                             random::Random& random, bool sample_new_root) {
  const std::optional<TraceContext> parent = ParseTraceparent(traceparent);
  if (!parent.has_value()) return NewRoot(random, sample_new_root);
  TraceContext child = NewChild(*parent, random);
  child.tracestate = BoundedTracestate(tracestate);
  return child;
}

}  // namespace slipstream::trace
