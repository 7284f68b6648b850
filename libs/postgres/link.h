// One connection driven by the event loop: sends a statement and collects its answer with libpq's
// asynchronous calls. It prepares what is worth it, sets the session's mode, and keeps what a
// session has beside that: how often it was used, for whom, since when.
//
// Thread safety: the loop's thread only.
#ifndef LIBS_POSTGRES_LINK_H_
#define LIBS_POSTGRES_LINK_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "libs/postgres/event_loop.h"
#include "libs/postgres/result.h"
#include "libs/postgres/statement.h"

struct pg_conn;
struct pg_result;

namespace slipstream::postgres {

class Link final : public EventLoop::Watched {
 public:
  using TimePoint = EventLoop::TimePoint;

  struct Options {
    absl::Duration statement_timeout;
    int max_prepared_count;
    std::chrono::steady_clock::duration abandon_grace;
    // Its sessions get our timeouts and are read-only unless a statement writes. False: they stay
    // as the server makes them, for who wants to know what that is.
    bool set_up = true;
  };

  class User {
   public:
    virtual ~User() = default;
    virtual const Statement& statement() const = 0;
    // The statement is over. The link is then idle, or broken().
    virtual void OnResult(Link& link, absl::StatusOr<Result> result) = 0;
    // Its deadline has passed while it ran. Nothing more is heard of it.
    virtual void OnOverdue(Link& link) = 0;
  };

  // Takes `connection`, which is open and non-blocking. `on_left` is called when it breaks while no
  // statement runs, and when an overdue statement is over: whenever no user hears of it.
  Link(EventLoop& loop, pg_conn* connection, const Options& options,
       std::function<void(Link&)> on_left);
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // REQUIRES: idle. The user hears once, from within Run too when the connection breaks there, and
  // when the link is cut.
  void Run(std::shared_ptr<User> user, TimePoint deadline);
  // Tells the user of an overdue statement, and cuts one that goes on for long after that.
  void CheckTime(TimePoint now);
  // Closes the connection. A user that listens hears UNAVAILABLE.
  void Cut(absl::string_view why);
  // Closes the connection; nobody hears of it. REQUIRES: nothing runs.
  void Close();

  bool running() const { return !steps_.empty(); }
  bool broken() const { return broken_; }
  // Whether its session is as it was at the start: no transaction open, its mode unchanged.
  bool clean() const;
  // Whether a byte of the running statement's answer has come.
  bool answered() const { return answered_; }
  int server_version() const { return server_version_; }
  int64_t queries_count() const { return queries_count_; }

  // Of its pool; the link itself does not look at these.
  struct PoolState {
    int64_t max_queries_count = 0;
    int64_t generation = 0;
    TimePoint idle_since{};
    TimePoint granted_at{};
    std::shared_ptr<const Caller> holder;  // null: it is idle
    bool leak_reported = false;
  };
  PoolState pool;

 private:
  enum class Kind { kSetUp, kSetUpOptional, kMode, kDeallocate, kPrepare, kRun, kWalPosition };
  struct Step {
    Kind kind;
    std::string text;  // SQL, or the name of the prepared statement
  };
  using Prepared = std::list<std::pair<std::shared_ptr<const std::string>, std::string>>;

  void OnReady() override;
  void AddSteps();
  void AddRunSteps();
  bool IsSeenAgain();
  void Prepare();
  // Sends the first step, or breaks.
  void Begin();
  bool Send(const Step& step);
  void Flush();
  // Takes results until the step is over; true when it is.
  bool Collect();
  void Take(const pg_result* result);
  void KeepColumns(const pg_result* result);
  void KeepRow(const pg_result* row);
  void TakeError(const pg_result* result);
  absl::Status TooLarge() const;
  void StepOver();
  void End(absl::StatusOr<Result> result);
  void Break(absl::string_view why);

  EventLoop& loop_;
  pg_conn* connection_;
  const Options options_;
  const std::function<void(Link&)> on_left_;
  const int fd_;
  const int server_version_;

  std::deque<Step> steps_;  // the first one has been sent
  bool set_up_ = false;
  bool session_read_only_ = false;
  bool broken_ = false;
  bool wants_write_ = false;
  int64_t queries_count_ = 0;
  uint64_t names_count_ = 0;

  // Most recently used first.
  Prepared prepared_;
  absl::flat_hash_map<std::string_view, Prepared::iterator> prepared_by_text_;
  // Hashes of texts that ran lately: what runs once is not worth being prepared.
  std::array<size_t, 256> seen_{};

  // Of the running statement.
  std::shared_ptr<User> user_;
  const Statement* statement_ = nullptr;  // the user's
  TimePoint deadline_{};
  bool overdue_ = false;
  absl::Status failure_;
  Result result_;
  bool answered_ = false;
  bool prepared_run_ = false;
  bool retried_ = false;
  bool too_large_ = false;
  int64_t dropped_count_ = 0;
  TimePoint sent_at_{};
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_LINK_H_
