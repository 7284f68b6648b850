// The whole service over a real server on loopback, with real tokens, a worker that speaks the
// protocol by hand, and a notification service that remembers what it is told.
#ifndef SERVICES_TASK_QUEUE_SERVICE_FIXTURE_H_
#define SERVICES_TASK_QUEUE_SERVICE_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/auth/key_set.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/clock.h"
#include "libs/config/load.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/handler.h"
#include "libs/rpc/status_convert.h"
#include "libs/service/context.h"
#include "libs/service/process.h"
#include "libs/status/status.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/task_queue_module.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"
#include "slipstream/task_queue/v1/worker.grpc.pb.h"

namespace slipstream::task_queue {

inline constexpr char kTestSecret[] = "a-secret-of-more-than-thirty-two-bytes-for-tests";

// What the outbox has delivered.
class Delivered {
 public:
  void Add(const notification::v1::PublishRequest& event) {
    sync::MutexLock lock(mu_);
    keys_.insert(event.idempotency_key());
    events_.push_back(event.task_id() + " " + event.type());
    channels_.insert(event.channel());
    changed_.SignalAll();
  }
  // Waits for `count` events about the task; their types in order.
  std::vector<std::string> Await(const std::string& task_id, size_t count) {
    sync::MutexLock lock(mu_);
    while (Of(task_id).size() < count) {
      if (!changed_.WaitFor(mu_, absl::Seconds(10))) break;
    }
    return Of(task_id);
  }
  std::set<std::string> channels() {
    sync::MutexLock lock(mu_);
    return channels_;
  }

 private:
  std::vector<std::string> Of(const std::string& task_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<std::string> out;
    for (const std::string& event : events_) {
      if (event.starts_with(task_id + " ")) out.push_back(event.substr(task_id.size() + 1));
    }
    return out;
  }
  sync::Mutex mu_;
  sync::CondVar changed_;
  std::set<std::string> keys_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> channels_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> events_ ABSL_GUARDED_BY(mu_);
};

class NotificationDouble final : public service::Module,
                                 public notification::v1::NotificationService::CallbackService {
 public:
  NotificationDouble(const rpc::Dispatcher& dispatcher, Delivered& delivered)
      : rpc_(dispatcher,
             *rpc::MethodTable::ForService("slipstream.notification.v1.NotificationService")),
        delivered_(delivered) {}
  std::vector<grpc::Service*> Services() override { return {this}; }
  grpc::ServerUnaryReactor* PublishMany(grpc::CallbackServerContext* context,
                                        const notification::v1::PublishManyRequest* request,
                                        notification::v1::PublishManyResponse* response) override {
    return rpc_.Unary("PublishMany", context, request, response,
                      [this](rpc::CallContext&, const notification::v1::PublishManyRequest& q,
                             notification::v1::PublishManyResponse*) {
                        for (const auto& event : q.events()) delivered_.Add(event);
                        return absl::OkStatus();
                      });
  }

 private:
  rpc::Endpoint rpc_;
  Delivered& delivered_;
};

inline std::unique_ptr<grpc::ClientContext> CallAs(const std::string& token) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
  // A server that has just started may need a second try to connect.
  context->set_wait_for_ready(true);
  // A hang fails the test and not the machine.
  context->set_deadline(absl::ToChronoTime(clock::SystemClock().Now() + absl::Seconds(30)));
  return context;
}

// A worker by hand, one message at a time.
class TestWorker {
 public:
  TestWorker(v1::WorkerService::Stub& stub, const std::string& token)
      : context_(CallAs(token)), stream_(stub.Work(context_.get())) {}

  v1::WorkResponse Hello(int slots = 4, const std::string& session_id = "",
                         const std::vector<std::pair<std::string, int64_t>>& held = {}) {
    v1::WorkRequest request;
    auto* hello = request.mutable_hello();
    hello->set_worker_name("test-worker");
    hello->set_slots(slots);
    hello->set_session_id(session_id);
    for (const auto& [id, epoch] : held) {
      auto* task = hello->add_held_tasks();
      task->set_task_id(id);
      task->set_lease_epoch(epoch);
    }
    auto* type = hello->add_task_types();
    type->set_name("echo");
    type->add_aliases("echo_async");
    auto& schema = *type->mutable_args_schema()->mutable_fields();
    auto& properties = *schema["properties"].mutable_struct_value()->mutable_fields();
    (*properties["secret"].mutable_struct_value()->mutable_fields())["sensitive"].set_bool_value(
        true);
    (*properties["text"].mutable_struct_value()->mutable_fields())["type"].set_string_value(
        "string");
    schema["additionalProperties"].set_bool_value(false);
    return SendAndRead(request);
  }
  bool Send(const v1::WorkRequest& request) { return stream_->Write(request); }
  v1::WorkResponse Read() {
    v1::WorkResponse response;
    if (!stream_->Read(&response)) response.Clear();
    return response;
  }
  v1::WorkResponse SendAndRead(const v1::WorkRequest& request) {
    Send(request);
    return Read();
  }
  v1::WorkResponse Succeed(const std::string& task_id, int64_t epoch) {
    v1::WorkRequest request;
    request.mutable_success()->set_task_id(task_id);
    request.mutable_success()->set_lease_epoch(epoch);
    (*request.mutable_success()->mutable_result()->mutable_fields())["text"].set_string_value(
        "done");
    return SendAndRead(request);
  }
  void Break() { context_->TryCancel(); }
  absl::Status Finish() {
    stream_->WritesDone();
    v1::WorkResponse response;
    while (stream_->Read(&response)) {
    }
    return rpc::FromGrpc(stream_->Finish());
  }

