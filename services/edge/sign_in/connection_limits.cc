#include "services/edge/sign_in/connection_limits.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "libs/status/status.h"

namespace slipstream::edge {

namespace {

constexpr absl::Duration kMinute = absl::Minutes(1);
// Addresses remembered. With as many active in one minute, new ones are refused.
constexpr size_t kMaxAddressesCount = 100'000;

absl::Status TooMany(absl::string_view reason, absl::string_view message, absl::Duration retry) {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kResourceExhausted, reason, message), retry);
}

absl::Status TooManyAddresses() {
  return TooMany("TOO_MANY_HANDSHAKES", "too many addresses connect; try again", kMinute);
}

}  // namespace

std::string AddressKey(std::string_view address) {
  boost::system::error_code ec;
  const auto ip = boost::asio::ip::make_address(std::string(address), ec);
  if (ec || ip.is_v4()) return std::string(address);
  const auto bytes = ip.to_v6().to_bytes();
  // ::ffff:1.2.3.4 is the IPv4 address.
  if (ip.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, ip.to_v6()).to_string();
  }
  return "v6:" + std::string(bytes.begin(), bytes.begin() + 8);
}

std::string ClientAddress(const std::string& peer_address, std::string_view forwarded_for,
                          int hops_count) {
  if (hops_count <= 0 || forwarded_for.empty()) return peer_address;
  const std::vector<std::string> entries =
      absl::StrSplit(absl::string_view(forwarded_for.data(), forwarded_for.size()), ',');
  if (entries.size() < static_cast<size_t>(hops_count)) return peer_address;
  return std::string(
      absl::StripAsciiWhitespace(entries[entries.size() - static_cast<size_t>(hops_count)]));
}

ConnectionLimits::Place& ConnectionLimits::Place::operator=(Place&& other) noexcept {
  if (this == &other) return *this;
  Leave();
  limits_ = std::exchange(other.limits_, nullptr);
  address_ = std::move(other.address_);
  user_ = std::move(other.user_);
  counted_ = other.counted_;
  return *this;
}

absl::Status ConnectionLimits::Place::SignIn(const std::string& user) {
  sync::MutexLock lock(limits_->mutex_);
  int& count = limits_->users_[user];
  if (count >= limits_->options_.max_user_connections_count) {
    return TooMany("TOO_MANY_CONNECTIONS",
                   "the user has as many connections as one user may have; close one first",
                   absl::Seconds(5));
  }
  ++count;
  user_ = user;
  return absl::OkStatus();
}

void ConnectionLimits::Place::CountFailedSignIn() {
  if (limits_ == nullptr) return;
  sync::MutexLock lock(limits_->mutex_);
  if (Address* address = limits_->Find(address_, /*add=*/false)) ++address->failed_count;
}

void ConnectionLimits::Place::Leave() {
  ConnectionLimits* const limits = std::exchange(limits_, nullptr);
  if (limits == nullptr) return;
  sync::MutexLock lock(limits->mutex_);
  // The entry stays for its minute: leaving must not clear what was tried.
  if (counted_) {
    if (Address* address = limits->Find(address_, /*add=*/false)) --address->connections_count;
  }
  if (user_.empty()) return;
  auto user = limits->users_.find(user_);
  if (--user->second == 0) limits->users_.erase(user);
}

ConnectionLimits::Address* ConnectionLimits::Find(const std::string& key, bool add) {
  const absl::Duration now = clock_.Monotonic();
  auto it = addresses_.find(key);
  if (it == addresses_.end()) {
    if (!add) return nullptr;
    if (addresses_.size() >= kMaxAddressesCount) Forget(now);
    if (addresses_.size() >= kMaxAddressesCount) return nullptr;
    it = addresses_.emplace(key, Address{.handshakes_at = now, .minute_started = now}).first;
  }
  Address& address = it->second;
  if (now - address.minute_started >= kMinute) {
    address.minute_started = now;
    address.failed_count = address.refused_count = 0;
  }
  return &address;
}

