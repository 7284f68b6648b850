#include "tests/bench/cache_trace/trace_reader.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace slipstream::bench {

namespace {

uint64_t Mix(uint64_t key) {
  key += 0x9e3779b97f4a7c15;
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9;
  key = (key ^ (key >> 27)) * 0x94d049bb133111eb;
  return key ^ (key >> 31);
}

class Builder {
 public:
  // False when there are too many.
  bool Add(uint64_t key) {
    if (trace_.requests.size() == kMaxRequestsCount) return false;
    const auto [it, added] = numbers_.try_emplace(key, trace_.keys_count());
    if (added) trace_.key_hashes.push_back(Mix(key));
    trace_.requests.push_back(it->second);
    return true;
  }
  absl::StatusOr<Trace> Done() && {
    if (trace_.requests.empty()) return absl::InvalidArgumentError("the trace has no request");
    return std::move(trace_);
  }

 private:
  Trace trace_;
  absl::flat_hash_map<uint64_t, uint32_t> numbers_;
};

absl::Status TooMany() {
  return absl::InvalidArgumentError(
      absl::StrCat("more than ", kMaxRequestsCount, " requests; cut the trace"));
}

absl::StatusOr<Trace> ReadBinary(std::istream& in, size_t bytes) {
  Builder builder;
  char number[8];
  while (in.read(number, static_cast<std::streamsize>(bytes))) {
    uint64_t key = 0;
    for (size_t i = 0; i < bytes; ++i) key = key << 8 | static_cast<unsigned char>(number[i]);
    if (!builder.Add(key)) return TooMany();
  }
  if (in.gcount() != 0) return absl::InvalidArgumentError("the trace ends within a number");
  return std::move(builder).Done();
}

absl::StatusOr<Trace> ReadText(std::istream& in) {
  Builder builder;
  for (std::string line; std::getline(in, line);) {
    int64_t key;
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &key)) continue;
    if (!builder.Add(static_cast<uint64_t>(key))) return TooMany();
  }
  return std::move(builder).Done();
}

absl::StatusOr<Trace> ReadArc(std::istream& in) {
  Builder builder;
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (fields.empty()) continue;
    uint64_t start, count;
    if (fields.size() < 2 || !absl::SimpleAtoi(fields[0], &start) ||
        !absl::SimpleAtoi(fields[1], &count)) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, " is not `start n_blocks ...`"));
    }
    if (count > kMaxRequestsCount) return TooMany();
    for (uint64_t i = 0; i < count; ++i) {
      if (!builder.Add(start + i)) return TooMany();
    }
  }
  return std::move(builder).Done();
}

}  // namespace

absl::StatusOr<Trace> ReadTrace(std::istream& in, std::string_view format) {
  if (format == "int32be" || format == "uint32be") return ReadBinary(in, 4);
  if (format == "int64be") return ReadBinary(in, 8);
  if (format == "text") return ReadText(in);
  if (format == "arc") return ReadArc(in);
  return absl::InvalidArgumentError(absl::StrCat("unknown format `",
                                                 absl::string_view(format.data(), format.size()),
                                                 "`: int32be, uint32be, int64be, text or arc"));
}

}  // namespace slipstream::bench
