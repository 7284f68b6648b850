#include "libs/random/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace slipstream::random {

uint64_t Random::Uniform(uint64_t bound) {
  if (bound == 0) return 0;
  // 2^64 mod bound: values below it would make the low remainders more likely. Less than half of
  // all values are refused, so the loop ends after fewer than two rounds on average.
  const uint64_t refused = (0 - bound) % bound;
  uint64_t value = Next64();
  while (value < refused) value = Next64();
  return value % bound;
}

double Random::NextDouble() { return static_cast<double>(Next64() >> 11) * 0x1.0p-53; }

std::string Random::Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t at = 0; at < count; at += sizeof(uint64_t)) {
    const uint64_t value = Next64();
    std::memcpy(bytes.data() + at, &value, std::min(sizeof(value), count - at));
  }
  return bytes;
}

uint64_t SystemRandom::Next64() {
  sync::MutexLock lock(mu_);
  if (used_count_ == kBufferCount) {
    ssize_t got = 0;
    do {
      got = getrandom(buffer_.data(), sizeof(buffer_), 0);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(sizeof(buffer_))) {
      // Going on would hand out guessable secrets.
      std::perror("slipstream: getrandom");
      std::abort();
    }
    used_count_ = 0;
  }
  const uint64_t value = buffer_[used_count_];
  buffer_[used_count_++] = 0;
  return value;
}

uint64_t SeededRandom::Next64() {
  sync::MutexLock lock(mu_);
  return engine_();
}

std::string Uuid7(const clock::Clock& clock, Random& random) {
  constexpr int64_t kMaxUnixMs = (int64_t{1} << 48) - 1;
  const auto unix_ms =
      static_cast<uint64_t>(std::clamp<int64_t>(absl::ToUnixMillis(clock.Now()), 0, kMaxUnixMs));
  const uint64_t high = (unix_ms << 16) | (uint64_t{7} << 12) | (random.Next64() >> 52);
  const uint64_t low = (uint64_t{0b10} << 62) | (random.Next64() >> 2);

  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) text.push_back('-');
    const uint64_t half = digit < 16 ? high : low;
    text.push_back(kHex[(half >> (60 - 4 * (digit % 16))) & 0xf]);
  }
  return text;
}

}  // namespace slipstream::random
