// Publishes numbered events to users and to everybody, each until a server acknowledges it, with an
// idempotency key; batches and their order follow from the seed.
//
// Thread safety: Pause, SetLimit and what it answers from any thread.
#ifndef TESTS_CHAOS_LEDGER_PUBLISHER_H_
#define TESTS_CHAOS_LEDGER_PUBLISHER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "slipstream/notification/v1/notification.grpc.pb.h"
#include "tests/chaos/reader_ledger.h"

namespace slipstream::chaos {

// One channel's events. Each is published by one Publisher alone, in order.
struct Topic {
  std::string channel;
  std::string type;
  Published published;
  int64_t wanted_count = 0;
};

struct PublisherOptions {
  std::vector<std::string> servers;
  std::string token;
  double rate = 1000;  // events a second, at most
  uint64_t seed = 0;
};

class LedgerPublisher {
 public:
  // Publishes all that `topics` want, once Start has been called. Topics outlive it.
  LedgerPublisher(PublisherOptions options, std::vector<Topic*> topics,
                  std::function<void(const std::string& what)> violation);
  ~LedgerPublisher();

  void Start();
  // Between batches.
  void Pause(bool paused) { paused_ = paused; }
  // It waits when it has published this part of all.
  void SetLimit(double part) {
    limit_count_ = static_cast<size_t>(part * static_cast<double>(order_.size()));
  }
  // Nothing is under way at a server.
  bool idle() const { return idle_; }
  bool done() const { return done_; }
  int64_t repeated_count() const { return repeated_count_; }

 private:
  void Run();
  void Insist(const notification::v1::PublishManyRequest& request);

  const PublisherOptions options_;
  const std::function<void(const std::string& what)> violation_;
  std::mt19937_64 random_;
  std::vector<Topic*> order_;  // of each event its topic
  std::vector<std::unique_ptr<notification::v1::NotificationService::Stub>> stubs_;
  std::atomic<size_t> limit_count_;
  std::atomic<bool> stop_{false}, paused_{false}, idle_{true}, done_{false};
  std::atomic<int64_t> repeated_count_{0};
  std::thread thread_;
};

}  // namespace slipstream::chaos

#endif  // TESTS_CHAOS_LEDGER_PUBLISHER_H_
