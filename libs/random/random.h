// Random: the only source of randomness for engines and stores, so that a test can seed it.
//
// Thread safety: all methods of both implementations may be called from any thread. No method
// fails; SystemRandom ends the process when the kernel gives it no entropy (it always does).
#ifndef SLIPSTREAM_LIBS_RANDOM_RANDOM_H_
#define SLIPSTREAM_LIBS_RANDOM_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::random {

class Random {
 public:
  virtual ~Random() = default;

  // 64 independent, evenly distributed bits.
  virtual uint64_t Next64() = 0;

  // Evenly distributed in [0, bound), without the bias of `%`; 0 when bound is 0.
  uint64_t Uniform(uint64_t bound);

  // Evenly distributed in [0, 1), with 53 bits.
  double NextDouble();

  // `count` random bytes (keys, nonces, tickets).
  std::string Bytes(size_t count);
};

// The kernel's generator (getrandom(2)), fit for secrets. Bytes are fetched by the buffer, since
// a system call per value would cost more than the value, and are wiped once handed out. Each
// thread has a buffer, so that none waits for another.
// A child made by fork() must exec before it uses a copy: it would repeat its parent's buffer.
class SystemRandom final : public Random {
 public:
  uint64_t Next64() override;
};

// The same values for the same seed, on every machine: for tests and simulations. Not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t Next64() override;

 private:
  sync::Mutex mu_;
  std::mt19937_64 engine_ ABSL_GUARDED_BY(mu_);  // its sequence is fixed by the C++ standard
};

// A UUID version 7 (RFC 9562, section 5.7) in lower case: 48 bits of Unix milliseconds, then 74
// random bits. Ids of different milliseconds sort by time; within one millisecond they do not.
std::string Uuid7(const clock::Clock& clock, Random& random);

}  // namespace slipstream::random

#endif  // SLIPSTREAM_LIBS_RANDOM_RANDOM_H_
