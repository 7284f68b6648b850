// Load of statements by libpq: the peer of query_load.
//   postgres_load --url=... --sql="SELECT ... $1" --inflight=500     a connection for each, kept
//   postgres_load --url=... --sql=... --inflight=20 --reconnect      a new one for each statement
// Kept connections are driven by one thread with libpq's asynchronous calls and the extended
// protocol's unnamed statement, which is what PgBouncer of this version takes in transaction mode.
// Prints what ClosedLoop measures.
#include <libpq-fe.h>
#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "tests/bench/bench_load.h"
#include "tests/bench/closed_loop.h"

ABSL_FLAG(std::string, url, "", "postgresql://user@host:port/database");
ABSL_FLAG(std::string, sql, "SELECT $1::int", "the statement");
ABSL_FLAG(int, keys, 10000, "parameters are 1 to this");
ABSL_FLAG(bool, reconnect, false, "each statement on a new connection, by blocking threads");

namespace slipstream::bench {
namespace {

[[noreturn]] void Die(const PGconn* connection) {
  std::fprintf(stderr, "%s\n", PQerrorMessage(connection));
  std::exit(1);
}

PGconn* Connect() {
  PGconn* connection = PQconnectdb(absl::GetFlag(FLAGS_url).c_str());
  if (PQstatus(connection) != CONNECTION_OK) Die(connection);
  return connection;
}

std::string KeyOf(int64_t number) {
  return std::to_string(number * 7919 % absl::GetFlag(FLAGS_keys) + 1);
}

bool IsRow(const PGresult* result) {
  return PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
}

// All connections in one thread.
class Kept {
 public:
  explicit Kept(ClosedLoop& loop)
      : loop_(loop), sql_(absl::GetFlag(FLAGS_sql)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < loop.slots_count(); ++i) {
      connections_.push_back(Connect());
      PQsetnonblocking(connections_.back(), 1);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = static_cast<uint32_t>(i);
      epoll_ctl(epoll_, EPOLL_CTL_ADD, PQsocket(connections_.back()), &event);
    }
  }
  ~Kept() {
    stopping_.store(true);
    thread_.join();
    for (PGconn* connection : connections_) PQfinish(connection);
  }

  void Start(int slot, int64_t number) {
    PGconn* connection = connections_[static_cast<size_t>(slot)];
    const std::string key = KeyOf(number);
    const std::array<const char*, 1> values = {key.c_str()};
    if (PQsendQueryParams(connection, sql_.c_str(), 1, nullptr, values.data(), nullptr, nullptr,
                          0) == 0 ||
        PQflush(connection) != 0) {
      Die(connection);
    }
    // The first round comes from another thread, which is done with the connections after it.
    if (!thread_.joinable() && ++begun_ == loop_.slots_count()) {
      thread_ = std::thread([this] { Work(); });
    }
  }

 private:
  void Work() {
    std::array<epoll_event, 256> events;
    while (!stopping_.load(std::memory_order_relaxed)) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), 50);
      for (int i = 0; i < count; ++i) Read(static_cast<int>(events[i].data.u32));
    }
  }
  void Read(int slot) {
    PGconn* connection = connections_[static_cast<size_t>(slot)];
    if (PQconsumeInput(connection) == 0) Die(connection);
    bool ok = false;
    while (PQisBusy(connection) == 0) {
      PGresult* result = PQgetResult(connection);
      if (result == nullptr) return loop_.Ended(slot, ok);
      ok = IsRow(result);
      PQclear(result);
    }
  }

  ClosedLoop& loop_;
  const std::string sql_;
  const int epoll_;
  std::vector<PGconn*> connections_;
  int begun_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// A blocking thread for each slot.
class Reconnecting {
 public:
  explicit Reconnecting(ClosedLoop& loop) : loop_(loop), numbers_(loop.slots_count()) {}
  ~Reconnecting() {
    for (auto& number : numbers_) {
      number.store(kEnd);
      number.notify_one();
    }
    for (auto& thread : threads_) thread.join();
  }

  void Start(int slot, int64_t number) {
    auto& place = numbers_[static_cast<size_t>(slot)];
    place.store(number + 1);
    place.notify_one();
    if (threads_.size() <= static_cast<size_t>(slot)) {
      threads_.emplace_back([this, slot] { Work(slot); });
    }
  }

 private:
  static constexpr int64_t kEnd = -1;

  void Work(int slot) {
    auto& place = numbers_[static_cast<size_t>(slot)];
    for (;;) {
      place.wait(0);
      const int64_t number = place.exchange(0);
      if (number == kEnd) return;
      loop_.Ended(slot, Ask(number));
    }
  }
  static bool Ask(int64_t number) {
    PGconn* connection = Connect();
    const std::string key = KeyOf(number);
    const std::array<const char*, 1> values = {key.c_str()};
    PGresult* result = PQexecParams(connection, absl::GetFlag(FLAGS_sql).c_str(), 1, nullptr,
                                    values.data(), nullptr, nullptr, 0);
    const bool ok = IsRow(result);
    PQclear(result);
    PQfinish(connection);
    return ok;
  }

  ClosedLoop& loop_;
  std::vector<std::atomic<int64_t>> numbers_;  // 0: nothing to do
  std::vector<std::thread> threads_;
};

template <class Client>
int Main() {
  ClosedLoop loop;
  Client client(loop);
  nlohmann::json out;
  loop.Run([&](int slot, int64_t number) { client.Start(slot, number); }, &out);
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return absl::GetFlag(FLAGS_reconnect) ? slipstream::bench::Main<slipstream::bench::Reconnecting>()
                                        : slipstream::bench::Main<slipstream::bench::Kept>();
}
