// The bare cost of what the task queue asks of Redis: submit, lease and success of tasks against a
// real Redis, from one connection, with the arguments the store would send and nothing around it:
// no gRPC, no server, no reading of results. What the queue's lifecycle is measured against.
//
//   queue_scripts --redis_port=N --tasks=N [--batch=256]
//
// The next batch is always under way, so that Redis need not wait for this process.
#include <hiredis/hiredis.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/clock/clock.h"
#include "services/task_queue/redis_changes.h"
#include "services/task_queue/redis_codec.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/task_state.h"

namespace slipstream::task_queue {
namespace {

constexpr char kPrefix[] = "scripts{0}:";
constexpr char kSession[] = "01900000-0000-7000-8000-000000000001";

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "queue_scripts: %s\n", why.c_str());
  std::exit(1);
}

class Scripts {
 public:
  explicit Scripts(int port) : context_(redisConnect("127.0.0.1", port)) {
    if (context_ == nullptr || context_->err != 0) Die("no Redis at that port");
  }
  void Load(const redis::Script& script) {
    auto* reply = static_cast<redisReply*>(
        redisCommand(context_, "SCRIPT LOAD %b", script.source().data(), script.source().size()));
    if (reply == nullptr || reply->type != REDIS_REPLY_STRING) Die("a script does not load");
    freeReplyObject(reply);
  }
  void Send(const redis::Script& script, const std::vector<std::string>& args) {
    std::vector<const char*> data = {"EVALSHA", script.sha1().data(), "1", kPrefix};
    std::vector<size_t> sizes = {7, script.sha1().size(), 1, sizeof(kPrefix) - 1};
    for (const std::string& arg : args) {
      data.push_back(arg.data());
      sizes.push_back(arg.size());
    }
    redisAppendCommandArgv(context_, static_cast<int>(data.size()), data.data(), sizes.data());
  }
  // As MULTI and EXEC; what comes before the answer of EXEC is taken by ReceiveTransaction.
  void SendTransaction(const std::vector<std::vector<std::string>>& commands) {
    redisAppendCommand(context_, "MULTI");
    for (const std::vector<std::string>& command : commands) {
      std::vector<const char*> data;
      std::vector<size_t> sizes;
      for (const std::string& word : command) {
        data.push_back(word.data());
        sizes.push_back(word.size());
      }
      redisAppendCommandArgv(context_, static_cast<int>(data.size()), data.data(), sizes.data());
    }
    redisAppendCommand(context_, "EXEC");
    queued_counts_.push_back(commands.size() + 1);
  }
  void ReceiveTransaction() {
    for (size_t i = 0; i < queued_counts_.front(); ++i) freeReplyObject(Receive());
    queued_counts_.pop_front();
    redisReply* reply = Receive();
    for (size_t i = 0; i < reply->elements; ++i) {
      if (reply->element[i]->type == REDIS_REPLY_ERROR) Die(reply->element[i]->str);
    }
    freeReplyObject(reply);
  }
  redisReply* Receive() {
    void* reply = nullptr;
    if (redisGetReply(context_, &reply) != REDIS_OK) Die(context_->errstr);
    auto* value = static_cast<redisReply*>(reply);
    if (value->type == REDIS_REPLY_ERROR) Die(value->str);
    return value;
  }

 private:
  redisContext* context_;
  std::deque<size_t> queued_counts_;
};

std::string Key(std::string_view suffix) { return kPrefix + std::string(suffix); }

class Rounds {
 public:
  Rounds(Scripts& scripts, int batch, absl::Time now)
      : scripts_(scripts), batch_(batch), now_(now) {}

