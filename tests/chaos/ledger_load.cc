// The readers and publishers of notification_chaos.py.
//   ledger_load --edges=PORT,... --servers=HOST:PORT,... --users=FILE --token=T --readers=N ...
// FILE has a user and a token a line. Connects the readers, half by WebSocket and half by SSE,
// prints {"event": "ready"}, and then obeys the lines of its standard input:
//   go       publishes; tells {"event": "progress"} ten times a second
//   limit P  waits once the part P of all is published
//   pause    ends publishing for the moment: {"event": "paused"} once nothing is under way
//   flushed  the history was flushed: from now on nobody need be recovered
//   resume   publishes on
//   settle   when all is published and every reader has it, or cannot get it in time, prints the
//            {"event": "report"}; ends with its input
// Each violation is printed when it is found: {"event": "violation", "what"}.
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"
#include "nlohmann/json.hpp"
#include "tests/bench/loopback_client.h"
#include "tests/chaos/ledger_publisher.h"
#include "tests/chaos/ledger_reader.h"

ABSL_FLAG(std::vector<std::string>, edges, {}, "ports of the edges, on loopback");
ABSL_FLAG(std::vector<std::string>, servers, {}, "addresses of the notification servers");
ABSL_FLAG(std::string, users, "", "file with a user and a token a line");
ABSL_FLAG(std::string, token, "", "of the publisher");
ABSL_FLAG(int, readers, 200, "half WebSocket, half SSE; the users have them in turn");
ABSL_FLAG(int, messages, 20000, "to be published, of which --broadcasts are for everybody");
ABSL_FLAG(int, broadcasts, 100, "messages to everybody");
ABSL_FLAG(double, busy_part, 0.5, "of the messages to users, for a tenth of the users");
ABSL_FLAG(double, rate, 1000, "messages a second, at most");
ABSL_FLAG(uint64_t, seed, 1, "of readers and publishers");

namespace slipstream::chaos {
namespace {

constexpr int kPublishersCount = 4;
constexpr int kMaxViolationsPrinted = 20;
constexpr int64_t kSecond_ns = 1'000'000'000;
constexpr int64_t kTick_ns = 10'000'000, kTell_ns = 100'000'000;
constexpr int64_t kStuck_ns = 60 * kSecond_ns;
constexpr int64_t kSettle_ns = 60 * kSecond_ns;
// One in so many users gets more than the others, so that its readers miss many by being away.
constexpr int kBusyEach = 10;

int64_t NowNs() {
  static const clock::SystemClock clock;
  return absl::ToInt64Nanoseconds(clock.Monotonic());
}

class Load {
 public:
  Load() {
    world_.epoll = epoll_create1(EPOLL_CLOEXEC);
    world_.violation = [this](const std::string& what) { Violation(what); };
    for (const std::string& port : absl::GetFlag(FLAGS_edges)) {
      world_.edge_ports.push_back(std::atoi(port.c_str()));
    }
    MakeTopics();
    MakePublishers();
    MakeReaders();
  }

  int Run() {
    input_ = std::thread([this] { ReadInput(); });
    bool ready = false, pausing = false, settling = false;
    int64_t settle_until = 0, next_tick = 0, next_tell = 0;
    for (;;) {
      Poll();
      const int64_t now = NowNs();
      if (now < next_tick) continue;
      next_tick = now + kTick_ns;
      Tick(now);
      if (!ready && std::all_of(readers_.begin(), readers_.end(),
                                [](const auto& r) { return r->ledger().started(); })) {
        ready = true;
        Print({{"event", "ready"}, {"readers", readers_.size()}});
      }
      for (const std::string& line : TakeLines()) {
        if (line == "go") {
          for (auto& publisher : publishers_) publisher->Start();
          going_ = true;
        } else if (line == "pause" || line == "resume") {
          pausing = line == "pause";
          for (auto& publisher : publishers_) publisher->Pause(pausing);
        } else if (line.starts_with("limit ")) {
          const double part = std::atof(line.c_str() + 6);
          for (auto& publisher : publishers_) publisher->SetLimit(part);
        } else if (line == "flushed") {
          world_.flushed = true;
        } else if (line == "settle") {
          settling = true;
        } else if (line == "end of input") {
          return 1;
        }
      }
      if (pausing && std::all_of(publishers_.begin(), publishers_.end(),
                                 [](const auto& p) { return p->idle(); })) {
        pausing = false;
        Print({{"event", "paused"}});
      }
      if (going_ && now >= next_tell) {
        next_tell = now + kTell_ns;
        Tell();
      }
      if (settling && Published()) {
        if (settle_until == 0) settle_until = now + kSettle_ns;
        const bool all = AllHaveAll();
        if (all || now > settle_until) {
          if (!all) NameThoseWithout();
          Report();
          return violations_count_ == 0 ? 0 : 1;
        }
      }
    }
  }

