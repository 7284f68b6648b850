// The reference of `tools/bench cache-get-many`: GETs on Redis in pipelines, by hiredis.
//   redis_load --port=P --connections=C [--pipeline=64 --keys=N --value_bytes=B --seconds=S]
// One thread for each --threads, which keeps a pipeline in flight on each of its connections: while
// it reads the answers of one, Redis works on the others. Prints {"keys_per_second", "cpu_s", ...}.
#include <hiredis/hiredis.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "tests/bench/bench_load.h"

ABSL_FLAG(int, port, 6379, "Redis on loopback");
ABSL_FLAG(int, connections, 2, "in all");
ABSL_FLAG(int, threads, 1, "that share the connections");
ABSL_FLAG(int, pipeline, 64, "GETs in one");
ABSL_FLAG(int, keys, 10000, "values stored, and read in turn");
ABSL_FLAG(int, value_bytes, 100, "of each value");
ABSL_FLAG(double, seconds, 5, "measured time");
ABSL_FLAG(double, warmup_s, 1, "time before the measurement");

namespace slipstream::bench {
namespace {

struct Close {
  void operator()(redisContext* context) const { redisFree(context); }
};
using Connection = std::unique_ptr<redisContext, Close>;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "redis_load: %s\n", what);
  std::exit(1);
}

Connection Connect() {
  Connection out(redisConnect("127.0.0.1", absl::GetFlag(FLAGS_port)));
  if (out == nullptr || out->err != 0) Die("cannot connect");
  redisEnableKeepAlive(out.get());
  return out;
}

// As many commands as a pipeline has, in Redis's protocol.
class Pipeline {
 public:
  explicit Pipeline(int64_t seed) : next_(seed) {
    for (int i = 0; i < absl::GetFlag(FLAGS_pipeline); ++i) {
      text_ += "*2\r\n$3\r\nGET\r\n$16\r\nproduct:";
      digits_at_.push_back(text_.size());
      text_ += "00000000\r\n";
    }
  }
  // With the next keys, spread as those of cache_load.
  const std::string& Next() {
    for (const size_t at : digits_at_) {
      uint64_t key = next_++ * 7919 % static_cast<uint64_t>(absl::GetFlag(FLAGS_keys));
      for (size_t i = at + 8; i-- > at; key /= 10) text_[i] = static_cast<char>('0' + key % 10);
    }
    return text_;
  }

 private:
  std::string text_;
  std::vector<size_t> digits_at_;
  uint64_t next_;
};

void Store() {
  const Connection redis = Connect();
  const std::string value(static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes)), 'v');
  for (int key = 0; key < absl::GetFlag(FLAGS_keys); ++key) {
    const std::string name = absl::StrFormat("product:%08d", key);
    auto* reply = redisCommand(redis.get(), "SET %s %s", name.c_str(), value.c_str());
    if (reply == nullptr) Die("cannot store");
    freeReplyObject(reply);
  }
}

void Send(redisContext* redis, Pipeline* pipeline) {
  const std::string& text = pipeline->Next();
  redisAppendFormattedCommand(redis, text.data(), text.size());
  int done = 0;
  while (done == 0) {
    if (redisBufferWrite(redis, &done) != REDIS_OK) Die("cannot write");
  }
}

void Receive(redisContext* redis, size_t value_bytes, int count) {
  for (int i = 0; i < count; ++i) {
    void* reply = nullptr;
    if (redisGetReply(redis, &reply) != REDIS_OK) Die("cannot read");
    const auto* value = static_cast<redisReply*>(reply);
    if (value->type != REDIS_REPLY_STRING || value->len != value_bytes) Die("not the value");
    freeReplyObject(reply);
  }
}

void Work(int connections, int64_t seed, std::atomic<int64_t>* keys, std::atomic<bool>* stopping) {
  std::vector<Connection> redis;
  Pipeline pipeline(seed);
  const int count = absl::GetFlag(FLAGS_pipeline);
  const auto value_bytes = static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes));
  for (int i = 0; i < connections; ++i) {
    redis.push_back(Connect());
    Send(redis.back().get(), &pipeline);
  }
  while (!stopping->load(std::memory_order_relaxed)) {
    for (const auto& one : redis) {
      Receive(one.get(), value_bytes, count);
      Send(one.get(), &pipeline);
      keys->fetch_add(count, std::memory_order_relaxed);
    }
  }
}

int Main() {
  Store();
  std::atomic<int64_t> keys{0};
  std::atomic<bool> stopping{false};
  const int threads = absl::GetFlag(FLAGS_threads);
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back(Work, absl::GetFlag(FLAGS_connections) / threads, i * 1000003L, &keys,
                         &stopping);
  }
  const auto sleep = [](double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  };
  sleep(absl::GetFlag(FLAGS_warmup_s));
  const int64_t begin = keys.load(), begin_ns = NowNs();
  const double cpu = CpuSeconds();
  sleep(absl::GetFlag(FLAGS_seconds));
  const double seconds = static_cast<double>(NowNs() - begin_ns) / 1e9;
  const int64_t count = keys.load() - begin;
  nlohmann::json out;
  out["keys"] = count;
  out["keys_per_second"] = static_cast<double>(count) / seconds;
  out["calls"] = count / absl::GetFlag(FLAGS_pipeline);
  out["calls_per_second"] = out["keys_per_second"].get<double>() / absl::GetFlag(FLAGS_pipeline);
  out["cpu_s"] = CpuSeconds() - cpu;
  out["errors"] = 0;
  stopping.store(true);
  for (auto& worker : workers) worker.join();
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
