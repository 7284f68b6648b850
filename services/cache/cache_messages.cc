#include "services/cache/cache_messages.h"

#include <string_view>

namespace slipstream::cache {

void Put(const Found& found, v1::CacheValue* out) {
  const std::string_view value = found.entry->value();
  out->set_value(value.data(), value.size());
  out->set_version(found.entry->version);
  out->set_ttl_left_ms(found.ttl_left_ms);
  out->set_age_ms(found.age_ms);
  out->set_negative(found.entry->negative);
}

void Put(const LeaseAnswer& answer, absl::Duration lease, v1::GetOrLeaseResponse* p) {
  if (answer.found.entry != nullptr) Put(answer.found, p->mutable_value());
  switch (answer.result) {
    case LeaseAnswer::kHit:
      p->set_result(v1::GetOrLeaseResponse::HIT);
      break;
    case LeaseAnswer::kStale:
      p->set_result(v1::GetOrLeaseResponse::STALE);
      break;
    case LeaseAnswer::kLeased:
      p->set_result(v1::GetOrLeaseResponse::LEASED);
      p->set_lease_token(answer.token);
      p->set_lease_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(lease)));
      break;
    case LeaseAnswer::kHeld:
    case LeaseAnswer::kBusy:
      p->set_result(v1::GetOrLeaseResponse::BUSY);
      break;
  }
}

}  // namespace slipstream::cache
