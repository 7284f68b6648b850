// The contract on a real Redis: at one node, and written at one and read at another.
#include "services/notification/redis_history_store.h"

#include "services/notification/history_store_contract.h"
#include "services/notification/redis_history_fixture.h"

namespace slipstream::notification {
namespace {

// Appends and acknowledges at the first node, reads at the last.
class NodesStore final : public HistoryStore {
 public:
  NodesStore(const redis::Options& redis, const clock::Clock& clock, int count) {
    const RedisHistoryOptions options{
        .key_prefix = FreshPrefix(), .history_events_count = 5, .history_ttl = absl::Hours(1)};
    for (int i = 0; i < count; ++i) {
      nodes_.push_back(std::make_unique<RedisHistoryNode>(redis, options, clock));
    }
  }
  Async<absl::StatusOr<std::vector<Appended>>> Append(
      std::vector<AppendRequest> requests) override {
    return nodes_.front()->store().Append(std::move(requests));
  }
  Async<absl::StatusOr<std::vector<ReadResult>>> Read(std::vector<ReadRequest> requests) override {
    return nodes_.back()->store().Read(std::move(requests));
  }
  Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) override {
    return nodes_.front()->store().Acknowledge(std::move(requests));
  }
  void Tick() override { nodes_.front()->store().Tick(); }
  HistoryStats Stats() const override { return {}; }
  std::string_view name() const override { return "redis"; }

 private:
  std::vector<std::unique_ptr<RedisHistoryNode>> nodes_;
};

using tests::ACluster;
using tests::OneServer;

// May do no more than the README says.
redis::Options TlsAndAcl() {
  return tests::TlsAndAcl("notify",
                          "{notify:", "+@read +@write +@scripting +@pubsub +@connection +info");
}

template <redis::Options (*kServer)(), int kNodesCount>
std::unique_ptr<HistoryStore> Make(const clock::Clock& clock, random::Random&) {
  return std::make_unique<NodesStore>(kServer(), clock, kNodesCount);
}

std::string NameOf(const testing::TestParamInfo<MakeStore>& info) {
  static const char* const names[] = {"OneNode", "TwoNodes", "Cluster", "TlsAndAcl"};
  return names[info.index];
}

INSTANTIATE_TEST_SUITE_P(Redis, HistoryStoreContract,
                         testing::Values(&Make<OneServer, 1>, &Make<OneServer, 2>,
                                         &Make<ACluster, 2>, &Make<TlsAndAcl, 2>),
                         NameOf);

}  // namespace
}  // namespace slipstream::notification
