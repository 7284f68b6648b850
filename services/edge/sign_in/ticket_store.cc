#include "services/edge/sign_in/ticket_store.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "libs/status/status.h"

namespace slipstream::edge {

namespace {

constexpr size_t kTicketBytes = 32;

}  // namespace

absl::StatusOr<std::string> TicketStore::Issue(const std::string& user, const std::string& token) {
  std::string ticket = absl::WebSafeBase64Escape(random_.Bytes(kTicketBytes));
  const absl::Duration expires_at = clock_.Monotonic() + kLifetime;
  sync::MutexLock lock(mutex_);
  DropExpired();
  const auto of_user = users_.find(user);
  // by_expiry_ holds used ones too, so its bound is the one that counts for memory.
  if (by_expiry_.size() >= kMaxCount ||
      (of_user != users_.end() && of_user->second >= kMaxPerUserCount)) {
    return status::WithRetryAfter(
        status::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_TICKETS",
                      "too many tickets are unused; use them or wait until they expire"),
        kLifetime);
  }
  tickets_[ticket] = {user, token, expires_at};
  by_expiry_.emplace_back(expires_at, ticket);
  CountUser(user, 1);
  return ticket;
}

std::optional<std::string> TicketStore::Redeem(const std::string& ticket) {
  sync::MutexLock lock(mutex_);
  DropExpired();
  auto it = tickets_.find(ticket);
  if (it == tickets_.end()) return std::nullopt;
  std::string token = std::move(it->second.token);
  CountUser(it->second.user, -1);
  tickets_.erase(it);
  return token;
}

void TicketStore::DropExpired() {
  const absl::Duration now = clock_.Monotonic();
  while (!by_expiry_.empty() && by_expiry_.front().first <= now) {
    auto it = tickets_.find(by_expiry_.front().second);
    if (it != tickets_.end()) {
      CountUser(it->second.user, -1);
      tickets_.erase(it);
    }
    by_expiry_.pop_front();
  }
}

void TicketStore::CountUser(const std::string& user, int change) {
  auto it = users_.try_emplace(user, 0).first;
  it->second += change;
  if (it->second == 0) users_.erase(it);
}

}  // namespace slipstream::edge