  void Submit() {
    Changes changes;
    for (int i = 0; i < batch_; ++i) {
      NewTask task;
      ++count_;
      task.task_id = redis_codec::UnpackId(redis_codec::Number(count_ * 0x9E3779B97F4A7C15u, 8) +
                                           redis_codec::Number(count_ << 16, 8));
      task.task_type = "bench";
      task.priority = static_cast<TaskPriority>(1 + i % 4);
      task.args = MakeBytes(std::string(112, 'a'));
      task.owner = "bench-user";
      task.correlation_id = task.task_id;
      task.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      task.attempt_deadline = absl::Minutes(10);
      redis_codec::Stored stored;
      stored.task = task_state::Create(task, now_);
      const std::string element = redis_codec::EncodeLaneElement(stored.task, 0);
      const std::string id = element.substr(0, redis_codec::kIdBytes);
      const int priority = static_cast<int>(task.priority);
      changes.Set(Key("t:" + id), redis_codec::EncodeBody(stored.task));
      changes.Add("RPUSH", Key(absl::StrCat("l:", priority, ":bench:u/bench-user")), element);
      changes.Join(Key("r:bench"), "u/bench-user");
      changes.Add("RPUSH", Key("u:bench-user"), id);
      changes.Count(absl::StrCat("p:", priority, ":bench"), 1);
      if (count_ == 1) sample_ = stored;
    }
    changes.Count("total", batch_);
    changes.Count("s2", batch_);
    scripts_.SendTransaction(std::move(changes).EncodeCommands(Key("n")));
  }
  void Reserve() {
    scripts_.Send(redis_scripts::Reserve(),
                  {kSession, absl::StrCat(batch_), absl::StrCat(absl::ToUnixMillis(now_)), "30000",
                   "1000", std::string(1, '\0'), "", "bench"});
  }
  void Reserved(redisReply* reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 5)
      Die("Reserve says something else");
    const redisReply* elements = reply->element[2];
    const std::string fence =
        redis_codec::EncodeLease(reply->element[0]->integer, now_, false, kSession)
            .substr(0, redis_codec::kFenceBytes);
    args_ = {absl::StrCat(elements->elements)};
    redis_codec::Stored done = sample_;
    if (!task_state::Lease(done.task, kSession, now_).ok()) Die("no lease");
    task_state::Success success;
    success.result = MakeBytes(std::string(40, 'r'));
    if (!task_state::Succeed(done.task, success, now_).ok()) Die("no success");
    const std::string state = redis_codec::EncodeState(done);
    for (size_t i = 0; i < elements->elements; ++i) {
      args_.emplace_back(elements->element[i]->str, redis_codec::kIdBytes);
      args_.push_back(fence);
      args_.push_back(state);
    }
    const std::string last = absl::StrCat(elements->elements);
    args_.insert(args_.end(), {"SREM", absl::StrCat("h:", kSession), "1", last});
    args_.insert(args_.end(), {"RPUSH", "f:9000000000000", "1", last});
    leased_count_ += elements->elements;
  }
  void Succeed() { scripts_.Send(redis_scripts::Succeed(), args_); }
  void Forward() {
    // As the forwarder does when nobody is behind.
    acknowledged_ += 2;
    scripts_.Send(redis_scripts::AckOutbox(), {absl::StrCat(acknowledged_)});
  }
  size_t leased_count() const { return leased_count_; }

 private:
  Scripts& scripts_;
  const int batch_;
  const absl::Time now_;
  uint64_t count_ = 0;
  size_t leased_count_ = 0;
  int64_t acknowledged_ = 0;
  redis_codec::Stored sample_;
  std::vector<std::string> args_;
};

int Run(int port, int tasks, int batch) {
  clock::SystemClock clock;
  Scripts scripts(port);
  for (const redis::Script* script : {&redis_scripts::Reserve(), &redis_scripts::Succeed(),
                                      &redis_scripts::Sessions(), &redis_scripts::AckOutbox()}) {
    scripts.Load(*script);
  }
  const absl::Time now = clock.Now();
  scripts.Send(redis_scripts::Sessions(), {absl::StrCat(absl::ToUnixMillis(now)), "1000", "O",
                                           kSession, "1000000000", "bench"});
  freeReplyObject(scripts.Receive());
  Rounds rounds(scripts, batch, now);
  const int total = tasks / batch;
  rounds.Submit();
  scripts.ReceiveTransaction();
  const absl::Duration begin = clock.Monotonic();
  rounds.Reserve();
  rounds.Submit();
  // Each turn: while Redis takes the next batch in, the one that it has leased is made a success.
  for (int i = 0; i < total; ++i) {
    redisReply* leased = scripts.Receive();
    rounds.Reserved(leased);
    freeReplyObject(leased);
    rounds.Succeed();
    rounds.Forward();
    rounds.Reserve();
    rounds.Submit();
    scripts.ReceiveTransaction();  // the submit before
    redisReply* succeeded = scripts.Receive();
    if (succeeded->elements != 0) Die("a success was refused");
    freeReplyObject(succeeded);
    freeReplyObject(scripts.Receive());
  }
  const double seconds = absl::ToDoubleSeconds(clock.Monotonic() - begin);
  std::printf(
      "{\"lifecycles_per_second\": %.1f, \"tasks\": %zu, \"seconds\": %.3f, \"batch\": %d}\n",
      static_cast<double>(rounds.leased_count()) / seconds, rounds.leased_count(), seconds, batch);
  return 0;
}

}  // namespace
}  // namespace slipstream::task_queue

int main(int argc, char** argv) {
  int port = 0, tasks = 100'000, batch = 256;
  for (int i = 1; i < argc; ++i) {
    absl::string_view arg = argv[i];
    if (!(absl::ConsumePrefix(&arg, "--redis_port=") && absl::SimpleAtoi(arg, &port)) &&
        !(absl::ConsumePrefix(&arg, "--tasks=") && absl::SimpleAtoi(arg, &tasks)) &&
        !(absl::ConsumePrefix(&arg, "--batch=") && absl::SimpleAtoi(arg, &batch))) {
      std::fprintf(stderr, "usage: queue_scripts --redis_port=N --tasks=N [--batch=N]\n");
      return 2;
    }
  }
  if (port <= 0 || tasks < 1 || batch < 1 || batch > 512) {
    std::fprintf(stderr, "queue_scripts: a port, and a batch of 1-512\n");
    return 2;
  }
  return slipstream::task_queue::Run(port, tasks, batch);
}