  ~Load() {
    publishers_.clear();
    if (input_.joinable()) input_.join();
  }

 private:
  void MakeTopics() {
    std::ifstream file(absl::GetFlag(FLAGS_users));
    std::string user, token;
    while (file >> user >> token) {
      auto topic = std::make_unique<Topic>();
      topic->channel = "user:" + user;
      topic->type = "task_completed";
      topics_.push_back(std::move(topic));
      users_.emplace_back(user, token);
    }
    if (topics_.empty()) {
      std::fprintf(stderr, "ledger_load: no users in --users\n");
      std::exit(2);
    }
    everybody_.channel = "broadcast";
    everybody_.type = "budget_alert";
    everybody_.wanted_count = absl::GetFlag(FLAGS_broadcasts);
    const int64_t personal = absl::GetFlag(FLAGS_messages) - everybody_.wanted_count;
    const size_t busy = std::max<size_t>(1, topics_.size() / kBusyEach);
    const auto busy_share =
        static_cast<int64_t>(static_cast<double>(personal) * absl::GetFlag(FLAGS_busy_part));
    for (int64_t i = 0; i < personal; ++i) {
      const size_t all = topics_.size(), at = static_cast<size_t>(i);
      ++topics_[i < busy_share ? at % busy : at % all]->wanted_count;
    }
  }
  void MakePublishers() {
    const uint64_t seed = absl::GetFlag(FLAGS_seed);
    const auto violation = [this](const std::string& what) { Violation(what); };
    for (size_t p = 0; p < kPublishersCount; ++p) {
      std::vector<Topic*> topics;
      for (size_t i = p; i < topics_.size(); i += kPublishersCount) {
        topics.push_back(topics_[i].get());
      }
      if (p == 0) topics.push_back(&everybody_);
      publishers_.push_back(std::make_unique<LedgerPublisher>(
          PublisherOptions{absl::GetFlag(FLAGS_servers), absl::GetFlag(FLAGS_token),
                           absl::GetFlag(FLAGS_rate) / kPublishersCount, seed * 1000 + p},
          std::move(topics), violation));
    }
  }
  void MakeReaders() {
    const uint64_t seed = absl::GetFlag(FLAGS_seed);
    const size_t count = static_cast<size_t>(absl::GetFlag(FLAGS_readers));
    for (size_t i = 0; i < count; ++i) {
      const size_t user = i % users_.size();
      // The second reader of a user is of the other kind than the first.
      const bool sse = (user + i / users_.size()) % 2 == 1;
      readers_.push_back(std::make_unique<LedgerReader>(
          world_, sse ? LedgerReader::Kind::kSse : LedgerReader::Kind::kWebSocket,
          static_cast<int>(i), users_[user].first, users_[user].second,
          std::array<const chaos::Published*, ReaderLedger::kChannelsCount>{
              &topics_[user]->published, &everybody_.published},
          seed * 1'000'003 + i));
    }
  }

  void Poll() {
    epoll_event events[256];
    const int count = epoll_wait(world_.epoll, events, 256, 10);
    const int64_t now = NowNs();
    for (int i = 0; i < count; ++i) {
      static_cast<LedgerReader*>(events[i].data.ptr)->OnReady(now);
    }
  }
  void Tick(int64_t now) {
    for (auto& reader : readers_) {
      reader->Tick(now, going_);
      if (reader->trying_since_ns() != 0 && now - reader->trying_since_ns() > kStuck_ns) {
        Violation(absl::StrCat("reader of ", reader->user(), " has tried to come back for ",
                               kStuck_ns / kSecond_ns, " s"));
      }
    }
  }

