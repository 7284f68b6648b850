#include "tests/bench/cache_trace/simulated_cache.h"

#include <sstream>

#include "gtest/gtest.h"
#include "tests/bench/cache_trace/synthetic_trace.h"
#include "tests/bench/cache_trace/trace_reader.h"

namespace slipstream::bench {
namespace {

Trace Of(const std::vector<int>& keys) {
  std::stringstream text;
  for (const int key : keys) text << key << "\n";
  return *ReadTrace(text, "text");
}

int Hits(const char* policy, uint32_t capacity, const Trace& trace) {
  const auto cache = MakeSimulatedCache(policy, capacity, trace);
  int hits = 0;
  for (const uint32_t key : trace.requests) hits += cache->Access(key);
  return hits;
}

std::string Bytes(std::initializer_list<int> bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<uint32_t> Read(const std::string& text, const char* format) {
  std::stringstream in(text);
  auto trace = ReadTrace(in, format);
  return trace.ok() ? trace->requests : std::vector<uint32_t>{};
}

TEST(SyntheticTraceTest, EachIsMadeAndTheSameAgain) {
  EXPECT_GT(SyntheticTraceNames().size(), 20u);
  for (const char* name : {"loop-50000", "recency"}) {
    const auto trace = MakeSyntheticTrace(name);
    ASSERT_TRUE(trace.ok());
    EXPECT_EQ(trace->requests.size(), 2'000'000u);
    EXPECT_EQ(MakeSyntheticTrace(name)->requests, trace->requests);
  }
  EXPECT_EQ(MakeSyntheticTrace("loop-50000")->keys_count(), 50'000u);
  const auto unknown = MakeSyntheticTrace("loop");
  EXPECT_TRUE(absl::IsInvalidArgument(unknown.status()));
  EXPECT_NE(unknown.status().message().find("loops-in-turn"), std::string::npos);
}

TEST(TraceReaderTest, ReadsEachFormat) {
  const std::vector<uint32_t> expected{0, 1, 0};
  EXPECT_EQ(Read(Bytes({0, 0, 1, 2, 0, 0, 2, 1, 0, 0, 1, 2}), "int32be"), expected);
  EXPECT_EQ(Read(Bytes({-1, 0, 1, 2, 0, 0, 2, 1, -1, 0, 1, 2}), "uint32be"), expected);
  EXPECT_EQ(Read(Bytes({1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 2}),
                 "int64be"),
            expected);
  EXPECT_EQ(Read("# a comment\n17\n-4\n\n 17 \n", "text"), expected);
  EXPECT_EQ(Read("7 2 0 0\n7 1 0 1\n", "arc"), expected);
}

TEST(TraceReaderTest, SaysWhatIsWrong) {
  for (const auto& [text, format] :
       {std::pair("1\n", "csv"), std::pair("", "text"), std::pair("abc", "int32be"),
        std::pair("1 2 0 0\nx\n", "arc"), std::pair("1 999999999 0 0\n", "arc")}) {
    std::stringstream in(text);
    EXPECT_EQ(ReadTrace(in, format).status().code(), absl::StatusCode::kInvalidArgument) << format;
  }
}

// Worked by hand; the optimum keeps 1 and 2 while 3 and 4 pass by.
TEST(SimulatedCacheTest, SmallExamples) {
  const Trace trace = Of({1, 2, 3, 1, 2, 4, 1, 2});
  EXPECT_EQ(Hits("lru", 2, trace), 0);
  EXPECT_EQ(Hits("lru", 3, trace), 4);
  EXPECT_EQ(Hits("optimum", 2, trace), 2);
  EXPECT_EQ(Hits("optimum", 3, trace), 4);
  EXPECT_EQ(Hits("sieve", 3, Of({1, 2, 3, 1, 4, 1, 2, 5, 1})), 3);
}

TEST(SimulatedCacheTest, NoneBeatsTheOptimumAndAllKeepToTheirSize) {
  std::vector<int> keys;
  uint32_t random = 1;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 1664525 + 1013904223;
    const int wide = static_cast<int>(random >> 16) % 1000;
    keys.push_back(i % 3 == 0 ? wide % 50 : i % 7000 < 3000 ? i % 400 : wide);
  }
  const Trace trace = Of(keys);
  for (const uint32_t capacity : {4u, 50u, 300u, 1000u}) {
    const int best = Hits("optimum", capacity, trace);
    for (const char* policy :
         {"lru", "sieve", "s3fifo", "wtinylfu", "wtinylfu-1", "ours", "ours-16"}) {
      const int hits = Hits(policy, capacity, trace);
      EXPECT_LE(hits, best) << policy << " " << capacity;
      // Where all fits, only the first request of a key misses.
      if (capacity == 1000 && std::string_view(policy) != "ours-16") {
        EXPECT_EQ(hits, best) << policy;
      }
    }
  }
  EXPECT_EQ(MakeSimulatedCache("fifo", 10, trace), nullptr);
}

// A loop of twice the cache: recency is of no use, frequency keeps about half.
TEST(SimulatedCacheTest, ALoopTellsThePoliciesApart) {
  std::vector<int> keys;
  for (int i = 0; i < 40'000; ++i) keys.push_back(i % 400);
  const Trace trace = Of(keys);
  EXPECT_EQ(Hits("lru", 200, trace), 0);
  EXPECT_EQ(Hits("sieve", 200, trace), 0);
  EXPECT_GT(Hits("wtinylfu-1", 200, trace), 15'000);
  EXPECT_GT(Hits("ours", 200, trace), 15'000);
}

}  // namespace
}  // namespace slipstream::bench
