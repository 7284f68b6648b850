// One client of ledger_load: subscribes by WebSocket or SSE, keeps a ledger of what it is sent, and
// comes back with its cursor, at any edge, whenever the connection ends; now and then it ends the
// connection itself and may stay away for a while.
//
// Thread safety: none; all readers live on the thread of the event loop.
#ifndef TESTS_CHAOS_LEDGER_READER_H_
#define TESTS_CHAOS_LEDGER_READER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/reader_ledger.h"

namespace slipstream::chaos {

// What all readers share, and what they count together.
struct ReaderWorld {
  int epoll = -1;
  std::vector<int> edge_ports;
  bool flushed = false;  // the history was flushed: from now on nobody can be sure of recovery
  LedgerTally tally;
  int64_t connects_count = 0, left_count = 0;
  // Why connections ended: close codes, problems of SSE, HTTP statuses, "reset", "quiet", ...
  std::map<std::string, int64_t> ends;
  int64_t longest_away_ns = 0;  // from wanting to be back until subscribed
  std::function<void(const std::string& what)> violation;
};

class LedgerReader {
 public:
  enum class Kind { kWebSocket, kSse };
  // `world` and what was published outlive the reader.
  LedgerReader(ReaderWorld& world, Kind kind, int number, std::string user, std::string token,
               std::array<const Published*, ReaderLedger::kChannelsCount> published, uint64_t seed);
  ~LedgerReader();
  LedgerReader(const LedgerReader&) = delete;

  // The socket has something to say.
  void OnReady(int64_t now_ns);
  // Connects when it is time to, gives up what is quiet, leaves on a whim when `may_leave`.
  void Tick(int64_t now_ns, bool may_leave);

  const ReaderLedger& ledger() const { return ledger_; }
  bool is_open() const { return state_ == State::kOpen; }
  const std::string& user() const { return user_; }
  // Since when it tries in vain; 0: it does not.
  int64_t trying_since_ns() const { return trying_since_ns_; }

 private:
  enum class State { kAway, kConnecting, kGreeting, kOpen };

  void Connect(int64_t now_ns);
  void Greet(int64_t now_ns);
  // `again_after` in ns; the reason is counted.
  void Leave(const std::string& why, int64_t now_ns, int64_t again_after_ns);
  void End(const std::string& why, int64_t now_ns);
  bool Send(const std::string& bytes);
  // Takes what is complete from input_; false: the connection has ended.
  bool Parse(int64_t now_ns);
  bool ParseHead(std::string_view* bytes, int64_t now_ns);
  bool ParseFrames(std::string_view* bytes, int64_t now_ns);
  bool ParseChunks(std::string_view* bytes, int64_t now_ns);
  bool TakeRecord(std::string_view record, int64_t now_ns);
  bool TakeEvent(std::string_view json, int64_t now_ns);
  double Uniform(double from, double to) {
    return std::uniform_real_distribution<double>(from, to)(random_);
  }

  ReaderWorld& world_;
  const Kind kind_;
  const int number_;
  const std::string user_, token_;
  ReaderLedger ledger_;
  std::mt19937_64 random_;

  State state_ = State::kAway;
  int fd_ = -1;
  std::string input_, text_;  // bytes; SSE: what the chunks contain
  std::string cursor_, asked_cursor_;
  bool flushed_ = false;  // the cursor is from before a flush, or may be
  bool auth_by_message_ = false;
  int failures_count_ = 0;  // in a row
  int64_t connect_at_ns_ = 0, trying_since_ns_ = 0, heard_ns_ = 0, leave_at_ns_ = 0;
};

}  // namespace slipstream::chaos

#endif  // TESTS_CHAOS_LEDGER_READER_H_
