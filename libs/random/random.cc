#include "libs/random/random.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
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

namespace {

// getrandom never returns less than asked for up to 256 bytes, nor is it interrupted.
struct KernelBytes {
  static constexpr size_t kCount = 256 / sizeof(uint64_t);
  std::array<uint64_t, kCount> buffer = {};
  size_t used_count = kCount;
};

}  // namespace

uint64_t SystemRandom::Next64() {
  static thread_local KernelBytes mine;
  if (mine.used_count == KernelBytes::kCount) {
    ssize_t got = 0;
    do {
      got = getrandom(mine.buffer.data(), sizeof(mine.buffer), 0);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(sizeof(mine.buffer))) {
      // Going on would hand out guessable secrets.
      std::perror("slipstream: getrandom");
      std::abort();
    }
    mine.used_count = 0;
  }
  const uint64_t value = mine.buffer[mine.used_count];
  mine.buffer[mine.used_count++] = 0;
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

  // Where the groups of 8, 4, 4, 4 and 12 digits begin in the text.
  std::array<char, 36> text;
  text.fill('-');
  const auto write = [&](size_t at, uint64_t value, int digits) {
    constexpr char kHex[] = "0123456789abcdef";
    for (int i = digits - 1; i >= 0; --i, value >>= 4) {
      text[at + static_cast<size_t>(i)] = kHex[value & 0xf];
    }
  };
  write(0, high >> 32, 8);
  write(9, high >> 16, 4);
  write(14, high, 4);
  write(19, low >> 48, 4);
  write(24, low, 12);
  return std::string(text.data(), text.size());
}

}  // namespace slipstream::random