  bool Published() const {
    return std::all_of(publishers_.begin(), publishers_.end(),
                       [](const auto& p) { return p->done(); });
  }
  bool HasAll(size_t i) const {
    return readers_[i]->ledger().Has(
        {topics_[i % users_.size()]->wanted_count, everybody_.wanted_count});
  }
  bool AllHaveAll() const {
    for (size_t i = 0; i < readers_.size(); ++i) {
      if (!HasAll(i)) return false;
    }
    return true;
  }
  void NameThoseWithout() {
    for (size_t i = 0; i < readers_.size(); ++i) {
      if (HasAll(i)) continue;
      Violation(absl::StrCat("reader ", i, " of ", readers_[i]->user(),
                             " does not have the last: ", readers_[i]->ledger().Standing(),
                             readers_[i]->is_open() ? ", connected" : ", not connected"));
    }
  }

  int64_t AcknowledgedCount() const {
    int64_t out = everybody_.published.acknowledged_count;
    for (const auto& topic : topics_) out += topic->published.acknowledged_count;
    return out;
  }
  int64_t OpenCount() const {
    return std::count_if(readers_.begin(), readers_.end(),
                         [](const auto& r) { return r->is_open(); });
  }
  void Tell() {
    Print({{"event", "progress"},
           {"published", AcknowledgedCount()},
           {"received", world_.tally.events_count},
           {"open", OpenCount()}});
  }
  void Report() {
    const LedgerTally& tally = world_.tally;
    int64_t repeated = 0;
    for (const auto& publisher : publishers_) repeated += publisher->repeated_count();
    Print({{"event", "report"},
           {"published", AcknowledgedCount()},
           {"broadcasts", everybody_.published.acknowledged_count.load()},
           {"publishes_repeated", repeated},
           {"received", tally.events_count},
           {"connects", world_.connects_count},
           {"left_by_themselves", world_.left_count},
           {"reconnects_with_cursor", tally.resumes_count},
           {"recovered", tally.recovered_count},
           {absl::StrCat("missed_at_most_", kKeptCount), tally.recoverable_count},
           {absl::StrCat("missed_at_most_", kKeptCount, "_recovered"),
            tally.recoverable_recovered_count},
           {"missed_more", tally.beyond_count},
           {"missed_more_recovered", tally.beyond_recovered_count},
           {"told_while_connected", tally.told_open_count},
           {"told_after_the_flush", tally.told_after_flush_count},
           {"skipped_after_being_told", tally.skipped_events_count},
           {"longest_way_back_ms", world_.longest_away_ns / 1'000'000},
           {"ends", world_.ends},
           {"violations", violations_count_.load()}});
  }

  void ReadInput() {
    for (std::string line; std::getline(std::cin, line);) {
      sync::MutexLock lock(mutex_);
      lines_.push_back(line);
    }
    sync::MutexLock lock(mutex_);
    lines_.push_back("end of input");
  }
  std::vector<std::string> TakeLines() {
    sync::MutexLock lock(mutex_);
    return std::exchange(lines_, {});
  }
  void Print(const nlohmann::json& line) {
    sync::MutexLock lock(mutex_);
    std::cout << line.dump() << std::endl;
  }
  void Violation(const std::string& what) {
    if (++violations_count_ <= kMaxViolationsPrinted) {
      Print({{"event", "violation"}, {"what", what}});
    }
  }

  ReaderWorld world_;
  std::vector<std::pair<std::string, std::string>> users_;  // name, token
  std::vector<std::unique_ptr<Topic>> topics_;
  Topic everybody_;
  std::vector<std::unique_ptr<LedgerReader>> readers_;
  std::vector<std::unique_ptr<LedgerPublisher>> publishers_;
  bool going_ = false;
  std::atomic<int64_t> violations_count_{0};
  std::thread input_;
  sync::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

int Main() {
  std::signal(SIGPIPE, SIG_IGN);
  bench::AllowManySockets();
  return Load().Run();
}

}  // namespace
}  // namespace slipstream::chaos

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return slipstream::chaos::Main();
}