void ConnectionLimits::Forget(absl::Duration now) {
  std::erase_if(addresses_, [now](const auto& entry) {
    return entry.second.connections_count == 0 && now - entry.second.minute_started >= kMinute;
  });
}

absl::Status ConnectionLimits::CheckFailed(const Address& address, absl::Duration now) const {
  if (address.failed_count < options_.max_address_failed_sign_ins_per_minute_count) {
    return absl::OkStatus();
  }
  return TooMany("TOO_MANY_FAILED_SIGN_INS",
                 "too many sign-ins from this address have failed; wait, then use a valid token",
                 address.minute_started + kMinute - now);
}

absl::Status ConnectionLimits::CheckConnections(const Address& address) const {
  if (address.connections_count < options_.max_address_connections_count) return absl::OkStatus();
  return TooMany("TOO_MANY_CONNECTIONS",
                 "this address has as many connections as one may have; close one first",
                 absl::Seconds(5));
}

absl::Status ConnectionLimits::TakeHandshake(Address* address, absl::Duration now) const {
  const double limit = options_.max_address_handshakes_per_minute_count;
  const double at_once =
      std::max({1.0, limit / 6, std::min<double>(limit, options_.max_address_connections_count)});
  const double back = absl::FDivDuration(now - address->handshakes_at, kMinute) * limit;
  address->handshakes = std::max(0.0, address->handshakes - std::max(0.0, back));
  address->handshakes_at = now;
  // Within what adding up fractions may be off by.
  if (const double over = address->handshakes + 1 - at_once; over > 1e-6) {
    return TooMany("TOO_MANY_HANDSHAKES",
                   "this address connects too often; keep connections open instead",
                   over / limit * kMinute);
  }
  ++address->handshakes;
  return absl::OkStatus();
}

absl::StatusOr<ConnectionLimits::Place> ConnectionLimits::Arrive(std::string_view peer_address) {
  Place place;
  if (options_.behind_proxies) return place;
  std::string key = AddressKey(peer_address);
  sync::MutexLock lock(mutex_);
  Address* const found = Find(key, /*add=*/true);
  if (found == nullptr) return TooManyAddresses();
  if (found->refused_count >= options_.max_address_handshakes_per_minute_count) {
    return absl::AbortedError("this address goes on although it is refused");
  }
  if (absl::Status room = CheckConnections(*found); !room.ok()) {
    ++found->refused_count;
    return room;
  }
  ++found->connections_count;
  place.limits_ = this;
  place.address_ = std::move(key);
  place.counted_ = true;
  return place;
}

absl::StatusOr<ConnectionLimits::Place> ConnectionLimits::Enter(std::string_view address) {
  Place place;
  std::string key = AddressKey(address);
  const absl::Duration now = clock_.Monotonic();
  sync::MutexLock lock(mutex_);
  Address* const found = Find(key, /*add=*/true);
  if (found == nullptr) return TooManyAddresses();
  absl::Status may = CheckFailed(*found, now);
  if (may.ok()) may = TakeHandshake(found, now);
  if (!may.ok()) {
    ++found->refused_count;
    return may;
  }
  place.counted_ = options_.behind_proxies;
  if (place.counted_) {
    if (absl::Status room = CheckConnections(*found); !room.ok()) return room;
    ++found->connections_count;
  }
  place.limits_ = this;
  place.address_ = std::move(key);
  return place;
}

absl::Status ConnectionLimits::Admit(std::string_view address) {
  const absl::Duration now = clock_.Monotonic();
  sync::MutexLock lock(mutex_);
  Address* const found = Find(AddressKey(address), /*add=*/false);
  if (found == nullptr) return absl::OkStatus();
  absl::Status may = CheckFailed(*found, now);
  if (!may.ok()) ++found->refused_count;
  return may;
}

void ConnectionLimits::CountFailedSignIn(std::string_view address) {
  sync::MutexLock lock(mutex_);
  if (Address* found = Find(AddressKey(address), /*add=*/true)) ++found->failed_count;
}

}  // namespace slipstream::edge
