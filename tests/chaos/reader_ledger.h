// What one reader of notifications was sent, held against what was published: numbers of a channel
// are contiguous and come once, or the reader was told `recovered: false`; and who was away for no
// more than the history keeps is recovered.
//
// Thread safety: none; Published from any thread.
#ifndef TESTS_CHAOS_READER_LEDGER_H_
#define TESTS_CHAOS_READER_LEDGER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace slipstream::chaos {

// notification.history_events_count: who missed no more is recovered.
inline constexpr int64_t kKeptCount = 50;

// How far a channel's publisher is. Events are numbered from 1.
struct Published {
  std::atomic<int64_t> begun_count{0};         // handed to a server, at least once
  std::atomic<int64_t> acknowledged_count{0};  // answered
};

// Of all readers together.
struct LedgerTally {
  int64_t events_count = 0;
  // Answers to a reader that came back with a cursor.
  int64_t resumes_count = 0, recovered_count = 0;
  // Those of them that had surely missed no more than kKeptCount of each channel.
  int64_t recoverable_count = 0, recoverable_recovered_count = 0;
  // Those that had surely missed more.
  int64_t beyond_count = 0, beyond_recovered_count = 0;
  // `recovered: false` on an open connection, and after everything had been flushed.
  int64_t told_open_count = 0, told_after_flush_count = 0;
  int64_t skipped_events_count = 0;
};

class ReaderLedger {
 public:
  enum Channel { kUser, kBroadcast, kChannelsCount };
  using Violation = std::function<void(const std::string& what)>;

  // `published` is by channel; all outlive the ledger.
  ReaderLedger(std::string name, std::array<const Published*, kChannelsCount> published,
               LedgerTally& tally, Violation violation)
      : name_(std::move(name)),
        published_(published),
        tally_(tally),
        violation_(std::move(violation)) {}

  // The reader is about to connect.
  void OnConnect();
  // It is subscribed. `with_cursor`: that is what it asked for; `flushed`: the history is gone
  // since that cursor, or may be.
  void OnSubscribed(bool with_cursor, bool recovered, bool flushed);
  void OnEvent(Channel channel, int64_t number);

  bool started() const { return started_; }
  // Has everything up to these numbers, or was told that it may not.
  bool Has(const std::array<int64_t, kChannelsCount>& numbers) const;
  std::string Standing() const;

 private:
  std::string Place(Channel channel) const;

  const std::string name_;
  const std::array<const Published*, kChannelsCount> published_;
  LedgerTally& tally_;
  const Violation violation_;
  std::array<int64_t, kChannelsCount> last_{};             // number of the last event
  std::array<int64_t, kChannelsCount> sure_at_connect_{};  // acknowledged when it connected
  // It was told recovered: false, and nothing of the channel came since.
  std::array<bool, kChannelsCount> may_skip_{};
  bool started_ = false;
  bool answered_ = false;  // on this connection
};

}  // namespace slipstream::chaos

#endif  // TESTS_CHAOS_READER_LEDGER_H_
