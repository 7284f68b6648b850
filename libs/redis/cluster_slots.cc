#include "libs/redis/cluster_slots.h"

#include <array>

#include "libs/redis/errors.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

constexpr std::array<uint16_t, 256> MakeTable() {
  std::array<uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned crc = i << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x1021U : crc << 1;
    }
    table[i] = static_cast<uint16_t>(crc);
  }
  return table;
}
constexpr auto kTable = MakeTable();

}  // namespace

uint16_t Crc16(std::string_view bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc = ((crc << 8) ^ kTable[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xFFU]) & 0xFFFFU;
  }
  return static_cast<uint16_t>(crc);
}

int KeySlot(std::string_view key) {
  if (const size_t open = key.find('{'); open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Crc16(key) % kSlotsCount;
}

absl::StatusOr<std::vector<SlotRange>> ParseClusterSlots(const Value& reply,
                                                         const Endpoint& asked) {
  if (reply.is_error()) return FromErrorReply(reply.text);
  const auto bad = [] {
    return status::Error(absl::StatusCode::kInternal, kError,
                         "Redis: CLUSTER SLOTS answered something else than slots");
  };
  if (!reply.is_array()) return bad();
  std::vector<SlotRange> out;
  for (const Value& range : reply.elements) {
    if (range.size() < 3 || !range[0].is_integer() || !range[1].is_integer() ||
        range[2].size() < 2 || !range[2][1].is_integer()) {
      return bad();
    }
    SlotRange slots;
    const int64_t first = range[0].integer;
    const int64_t last = range[1].integer;
    const int64_t port = range[2][1].integer;
    if (first < 0 || last < first || last >= kSlotsCount || port < 1 || port > 65535) return bad();
    slots.first = static_cast<int>(first);
    slots.last = static_cast<int>(last);
    slots.owner.host = range[2][0].text.empty() ? asked.host : range[2][0].text;
    slots.owner.port = static_cast<uint16_t>(port);
    out.push_back(std::move(slots));
  }
  return out;
}

}  // namespace slipstream::redis
