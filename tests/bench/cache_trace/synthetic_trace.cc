#include "tests/bench/cache_trace/synthetic_trace.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/bench/cache_trace/trace_reader.h"

namespace slipstream::bench {

namespace {

constexpr uint64_t kRequestsCount = 2'000'000;
// Families of keys, so that parts of a trace do not share any.
constexpr uint64_t kA = 1'000'000'000, kB = 2 * kA, kC = 3 * kA;

// The key of request i.
using KeyOf = std::function<uint64_t(uint64_t i)>;

class Random {
 public:
  uint64_t Below(uint64_t bound) { return engine_() % bound; }
  double Unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

 private:
  std::mt19937_64 engine_{1};
};

// Rank r, from 0, with a probability in proportion to (r + 1)^-exponent.
class Zipf {
 public:
  Zipf(Random& random, uint64_t keys_count, double exponent) : random_(&random) {
    double sum = 0;
    for (uint64_t rank = 1; rank <= keys_count; ++rank) {
      sum += std::pow(static_cast<double>(rank), -exponent);
      sums_.push_back(sum);
    }
  }
  uint64_t operator()() const {
    const auto at = std::lower_bound(sums_.begin(), sums_.end(), random_->Unit() * sums_.back());
    return static_cast<uint64_t>(at - sums_.begin());
  }

 private:
  Random* random_;
  std::vector<double> sums_;
};

// Now and then a new key, else one of the latest: how far back is exponential, or has a long tail.
class Recency {
 public:
  Recency(Random& random, double fresh_part, double back, bool long_tail = false)
      : random_(&random), fresh_part_(fresh_part), back_(back), long_tail_(long_tail) {}
  uint64_t operator()() {
    if (random_->Unit() < fresh_part_) return ++newest_;
    const double unit = 1 - random_->Unit();
    const auto back = static_cast<uint64_t>(
        back_ * (long_tail_ ? std::pow(unit, -1 / 1.2) - 1 : -std::log(unit)));
    return back < newest_ ? newest_ - back : random_->Below(newest_ + 1);
  }

 private:
  Random* random_;
  double fresh_part_, back_;
  bool long_tail_;
  uint64_t newest_ = 0;
};

// Blocks one after the other from a skewed start on.
class Runs {
 public:
  Runs(Random& random, Zipf files, uint64_t blocks_count)
      : random_(&random), files_(std::move(files)), blocks_count_(blocks_count) {}
  uint64_t operator()() {
    if (left_ == 0) {
      at_ = files_() * blocks_count_;
      left_ = 1 + random_->Below(blocks_count_);
    }
    --left_;
    return at_++;
  }

