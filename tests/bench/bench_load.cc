#include "tests/bench/bench_load.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "libs/rpc/channel.h"

ABSL_FLAG(std::string, address, "127.0.0.1:7402", "host:port of the server under load");
ABSL_FLAG(std::string, token, "", "bearer token of every call");
ABSL_FLAG(int, channels, 2, "connections");

namespace slipstream::bench {

namespace {

constexpr size_t kArgsBytes = 100;  // as JSON

}  // namespace

void ParseFlags(int argc, char** argv) { absl::ParseCommandLine(argc, argv); }

rpc::CallOptions Call() {
  rpc::CallOptions call;
  call.timeout = absl::Seconds(60);
  call.bearer_token = absl::GetFlag(FLAGS_token);
  return call;
}

Clients::Clients() {
  for (int i = 0; i < absl::GetFlag(FLAGS_channels); ++i) {
    clients_.push_back(std::make_unique<task_queue_client::TaskQueueClient>(
        rpc::MakeChannel(absl::GetFlag(FLAGS_address)), clock_));
  }
}

int64_t NowNs() {
  static const clock::SystemClock clock;
  return absl::ToInt64Nanoseconds(clock.Monotonic());
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void MakeTask(int64_t number, int64_t at_ns, task_queue::v1::SubmitTaskRequest* out) {
  out->set_task_type(kTaskType);
  out->set_priority(static_cast<task_queue::v1::Task::Priority>(1 + PriorityOf(number)));
  auto& fields = *out->mutable_args()->mutable_fields();
  fields["n"].set_number_value(static_cast<double>(number));
  fields["at"].set_number_value(static_cast<double>(at_ns));
  const size_t taken = sizeof(R"({"n":,"at":,"data":""})") - 1 + std::to_string(number).size() +
                       std::to_string(at_ns).size();
  fields["data"].set_string_value(std::string(kArgsBytes - std::min(taken, kArgsBytes), 'x'));
}

void Renumber(int64_t number, task_queue::v1::SubmitTaskRequest* task) {
  task->set_priority(static_cast<task_queue::v1::Task::Priority>(1 + PriorityOf(number)));
  (*task->mutable_args()->mutable_fields())["n"].set_number_value(static_cast<double>(number));
}

bool IsResultOf(int64_t number, const task_queue::v1::Task& task) {
  const auto& fields = task.result().fields();
  const auto it = fields.find("n");
  return it != fields.end() && it->second.number_value() == static_cast<double>(number);
}

nlohmann::json Percentiles(std::vector<int64_t> ns) {
  std::sort(ns.begin(), ns.end());
  const auto ms = [&](double part) {
    if (ns.empty()) return 0.0;
    const auto rank = static_cast<size_t>(part * static_cast<double>(ns.size()));
    return static_cast<double>(ns[std::min(rank, ns.size() - 1)]) / 1e6;
  };
  return {{"count", ns.size()},
          {"p50_ms", ms(0.5)},
          {"p99_ms", ms(0.99)},
          {"p999_ms", ms(0.999)},
          {"max_ms", ms(1)}};
}

void Print(const nlohmann::json& line) {
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

SharedCounter::SharedCounter(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(int64_t)) != 0) {
    std::perror(path.c_str());
    std::exit(1);
  }
  void* mapped = mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) {
    std::perror("mmap");
    std::exit(1);
  }
  value_ = static_cast<std::atomic<int64_t>*>(mapped);
}

}  // namespace slipstream::bench
