// Replays a trace, read from standard input, through simulated caches and prints one JSON object:
//   cache_trace FORMAT CAPACITIES POLICY...
// FORMAT is one of trace_reader.h, or `synthetic:NAME` for a trace that is made; `cache_trace
// --synthetic` prints their names.
// CAPACITIES are entries, separated by commas, or a count of sizes: as many, spread evenly on a
// logarithmic scale between 0.1 % (at least kLeastEntries) and 50 % of the trace's keys.
#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "tests/bench/cache_trace/simulated_cache.h"
#include "tests/bench/cache_trace/synthetic_trace.h"
#include "tests/bench/cache_trace/trace_reader.h"

namespace slipstream::bench {
namespace {

constexpr absl::string_view kSynthetic = "synthetic:";
constexpr double kLeastPart = 0.001, kLargestPart = 0.5;
constexpr uint32_t kLeastEntries = 4;
constexpr uint32_t kMaxSizesCount = 64;

std::vector<uint32_t> Spread(uint32_t sizes_count, uint32_t keys_count) {
  const double least = std::max<double>(kLeastEntries, kLeastPart * keys_count);
  const double largest = std::max(least, kLargestPart * keys_count);
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < sizes_count; ++i) {
    const double part = sizes_count > 1 ? static_cast<double>(i) / (sizes_count - 1) : 1;
    const auto size = static_cast<uint32_t>(least * std::pow(largest / least, part));
    if (out.empty() || size > out.back()) out.push_back(size);
  }
  return out;
}

bool Capacities(const std::string& text, uint32_t keys_count, std::vector<uint32_t>* out) {
  const std::vector<std::string> words = absl::StrSplit(text, ',', absl::SkipEmpty());
  for (const auto& word : words) {
    uint32_t capacity;
    if (!absl::SimpleAtoi(word, &capacity) || capacity == 0) return false;
    out->push_back(capacity);
  }
  if (words.size() != 1 || text.find(',') != std::string::npos) return !out->empty();
  if (out->front() > kMaxSizesCount) return false;
  *out = Spread(out->front(), keys_count);
  return true;
}

int Run(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--synthetic") {
    std::cout << nlohmann::json(SyntheticTraceNames()).dump() << "\n";
    return 0;
  }
  if (argc < 4) {
    std::cerr << "usage: cache_trace FORMAT CAPACITIES POLICY... < TRACE\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  const absl::string_view format = argv[1];
  auto trace = absl::StartsWith(format, kSynthetic)
                   ? MakeSyntheticTrace(std::string(absl::StripPrefix(format, kSynthetic)))
                   : ReadTrace(std::cin, argv[1]);
  if (!trace.ok()) {
    std::cerr << trace.status().message() << "\n";
    return 1;
  }
  std::vector<uint32_t> capacities;
  if (!Capacities(argv[2], trace->keys_count(), &capacities)) {
    std::cerr << "capacities: entries separated by commas (one: with a comma behind), or a count "
                 "of sizes up to "
              << kMaxSizesCount << "\n";
    return 2;
  }
  nlohmann::json out{{"requests", trace->requests.size()}, {"keys", trace->keys_count()}};
  for (const uint32_t capacity : capacities) {
    nlohmann::json hits, ns;
    for (int i = 3; i < argc; ++i) {
      const auto cache = MakeSimulatedCache(argv[i], capacity, *trace);
      if (cache == nullptr) {
        std::cerr << "unknown policy `" << argv[i] << "`\n";
        return 2;
      }
      uint64_t count = 0;
      const auto began = std::chrono::steady_clock::now();
      for (const uint32_t key : trace->requests) count += cache->Access(key);
      const std::chrono::duration<double, std::nano> took =
          std::chrono::steady_clock::now() - began;
      const auto requests = static_cast<double>(trace->requests.size());
      hits[argv[i]] = 100 * static_cast<double>(count) / requests;
      ns[argv[i]] = took.count() / requests;
    }
    out["sizes"].push_back({{"capacity", capacity}, {"hit_percent", hits}, {"ns_per_request", ns}});
  }
  std::cout << out.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) { return slipstream::bench::Run(argc, argv); }
