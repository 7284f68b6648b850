#include "services/cache/lease_table.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace slipstream::cache {

LeaseTable::Answer LeaseTable::Acquire(const ScopedKey& key, std::string token, FillGuard guard,
                                       absl::Duration now, absl::Duration until) {
  Stripe& stripe = StripeOf(key);
  sync::MutexLock lock(stripe.mutex);
  auto it = stripe.leases.find(key.id());
  if (it != stripe.leases.end() && it->second.until > now) {
    const Lease& lease = it->second;
    return Held{lease.ended, lease.ended->version(), lease.until};
  }
  if (it == stripe.leases.end()) {
    if (stripe.leases.size() >= kMaxLeasesCount / kStripesCount) return Full{};
    it = stripe.leases.try_emplace(key.id()).first;
    it->second.ended = std::make_shared<async::Event>();
  }
  // One that ran out is taken over with its event: those who wait for it wait for the new one.
  it->second.token = std::move(token);
  it->second.guard = guard;
  it->second.until = until;
  return Granted{};
}

std::optional<FillGuard> LeaseTable::Find(const ScopedKey& key, std::string_view token,
                                          absl::Duration now) const {
  const Stripe& stripe = StripeOf(key);
  sync::MutexLock lock(stripe.mutex);
  const auto it = stripe.leases.find(key.id());
  if (it == stripe.leases.end() || it->second.token != token || it->second.until <= now) {
    return std::nullopt;
  }
  return it->second.guard;
}

void LeaseTable::Release(const ScopedKey& key, std::string_view token) {
  std::shared_ptr<async::Event> ended;
  {
    Stripe& stripe = StripeOf(key);
    sync::MutexLock lock(stripe.mutex);
    const auto it = stripe.leases.find(key.id());
    if (it == stripe.leases.end() || it->second.token != token) return;
    ended = std::move(it->second.ended);
    stripe.leases.erase(it);
  }
  ended->Notify();
}

std::optional<LeaseTable::Held> LeaseTable::Shorten(const ScopedKey& key, std::string_view token,
                                                    absl::Duration until) {
  Stripe& stripe = StripeOf(key);
  sync::MutexLock lock(stripe.mutex);
  const auto it = stripe.leases.find(key.id());
  if (it == stripe.leases.end() || it->second.token != token) return std::nullopt;
  Lease& lease = it->second;
  lease.until = std::min(lease.until, until);
  return Held{lease.ended, lease.ended->version(), lease.until};
}

bool LeaseTable::Rename(const ScopedKey& key, std::string_view token, std::string next) {
  Stripe& stripe = StripeOf(key);
  sync::MutexLock lock(stripe.mutex);
  const auto it = stripe.leases.find(key.id());
  if (it == stripe.leases.end() || it->second.token != token) return false;
  it->second.token = std::move(next);
  return true;
}

void LeaseTable::Kill(std::string_view id) {
  std::shared_ptr<async::Event> ended;
  {
    Stripe& stripe = stripes_[IndexOf(ScopedKey::HashOf(id))];
    sync::MutexLock lock(stripe.mutex);
    const auto it = stripe.leases.find(absl::string_view(id.data(), id.size()));
    if (it == stripe.leases.end()) return;
    ended = std::move(it->second.ended);
    stripe.leases.erase(it);
  }
  ended->Notify();
}

void LeaseTable::Sweep(absl::Duration now) {
  std::vector<std::shared_ptr<async::Event>> ended;
  for (auto& stripe : stripes_) {
    sync::MutexLock lock(stripe.mutex);
    for (auto it = stripe.leases.begin(); it != stripe.leases.end();) {
      if (it->second.until <= now) {
        ended.push_back(std::move(it->second.ended));
        stripe.leases.erase(it++);
      } else {
        ++it;
      }
    }
  }
  for (const auto& event : ended) event->Notify();
}

size_t LeaseTable::count() const {
  size_t out = 0;
  for (const auto& stripe : stripes_) {
    sync::MutexLock lock(stripe.mutex);
    out += stripe.leases.size();
  }
  return out;
}

}  // namespace slipstream::cache
