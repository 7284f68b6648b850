// What SubscriberRegistry keeps of one subscriber and of one link. Included by its own files alone.
//
// Thread safety: none; the engine's lock guards it.
#ifndef SERVICES_NOTIFICATION_SUBSCRIBER_REGISTRY_STATE_H_
#define SERVICES_NOTIFICATION_SUBSCRIBER_REGISTRY_STATE_H_

#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/notification/subscriber_registry.h"

namespace slipstream::notification {

struct SubscriberRegistry::Subscriber {
  uint64_t id;
  LinkState* link;
  std::string user;
  std::string tenant;
  TypeSet types;
  bool replaying = true;
  bool lost = false;  // while replaying: something that its read did not tell of
  bool slow = false;  // is in slow_
  int64_t credit;
  std::array<Members*, kChannelKindCount> channels{};
  std::array<size_t, kChannelKindCount> slots{};  // index in the channel's members
  Cursor accepted;                                // last event sent or in the backlog
  Cursor sent;                                    // last event sent: where it resumes
  Backlog backlog;
  // Kept by the presence table as long as the subscriber is connected; tenant: may be null.
  UserRecord* user_record;
  TenantRecord* tenant_record;
  // Progress that came with the history, whose live copy may still be on its way.
  std::vector<std::string> replayed_progress;
  std::multimap<absl::Time, Subscriber*>::iterator expiry;
};

struct SubscriberRegistry::LinkState {
  std::shared_ptr<Link> link;
  std::unordered_map<uint64_t, std::unique_ptr<Subscriber>> subscribers;
  std::vector<uint64_t> receivers;  // of the event that is fanned out
};

template <class Count>
void SubscriberRegistry::CountFor(const Subscriber& subscriber, Count count) {
  count(figures_);
  count(subscriber.user_record->figures);
  if (subscriber.tenant_record != nullptr) count(subscriber.tenant_record->figures);
}

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_SUBSCRIBER_REGISTRY_STATE_H_
