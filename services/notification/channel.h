// Where an event is published: one user, one tenant, or everybody.
//
// Thread safety: plain values. Errors: ParseChannel answers nullopt for text that names none.
#ifndef SERVICES_NOTIFICATION_CHANNEL_H_
#define SERVICES_NOTIFICATION_CHANNEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipstream::notification {

enum class ChannelKind : uint8_t { kUser, kTenant, kBroadcast };
inline constexpr size_t kChannelKindCount = 3;
inline constexpr std::array<ChannelKind, kChannelKindCount> kChannelKinds = {
    ChannelKind::kUser, ChannelKind::kTenant, ChannelKind::kBroadcast};
inline size_t Index(ChannelKind kind) { return static_cast<size_t>(kind); }

inline constexpr size_t kMaxChannelBytes = 300;

struct Channel {
  ChannelKind kind = ChannelKind::kBroadcast;
  std::string id;  // user or tenant; empty for broadcast

  // "user:U", "tenant:T" or "broadcast".
  std::string Key() const;
  bool operator==(const Channel&) const = default;
};

// Refuses an empty id, control characters and more than kMaxChannelBytes.
std::optional<Channel> ParseChannel(std::string_view key);

// The channels that a subscriber with this identity gets, and no other: the whole of the service's
// isolation rests on this one function. `tenant` is empty for none.
std::vector<Channel> ChannelsOf(const std::string& user, const std::string& tenant);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_CHANNEL_H_
