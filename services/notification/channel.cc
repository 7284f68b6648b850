#include "services/notification/channel.h"

#include <algorithm>

namespace slipstream::notification {

namespace {

constexpr std::string_view kUserPrefix = "user:";
constexpr std::string_view kTenantPrefix = "tenant:";
constexpr std::string_view kBroadcastKey = "broadcast";

bool IsId(std::string_view id) {
  return !id.empty() && std::none_of(id.begin(), id.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

}  // namespace

std::string Channel::Key() const {
  switch (kind) {
    case ChannelKind::kUser:
      return std::string(kUserPrefix) + id;
    case ChannelKind::kTenant:
      return std::string(kTenantPrefix) + id;
    case ChannelKind::kBroadcast:
      break;
  }
  return std::string(kBroadcastKey);
}

std::optional<Channel> ParseChannel(std::string_view key) {
  if (key.size() > kMaxChannelBytes) return std::nullopt;
  if (key == kBroadcastKey) return Channel{ChannelKind::kBroadcast, ""};
  for (const auto& [prefix, kind] : {std::pair{kUserPrefix, ChannelKind::kUser},
                                     std::pair{kTenantPrefix, ChannelKind::kTenant}}) {
    if (!key.starts_with(prefix)) continue;
    key.remove_prefix(prefix.size());
    if (!IsId(key)) return std::nullopt;
    return Channel{kind, std::string(key)};
  }
  return std::nullopt;
}

std::vector<Channel> ChannelsOf(const std::string& user, const std::string& tenant) {
  std::vector<Channel> out;
  if (!user.empty()) out.push_back({ChannelKind::kUser, user});
  if (!tenant.empty()) out.push_back({ChannelKind::kTenant, tenant});
  out.push_back({ChannelKind::kBroadcast, ""});
  return out;
}

}  // namespace slipstream::notification