 private:
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WorkRequest, v1::WorkResponse>> stream_;
};

inline absl::StatusOr<std::unique_ptr<TaskStore>> OpenMemoryStore(service::Context&) {
  return std::make_unique<MemoryTaskStore>(MemoryTaskStoreOptions{});
}

class ServiceFixture : public testing::Test {
 protected:
  explicit ServiceFixture(OpenStore open_store = OpenMemoryStore)
      : folder_(testing::TempDir() + "task_queue-" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/secret") << kTestSecret;
    config_ = config::DefaultConfig();
    config_.mutable_standalone()->set_grpc_address("127.0.0.1:0");
    config_.mutable_standalone()->set_http_address("127.0.0.1:0");
    config_.mutable_logging()->set_level(config::v1::LoggingConfig::ERROR);
    config_.mutable_rpc()->set_drain_grace_ms(5'000);
    config_.mutable_auth()->set_hs256_secret_file(folder_ + "/secret");
    config_.mutable_task_queue()->set_session_grace_ms(200);
    config_.mutable_task_queue()->mutable_artifact()->set_directory(folder_ + "/artifacts");
    config_.mutable_task_queue()->mutable_artifact()->set_max_artifact_bytes(1 << 20);
    // The name "standalone" makes the process its own peer: its outbox goes to the double.
    process_ =
        std::make_unique<service::Process>(config_, service::ProcessOptions{.name = "standalone"});
    const absl::Status started = process_->Start(
        {[this](service::Context& context) -> absl::StatusOr<std::unique_ptr<service::Module>> {
           return std::make_unique<NotificationDouble>(context.dispatcher, delivered_);
         },
         [&](service::Context& context) { return MakeTaskQueueModuleOn(context, open_store); }});
    EXPECT_TRUE(started.ok()) << started;
    channel_ = rpc::MakeChannel("127.0.0.1:" + std::to_string(process_->grpc_port()));
    queue_ = v1::TaskQueueService::NewStub(channel_);
    workers_ = v1::WorkerService::NewStub(channel_);
  }
  ~ServiceFixture() override {
    process_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string Token(const std::string& user, std::vector<std::string> roles = {"user"}) {
    auth::TokenRequest request;
    request.user = user;
    request.roles = std::move(roles);
    return *auth::TokenIssuer({}, *keys_, clock_).Issue(request);
  }
  std::string WorkerToken() { return Token("worker", {"service"}); }

  v1::SubmitTaskRequest Request(const std::string& type = "echo") {
    v1::SubmitTaskRequest request;
    request.set_task_type(type);
    (*request.mutable_args()->mutable_fields())["text"].set_string_value("hello");
    return request;
  }
  absl::StatusOr<v1::Task> Submit(const std::string& token, const v1::SubmitTaskRequest& request) {
    v1::Task task;
    const absl::Status status =
        rpc::FromGrpc(queue_->SubmitTask(CallAs(token).get(), request, &task));
    if (!status.ok()) return status;
    return task;
  }
  absl::StatusOr<v1::Task> Get(const std::string& token, const std::string& task_id,
                               bool include_args = false) {
    v1::GetTaskRequest request;
    request.set_task_id(task_id);
    request.set_include_args(include_args);
    v1::Task task;
    const absl::Status status = rpc::FromGrpc(queue_->GetTask(CallAs(token).get(), request, &task));
    if (!status.ok()) return status;
    return task;
  }
  // Follows the task until it has this status; the statuses seen.
  std::vector<v1::Task::Status> WatchUntil(const std::string& token, const std::string& task_id,
                                           v1::Task::Status last) {
    auto context = CallAs(token);
    v1::WatchTaskRequest request;
    request.set_task_id(task_id);
    auto reader = queue_->WatchTask(context.get(), request);
    std::vector<v1::Task::Status> seen;
    v1::Task task;
    while (reader->Read(&task)) {
      if (seen.empty() || seen.back() != task.status()) seen.push_back(task.status());
      if (task.status() == last) break;
    }
    context->TryCancel();
    reader->Finish();
    return seen;
  }

  const std::string folder_;
  config::v1::Config config_;
  Delivered delivered_;
  clock::SystemClock clock_;
  std::unique_ptr<auth::KeySet> keys_ = *auth::KeySet::FromText(kTestSecret);
  std::unique_ptr<service::Process> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TaskQueueService::Stub> queue_;
  std::unique_ptr<v1::WorkerService::Stub> workers_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_SERVICE_FIXTURE_H_
