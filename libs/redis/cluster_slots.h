// Redis Cluster's hash slots: which slot a key has, and which primary owns a slot
// (https://redis.io/docs/reference/cluster-spec/).
//
// Thread safety: pure functions.
#ifndef LIBS_REDIS_CLUSTER_SLOTS_H_
#define LIBS_REDIS_CLUSTER_SLOTS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/redis/url.h"
#include "libs/redis/value.h"

namespace slipstream::redis {

inline constexpr int kSlotsCount = 16384;

// CRC-16/XMODEM, as the specification's appendix A.
uint16_t Crc16(std::string_view bytes);

// Of the text between the first '{' and the next '}' when that is not empty, else of the whole key.
int KeySlot(std::string_view key);

struct SlotRange {
  int first = 0;
  int last = 0;  // inclusive
  Endpoint owner;
};
// The reply of CLUSTER SLOTS. `asked` stands in for a host that the server does not know of itself.
// INTERNAL REDIS_ERROR for anything else.
absl::StatusOr<std::vector<SlotRange>> ParseClusterSlots(const Value& reply, const Endpoint& asked);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_CLUSTER_SLOTS_H_