 private:
  Random* random_;
  Zipf files_;
  uint64_t blocks_count_, at_ = 0, left_ = 0;
};

uint64_t Shuffled(uint64_t key) {
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9;
  key = (key ^ (key >> 27)) * 0x94d049bb133111eb;
  return key ^ (key >> 31);
}

KeyOf Loop(uint64_t keys_count) {
  return [=](uint64_t i) { return i % keys_count; };
}

KeyOf Skewed(Random& random, uint64_t keys_count, double exponent) {
  return [zipf = Zipf(random, keys_count, exponent)](uint64_t) { return zipf(); };
}

KeyOf Drifting(Random& random, uint64_t keys_count, double exponent, uint64_t reads_per_step) {
  return [=, zipf = Zipf(random, keys_count, exponent)](uint64_t i) {
    return zipf() + i / reads_per_step;
  };
}

KeyOf LoopsInTurn() {
  return [](uint64_t i) {
    constexpr uint64_t kLengths[] = {60'000, 150'000, 30'000, 250'000, 100'000};
    const uint64_t turn = i / 400'000;
    return turn * kA + i % kLengths[turn];
  };
}

KeyOf Scans(Random& random) {
  return [zipf = Zipf(random, 300'000, 0.9), scan = kA](uint64_t i) mutable {
    return i % 300'000 < 100'000 && i % 2 == 1 ? ++scan : zipf();
  };
}

KeyOf Phases(Random& random) {
  return [zipf = Zipf(random, 300'000, 0.9),
          recent = Recency(random, 0.2, 20'000)](uint64_t i) mutable {
    const uint64_t phase = i / 333'334 % 3;
    if (phase == 0) return zipf();
    return phase == 1 ? kA + i % 90'000 : kB + recent();
  };
}

KeyOf Oltp(Random& random) {
  return [&random, zipf = Zipf(random, 200'000, 1), recent = Recency(random, 0.4, 3000),
          log = uint64_t{0}](uint64_t) mutable {
    const double unit = random.Unit();
    if (unit < 0.6) return zipf();
    return unit < 0.85 ? kA + recent() : kB + log++ % 400'000;
  };
}

KeyOf Jumps(Random& random) {
  return [zipf = Zipf(random, 200'000, 0.9)](uint64_t i) {
    return Shuffled(zipf() + i / 250'000 * kA) % 200'000;
  };
}

KeyOf LoopAndSkew(Random& random) {
  return [zipf = Zipf(random, 300'000, 0.9)](uint64_t i) {
    return i % 2 == 1 ? zipf() : kA + i / 2 % 100'000;
  };
}

KeyOf Disk(Random& random) {
  return [&random, runs = Runs(random, Zipf(random, 5000, 0.7), 128),
          recent = Recency(random, 0.3, 8000), loop = uint64_t{0}](uint64_t) mutable {
    const double unit = random.Unit();
    if (unit < 0.45) return runs();
    return unit < 0.75 ? kA + recent() : kB + loop++ % 150'000;
  };
}

KeyOf RepeatedScans(Random& random) {
  return [zipf = Zipf(random, 200'000, 0.9), scan = uint64_t{0}](uint64_t i) mutable {
    return i % 250'000 < 80'000 ? kA + scan++ % 80'000 : zipf();
  };
}

KeyOf OtherPhases(Random& random) {
  return [&random, zipf = Zipf(random, 200'000, 1),
          recent = Recency(random, 0.1, 40'000)](uint64_t i) mutable {
    const uint64_t phase = i / 200'000 % 4;
    if (phase == 0) return kB + recent();
    if (phase == 1) return zipf();
    return phase == 2 ? kA + i % 60'000 : kC + random.Below(150'000);
  };
}

// Each key again after 60,000 other reads, and never after that.
KeyOf Twice() {
  return [](uint64_t i) {
    const uint64_t pair = i / 2;
    return i % 2 == 1 ? pair : pair - std::min<uint64_t>(pair, 30'000);
  };
}

KeyOf WorkingSets(Random& random) {
  return [&random, zipf = Zipf(random, 50'000, 0.6)](uint64_t i) {
    const uint64_t set = random.Unit() < 0.8 ? i / 160'000 : random.Below(12);
    return set * kA + zipf();
  };
}

KeyOf RecencyAndSkew(Random& random) {
  return [&random, zipf = Zipf(random, 300'000, 0.9), recent = Recency(random, 0.3, 25'000)](
             uint64_t) mutable { return random.Below(2) == 1 ? zipf() : kA + recent(); };
}

KeyOf Recent(Random& random, double fresh_part, double back, bool long_tail) {
  return [recent = Recency(random, fresh_part, back, long_tail)](uint64_t) mutable {
    return recent();
  };
}

using Maker = std::function<KeyOf(Random&)>;

const std::map<std::string, Maker>& Makers() {
  static const std::map<std::string, Maker> makers{
      {"skewed", [](Random& r) { return Skewed(r, 500'000, 0.9); }},
      {"less-skewed", [](Random& r) { return Skewed(r, 400'000, 0.7); }},
      {"flat", [](Random& r) { return [&r](uint64_t) { return r.Below(300'000); }; }},
      {"drifting", [](Random& r) { return Drifting(r, 300'000, 0.8, 8); }},
      {"drifting-faster", [](Random& r) { return Drifting(r, 200'000, 0.9, 3); }},
      {"loop-50000", [](Random&) { return Loop(50'000); }},
      {"loop-130000", [](Random&) { return Loop(130'000); }},
      {"loop-200000", [](Random&) { return Loop(200'000); }},
      {"loops-in-turn", [](Random&) { return LoopsInTurn(); }},
      {"loop-and-skew", LoopAndSkew},
      {"recency", [](Random& r) { return Recent(r, 0.2, 20'000, false); }},
      {"recency-long-tail", [](Random& r) { return Recent(r, 0.3, 5000, true); }},
      {"recency-and-skew", RecencyAndSkew},
      {"scans", Scans},
      {"repeated-scans", RepeatedScans},
      {"phases", Phases},
      {"other-phases", OtherPhases},
      {"oltp", Oltp},
      {"runs",
       [](Random& r) {
         return [runs = Runs(r, Zipf(r, 20'000, 0.8), 64)](uint64_t) mutable { return runs(); };
       }},
      {"jumps", Jumps},
      {"disk", Disk},
      {"twice", [](Random&) { return Twice(); }},
      {"working-sets", WorkingSets},
  };
  return makers;
}

}  // namespace

std::vector<std::string> SyntheticTraceNames() {
  std::vector<std::string> out;
  for (const auto& [name, maker] : Makers()) out.push_back(name);
  return out;
}

absl::StatusOr<Trace> MakeSyntheticTrace(std::string_view name) {
  const auto it = Makers().find(std::string(name));
  if (it == Makers().end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown synthetic trace `", std::string(name),
                     "`: ", absl::StrJoin(SyntheticTraceNames(), ", ")));
  }
  Random random;
  const KeyOf key_of = it->second(random);
  std::string bytes;
  bytes.reserve(8 * kRequestsCount);
  for (uint64_t i = 0; i < kRequestsCount; ++i) {
    const uint64_t key = key_of(i);
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(key >> shift));
  }
  std::istringstream in(std::move(bytes));
  return ReadTrace(in, "int64be");
}

}  // namespace slipstream::bench
