// What libs/redis carries on this machine: commands a second over one connection, from two threads
// that keep a window of commands open. The server is one that runs already.
//
//   redis_bench redis://127.0.0.1:6379 [seconds]
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "libs/async/runtime.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/sync/deadline.h"
#include "libs/sync/mutex.h"

namespace slipstream::redis {
namespace {

constexpr int kWindows[] = {1, 32, 1000};

struct Load {
  std::atomic<bool> stop = false;
  std::atomic<int> open = 0;
  std::atomic<uint64_t> done = 0;
  std::atomic<uint64_t> failed = 0;
  std::function<void(Client::Done)> send;

  void Next() {
    send([this](absl::StatusOr<Value> reply) {
      ++done;
      if (!reply.ok()) ++failed;
      if (stop) {
        --open;
      } else {
        Next();
      }
    });
  }
};

void Measure(Client& client, const char* name, int window, absl::Duration time,
             std::function<void(Client::Done)> send) {
  Load load;
  load.send = std::move(send);
  const uint64_t writes = client.stats().writes_count;
  load.open = window;
  for (int i = 0; i < window; ++i) load.Next();
  const sync::Deadline end(time);
  sync::Mutex mutex;
  sync::CondVar never;
  {
    sync::MutexLock lock(mutex);
    while (!end.Passed()) (void)never.WaitFor(mutex, end.Left());
  }
  const uint64_t done = load.done;
  load.stop = true;
  while (load.open > 0) {
    sync::MutexLock lock(mutex);
    (void)never.WaitFor(mutex, absl::Milliseconds(1));
  }
  const double batch =
      static_cast<double>(load.done) / static_cast<double>(client.stats().writes_count - writes);
  std::fprintf(stderr, "%-28s window %4d: %8.0f a second, %.1f in a write, %llu failed\n", name,
               window, static_cast<double>(done) / absl::ToDoubleSeconds(time), batch,
               static_cast<unsigned long long>(load.failed));
}

int Run(const std::string& url, absl::Duration time) {
  random::SystemRandom random;
  async::Runtime runtime(2);
  auto client = Client::Create({runtime.executor(), random, logging::Logger()}, {.url = url});
  if (!client.ok()) {
    std::fprintf(stderr, "%s\n", client.status().ToString().c_str());
    return 1;
  }
  Client& redis = **client;
  const Script script("return #ARGV");
  const std::vector<std::string> few(10, std::string(20, 'x'));
  const std::vector<std::string> many(2000, std::string(100, 'x'));
  for (const int window : kWindows) {
    Measure(redis, "GET", window, time,
            [&](Client::Done done) { redis.Command("k", {"GET", "k"}, std::move(done)); });
    Measure(redis, "EVALSHA, 10 x 20 bytes", window, time,
            [&](Client::Done done) { redis.Eval(script, {"k"}, few, std::move(done)); });
  }
  Measure(redis, "EVALSHA, 2000 x 100 bytes", 8, time,
          [&](Client::Done done) { redis.Eval(script, {"k"}, many, std::move(done)); });
  return 0;
}

}  // namespace
}  // namespace slipstream::redis

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: redis_bench redis://host:port [seconds]\n");
    return 2;
  }
  return slipstream::redis::Run(argv[1], absl::Seconds(argc > 2 ? std::atoi(argv[2]) : 2));
}
