#include "services/cache/tenant_quota.h"

namespace slipstream::cache {

void TenantBytes::Add(uint64_t owner, int64_t bytes) {
  Stripe& stripe = StripeOf(owner);
  sync::MutexLock lock(stripe.mutex);
  const auto it = stripe.bytes.try_emplace(owner, 0).first;
  it->second += bytes;
  if (it->second <= 0) stripe.bytes.erase(it);
}

bool TenantBytes::IsOver(uint64_t owner) const {
  const Stripe& stripe = StripeOf(owner);
  sync::MutexLock lock(stripe.mutex);
  const auto it = stripe.bytes.find(owner);
  return it != stripe.bytes.end() && it->second > quota_bytes_;
}

void OwnedEntries::Add(OwnedLink* link) {
  Ends& ends = owners_[link->owner];
  link->older = ends.newest;
  link->newer = nullptr;
  if (ends.newest != nullptr)
    ends.newest->newer = link;
  else
    ends.oldest = link;
  ends.newest = link;
}

void OwnedEntries::Remove(OwnedLink* link) {
  const auto it = owners_.find(link->owner);
  Ends& ends = it->second;
  if (link->older != nullptr)
    link->older->newer = link->newer;
  else
    ends.oldest = link->newer;
  if (link->newer != nullptr)
    link->newer->older = link->older;
  else
    ends.newest = link->older;
  link->older = link->newer = nullptr;
  if (ends.oldest == nullptr) owners_.erase(it);
}

OwnedLink* OwnedEntries::Oldest(uint64_t owner) const {
  const auto it = owners_.find(owner);
  return it == owners_.end() ? nullptr : it->second.oldest;
}

}  // namespace slipstream::cache
