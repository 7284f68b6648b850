// Who gets what: links, their subscribers, and the channels these are members of. Decides for each
// event and subscriber whether it is sent now, kept in the backlog, or seen already.
//
// A subscriber starts as `replaying`: from then on it misses no live event (they wait in its
// backlog), while the engine reads the history. FinishReplay then sends the history and whatever
// waited, without those that both contain: positions tell.
//
// Thread safety: none; the engine's lock guards it.
#ifndef SERVICES_NOTIFICATION_SUBSCRIBER_REGISTRY_H_
#define SERVICES_NOTIFICATION_SUBSCRIBER_REGISTRY_H_

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/notification/backlog.h"
#include "services/notification/cursor.h"
#include "services/notification/figures.h"
#include "services/notification/history_store.h"
#include "services/notification/link.h"
#include "services/notification/presence_table.h"

namespace slipstream::notification {

struct SubscriberSpec {
  uint64_t id = 0;  // unique on its link
  std::string user;
  std::string tenant;  // empty for none
  std::optional<Cursor> cursor;
  TypeSet types = kAllTypes;
  // Events it may be sent before AddCredit.
  int64_t credit_count = 0;
  absl::Time token_expires_at = absl::InfiniteFuture();
};

struct RegistryOptions {
  int max_subscribers_count = 1000;
  int max_connections_per_user_count = 10;
  int64_t subscriber_queue_bytes = 1 << 20;
  absl::Duration remember_users = absl::Hours(24);
  // Progress and alerts that a user is sent per minute, with as many at once; further ones wait in
  // the subscriber's backlog, and what follows them waits behind them. A user with several
  // connections pays for each a share. 0: no limit.
  int user_messages_per_minute_count = 0;
};

// ALREADY_EXISTS: the number of a subscriber is used once on its link.
absl::Status SubscriberIdInUse();

class SubscriberRegistry {
 public:
  // What the registry tells of; only quick work, and no call back. Each may be empty.
  struct Hooks {
    // A channel got its first member (true) or has lost its last (false).
    std::function<void(const Channel& channel, bool followed)> followed;
    // A user's connections to this node are now so many.
    std::function<void(const std::string& user, const std::string& tenant, int connections_count)>
        connected;
  };

  explicit SubscriberRegistry(RegistryOptions options, Hooks hooks = {});
  ~SubscriberRegistry();

  void AddLink(std::shared_ptr<Link> link);
  void RemoveLink(const Link* link, absl::Time now);
  std::vector<std::shared_ptr<Link>> Links() const;

  // ALREADY_EXISTS for a number in use, RESOURCE_EXHAUSTED beyond a bound, CANCELLED for a link
  // that is gone.
  absl::Status Add(const Link* link, const SubscriberSpec& spec, absl::Time now);
  // `reads` are the answers for ChannelsOf(user, tenant), in that order.
  void FinishReplay(const Link* link, const SubscriberSpec& spec,
                    const std::vector<ReadResult>& reads, absl::Time now);
  void Remove(const Link* link, uint64_t id, absl::Time now);
  void Close(const Link* link, uint64_t id, CloseReason reason, std::string message,
             absl::Time now);
  void AddCredit(const Link* link, uint64_t id, int64_t count);
  // False when the token is of somebody else: the subscriber is not changed. True when it is gone.
  bool Refresh(const Link* link, uint64_t id, const std::string& user, const std::string& tenant,
               absl::Time token_expires_at);
  // Empty when there is no such subscriber.
  std::string CursorOf(const Link* link, uint64_t id) const;

  // Of an event published at this node, for the figures.
  void CountPublished(const Event& event);
  void FanOut(const EventPtr& event, absl::Time now);
  // The channel goes on under another epoch: its members' places are in that from now on, so that
  // an event which has one in both is not sent twice.
  void Continue(const Channel& channel, const ReadResult& read);
  // Events of the channel are gone that no member has seen. Each is told, like one whose resume
  // did not find all, and given what there is.
  void Lose(const Channel& channel, const ReadResult& read, absl::Time now);
  // The link has room again.
  void Flush(const Link* link);
  // Ends those whose token has expired before `expired_before`, forgets users long away.
  void Tick(absl::Time expired_before, absl::Time now);

  PresenceTable& presence() { return presence_; }
  Figures& figures() { return figures_; }
  void CountDuplicate() { ++figures_.duplicates_count; }
  int64_t subscribers_count() const { return subscribers_count_; }
  int64_t links_count() const { return static_cast<int64_t>(links_.size()); }
  int64_t backlog_bytes() const { return backlog_bytes_; }

 private:
  struct Subscriber;
  struct LinkState;
  struct Members {
    Channel channel;
    std::string key;
    std::vector<Subscriber*> subscribers;
    ReadResult continued;  // without events: today's epoch, once there was an earlier one
  };

  LinkState* FindLink(const Link* link) const;
  Subscriber* Find(const Link* link, uint64_t id) const;
  void Join(Subscriber& subscriber, const Channel& channel);
  void Leave(Subscriber& subscriber, ChannelKind kind);
  void Erase(Subscriber& subscriber, absl::Time now);
  void CloseNow(Subscriber& subscriber, CloseReason reason, std::string message, absl::Time now);

  // Into the epoch under which the channel goes on.
  void MoveOn(Subscriber& subscriber, size_t kind);
  void Offer(Subscriber& subscriber, const EventPtr& event, bool bounded);
  void Send(Subscriber& subscriber, const EventPtr& event);
  void Hold(Subscriber& subscriber, const EventPtr& event, bool bounded);
  EventPtr PopBacklog(Subscriber& subscriber);
  void FlushBacklog(Subscriber& subscriber);
  // Takes what sending costs of the user's rate when it says yes.
  bool MaySend(Subscriber& subscriber, const Event& event);
  bool TakeOfRate(Subscriber& subscriber);
  void CloseSlowReaders(absl::Time now);
  void TellConnected(const std::string& user, const std::string& tenant);
  template <class Count>
  void CountFor(const Subscriber& subscriber, Count count);

  const RegistryOptions options_;
  const Hooks hooks_;
  PresenceTable presence_;
  Figures figures_;
  std::unordered_map<const Link*, std::unique_ptr<LinkState>> links_;
  std::unordered_map<std::string, std::unique_ptr<Members>> channels_;
  std::multimap<absl::Time, Subscriber*> by_expiry_;
  int64_t subscribers_count_ = 0;
  int64_t backlog_bytes_ = 0;
  absl::Time now_ = absl::InfinitePast();  // of the latest call that told it
  std::set<Subscriber*> delayed_;          // whose backlog waits for its user's rate

  // Within one FanOut: links that get the event, and subscribers whose backlog is full.
  bool fanning_out_ = false;
  std::vector<LinkState*> touched_;
  std::vector<Subscriber*> slow_;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_SUBSCRIBER_REGISTRY_H_
