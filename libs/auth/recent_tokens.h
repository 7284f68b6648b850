// The verified tokens that a thread saw last, found without a hash of the token and without a lock:
// in front of the VerifiedTokenCache, for callers that send one token with call after call.
//
// Tokens are compared whole and in constant time, so that how long a wrong one takes says nothing
// about a right one. What is served here is what VerifiedTokenCache would serve: strictly before
// the token's `exp`, and only under the key generation it was verified with.
//
// Thread safety: all methods, from any thread; each has tokens of its own (at most
// kMaxTokensCount, over all instances), which end with it.
#ifndef SLIPSTREAM_LIBS_AUTH_RECENT_TOKENS_H_
#define SLIPSTREAM_LIBS_AUTH_RECENT_TOKENS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/time/time.h"
#include "libs/auth/principal.h"

namespace slipstream::auth {

class RecentTokens {
 public:
  static constexpr size_t kMaxTokensCount = 64;  // of a thread
  // Longer ones are not kept: what a thread holds stays below 128 KiB.
  static constexpr size_t kMaxTokenBytes = 2048;

  RecentTokens();
  RecentTokens(const RecentTokens&) = delete;
  RecentTokens& operator=(const RecentTokens&) = delete;

  // Null when it is not among them.
  std::shared_ptr<const Principal> Find(std::string_view token, uint64_t generation,
                                        absl::Time now);
  void Keep(std::string_view token, uint64_t generation,
            std::shared_ptr<const Principal> principal);

  uint64_t hits_total() const { return hits_total_.load(std::memory_order_relaxed); }

 private:
  struct Slot;
  // The slot of this thread in which the token would be.
  static Slot& SlotOf(std::string_view token);

  const uint64_t instance_;  // no two of a process have the same
  std::atomic<uint64_t> hits_total_{0};
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_RECENT_TOKENS_H_
