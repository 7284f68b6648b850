#include "libs/trace/trace_context.h"

#include <algorithm>
#include <array>
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
constexpr int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr std::array<bool, 256> kIsHexDigit = [] {
  std::array<bool, 256> out{};
  for (int c = 0; c < 256; ++c) out[c] = HexDigit(static_cast<char>(c)) >= 0;
  return out;
}();

// Of every call: to the end without a branch for each digit.
bool IsHex(std::string_view text) {
  bool all = true;
  for (const char c : text) all &= kIsHexDigit[static_cast<unsigned char>(c)];
  return all;
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

void PutNewId(random::Random& random, size_t length, std::string* id) {
  constexpr char kHex[] = "0123456789abcdef";
  id->resize(length);
  for (size_t begin = 0; begin < length; begin += 16) {
    uint64_t bits = random.Next64();
    while (bits == 0) bits = random.Next64();  // an id of zeros means "none"
    for (size_t i = 16; i-- > 0; bits >>= 4) (*id)[begin + i] = kHex[bits & 0xf];
  }
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
  TraceContext root{.trace_id = "", .span_id = "", .sampled = sampled, .tracestate = ""};
  PutNewId(random, kTraceIdLength, &root.trace_id);
  PutNewId(random, kSpanIdLength, &root.span_id);
  return root;
}

TraceContext NewChild(TraceContext parent, random::Random& random) {
  PutNewId(random, kSpanIdLength, &parent.span_id);
  return parent;
}

TraceContext ContinueOrStart(std::string_view traceparent, std::string_view tracestate,
                             random::Random& random, bool sample_new_root) {
  std::optional<TraceContext> parent = ParseTraceparent(traceparent);
  if (!parent.has_value()) return NewRoot(random, sample_new_root);
  TraceContext child = NewChild(*std::move(parent), random);
  child.tracestate = BoundedTracestate(tracestate);
  return child;
}

}  // namespace slipstream::trace
