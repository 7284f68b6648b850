// The worker's module in a process with a queue, a cache and an artifact service of the test's own,
// over real gRPC with the real chain: tokens, acting for the owner, drafts from the cache, a real
// PDF.
#include "services/worker/worker_module.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/config/load.h"
#include "libs/rpc/handler.h"
#include "libs/service/context.h"
#include "libs/service/process.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"
#include "slipstream/task_queue/v1/worker.grpc.pb.h"

namespace slipstream::worker {
namespace {

namespace av = slipstream::artifact::v1;
namespace cv = slipstream::cache::v1;
namespace tv = slipstream::task_queue::v1;

// What the services saw; outlives the process.
struct World {
  sync::Mutex mutex;
  sync::CondVar changed;
  std::vector<tv::WorkResponse> to_assign ABSL_GUARDED_BY(mutex);
  tv::WorkRequest::Hello hello ABSL_GUARDED_BY(mutex);
  std::map<std::string, tv::WorkRequest> outcomes ABSL_GUARDED_BY(mutex);
  std::set<std::string> steps ABSL_GUARDED_BY(mutex);
  std::map<std::string, std::string> cache ABSL_GUARDED_BY(mutex);
  std::map<std::string, std::pair<av::Artifact, std::string>> files ABSL_GUARDED_BY(mutex);

  void Assign(const std::string& id, const std::string& type,
              const std::map<std::string, std::string>& args) {
    tv::WorkResponse response;
    auto& task = *response.mutable_assignment();
    task.set_task_id(id);
    task.set_task_type(type);
    task.set_lease_epoch(1);
    task.set_attempt(1);
    task.set_owner("alice");
    task.set_tenant("acme");
    for (const auto& [key, value] : args) {
      (*task.mutable_args()->mutable_fields())[key].set_string_value(value);
    }
    sync::MutexLock lock(mutex);
    to_assign.push_back(std::move(response));
  }
  // The task's outcome; an empty one after 60 s.
  tv::WorkRequest Outcome(const std::string& id) {
    sync::MutexLock lock(mutex);
    while (outcomes.count(id) == 0) {
      if (!changed.WaitFor(mutex, absl::Seconds(60))) return {};
    }
    return outcomes[id];
  }
};

class FakeQueue final : public tv::WorkerService::CallbackService {
 public:
  FakeQueue(const rpc::Dispatcher& d, World& world)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.task_queue.v1.WorkerService")),
        world_(world) {}
  grpc::ServerBidiReactor<tv::WorkRequest, tv::WorkResponse>* Work(
      grpc::CallbackServerContext* c) override {
    return rpc_.BidiStream<tv::WorkRequest, tv::WorkResponse>(
        "Work", c,
        [this](rpc::CallContext&, rpc::Receiver<tv::WorkRequest>& in,
               rpc::Sender<tv::WorkResponse>& out) { return Serve(in, out); });
  }

 private:
  Async<absl::Status> Serve(rpc::Receiver<tv::WorkRequest>& in,
                            rpc::Sender<tv::WorkResponse>& out) {
    tv::WorkResponse welcome;
    welcome.mutable_welcome()->set_session_id("s");
    // So short that assignments can go out whenever one comes in.
    welcome.mutable_welcome()->set_heartbeat_interval_ms(50);
    while (auto request = co_await in.Read()) {
      if (request->has_hello()) {
        {
          sync::MutexLock lock(world_.mutex);
          world_.hello = request->hello();
        }
        co_await out.Write(welcome);
      }
      for (const auto& one : request->batch().requests()) Take(one, out);
      Take(*request, out);
      std::vector<tv::WorkResponse> tasks;
      {
        sync::MutexLock lock(world_.mutex);
        tasks.swap(world_.to_assign);
      }
      for (auto& task : tasks) co_await out.Write(std::move(task));
    }
    co_return absl::OkStatus();
  }
  void Take(const tv::WorkRequest& request, rpc::Sender<tv::WorkResponse>& out) {
    sync::MutexLock lock(world_.mutex);
    if (request.has_progress()) world_.steps.insert(request.progress().message());
    if (!request.has_success() && !request.has_failure()) return;
    tv::WorkResponse ack;
    const std::string id =
        request.has_success() ? request.success().task_id() : request.failure().task_id();
    ack.mutable_ack()->set_task_id(id);
    ack.mutable_ack()->set_lease_epoch(1);
    ack.mutable_ack()->set_accepted(true);
    out.Send(std::move(ack));
    world_.outcomes[id] = request;
    world_.changed.SignalAll();
  }
  rpc::Endpoint rpc_;
  World& world_;
};

std::string UserScope(const rpc::CallContext& call) {
  return absl::StrCat(call.principal().tenant, "/", call.principal().user);
}

class FakeCache final : public cv::CacheService::CallbackService {
 public:
  FakeCache(const rpc::Dispatcher& d, World& world)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.cache.v1.CacheService")), world_(world) {}
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* c, const cv::GetRequest* q,
                                cv::GetResponse* p) override {
    return rpc_.Unary("Get", c, q, p,
                      [this](rpc::CallContext& call, const cv::GetRequest& q, cv::GetResponse* p) {
                        sync::MutexLock lock(world_.mutex);
                        auto it = world_.cache.find(Key(call, q.key()));
                        p->set_result(cv::GetResponse::MISS);
                        if (it == world_.cache.end()) return absl::OkStatus();
                        p->set_result(cv::GetResponse::HIT);
                        p->mutable_value()->set_value(it->second);
                        return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* Set(grpc::CallbackServerContext* c, const cv::SetRequest* q,
                                cv::SetResponse* p) override {
    return rpc_.Unary("Set", c, q, p,
                      [this](rpc::CallContext& call, const cv::SetRequest& q, cv::SetResponse* p) {
                        sync::MutexLock lock(world_.mutex);
                        world_.cache[Key(call, q.key())] = q.value();
                        p->set_version(1);
                        return absl::OkStatus();
                      });
  }

 private:
  static std::string Key(const rpc::CallContext& call, const cv::CacheKey& key) {
    return absl::StrCat(UserScope(call), " ", cv::CacheKey::Type_Name(key.type()), " ",
                        cv::CacheKey::Scope_Name(key.scope()), " ", key.key());
  }
  rpc::Endpoint rpc_;
  World& world_;
};

class FakeArtifacts final : public av::ArtifactService::CallbackService {
 public:
  FakeArtifacts(const rpc::Dispatcher& d, World& world)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.artifact.v1.ArtifactService")),
        world_(world) {}
  grpc::ServerReadReactor<av::UploadArtifactRequest>* UploadArtifact(grpc::CallbackServerContext* c,
                                                                     av::Artifact* p) override {
    return rpc_.ClientStream<av::UploadArtifactRequest>(
        "UploadArtifact", c, p,
        [this](rpc::CallContext& call, rpc::Receiver<av::UploadArtifactRequest>& in,
               av::Artifact* p) -> Async<absl::Status> {
          std::string bytes;
          while (auto request = co_await in.Read()) {
            if (!request->name().empty()) {
              p->set_name(request->name());
              p->set_content_type(request->body().content_type());
            }
            bytes += request->body().data();
          }
          p->set_owner(UserScope(call));
          p->set_size_bytes(static_cast<int64_t>(bytes.size()));
          sync::MutexLock lock(world_.mutex);
          p->set_artifact_id(absl::StrCat("artifact-", world_.files.size()));
          world_.files[p->artifact_id()] = {*p, bytes};
          co_return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* GetArtifact(grpc::CallbackServerContext* c,
                                        const av::GetArtifactRequest* q, av::Artifact* p) override {
    return rpc_.Unary(
        "GetArtifact", c, q, p,
        [this](rpc::CallContext& call, const av::GetArtifactRequest& q, av::Artifact* p) {
          sync::MutexLock lock(world_.mutex);
          auto it = world_.files.find(q.artifact_id());
          if (it == world_.files.end() || it->second.first.owner() != UserScope(call)) {
            return status::Error(absl::StatusCode::kNotFound, "NO_FILE", "no such file");
          }
          *p = it->second.first;
          return absl::OkStatus();
        });
  }
  grpc::ServerWriteReactor<google::api::HttpBody>* DownloadArtifact(
      grpc::CallbackServerContext* c, const av::DownloadArtifactRequest* q) override {
    return rpc_.ServerStream<google::api::HttpBody>(
        "DownloadArtifact", c, q,
        [this](rpc::CallContext&, const av::DownloadArtifactRequest& q,
               rpc::Sender<google::api::HttpBody>& out) -> Async<absl::Status> {
          google::api::HttpBody body;
          {
            sync::MutexLock lock(world_.mutex);
            body.set_data(world_.files[q.artifact_id()].second);
          }
          co_await out.Write(std::move(body));
          co_return absl::OkStatus();
        });
  }

 private:
  rpc::Endpoint rpc_;
  World& world_;
};

class FakeModule final : public service::Module {
 public:
  FakeModule(service::Context& context, World& world)
      : queue_(context.dispatcher, world),
        cache_(context.dispatcher, world),
        artifacts_(context.dispatcher, world) {}
  std::vector<grpc::Service*> Services() override { return {&queue_, &cache_, &artifacts_}; }

 private:
  FakeQueue queue_;
  FakeCache cache_;
  FakeArtifacts artifacts_;
};

class WorkerModuleTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string secret = testing::TempDir() + "/worker_module_test.secret";
    std::ofstream(secret) << std::string(48, 's');
    config_ = config::DefaultConfig();
    config_.mutable_auth()->set_hs256_secret_file(secret);
    config_.mutable_standalone()->set_grpc_address("127.0.0.1:0");
    config_.mutable_standalone()->set_http_address("127.0.0.1:0");
    config_.mutable_worker()->set_slots_count(2);
    process_ =
        std::make_unique<service::Process>(config_, service::ProcessOptions{.name = "standalone"});
    const absl::Status started = process_->Start(
        {[this](service::Context& context) -> absl::StatusOr<std::unique_ptr<service::Module>> {
           return std::make_unique<FakeModule>(context, world_);
         },
         MakeWorkerModule});
    ASSERT_TRUE(started.ok()) << started;
  }

  World world_;
  config::v1::Config config_;
  std::unique_ptr<service::Process> process_;
};

const char kPrompt[] =
    "The nightly invoice export fails twice a week and takes 4 hours. It must finish within 90 "
    "minutes. We propose one task per invoice, run by 40 workers.";

TEST_F(WorkerModuleTest, DraftsOnceThenFromTheCacheThenPrints) {
  world_.Assign("t1", "llm_generate_rfc", {{"prompt", kPrompt}});
  const auto first = world_.Outcome("t1");
  ASSERT_TRUE(first.has_success()) << first.DebugString();
  EXPECT_FALSE(first.success().result().fields().at("cached").bool_value());
  ASSERT_EQ(first.success().artifacts_size(), 1);

  world_.Assign("t2", "llm_generate_rfc", {{"prompt", kPrompt}});
  const auto second = world_.Outcome("t2");
  ASSERT_TRUE(second.has_success()) << second.DebugString();
  EXPECT_TRUE(second.success().result().fields().at("cached").bool_value());

  world_.Assign("t3", "generate_pdf",
                {{"artifact_id", first.success().artifacts(0).artifact_id()}});
  const auto third = world_.Outcome("t3");
  ASSERT_TRUE(third.has_success()) << third.DebugString();
  ASSERT_EQ(third.success().artifacts_size(), 1);

  sync::MutexLock lock(world_.mutex);
  ASSERT_EQ(world_.cache.size(), 1u);
  EXPECT_TRUE(absl::StartsWith(world_.cache.begin()->first, "acme/alice LLM_RESPONSE USER "));
  ASSERT_EQ(world_.files.size(), 3u);
  for (const auto& [id, file] : world_.files) EXPECT_EQ(file.first.owner(), "acme/alice");
  const auto& pdf = world_.files[third.success().artifacts(0).artifact_id()];
  EXPECT_EQ(pdf.first.content_type(), "application/pdf");
  EXPECT_TRUE(absl::StartsWith(pdf.second, "%PDF-"));
  EXPECT_TRUE(world_.steps.count("done"));
}

TEST_F(WorkerModuleTest, AnnouncesItsTypesAndRefusesWhatNeverWorks) {
  world_.Assign("t1", "generate_pdf", {{"artifact_id", "someone-elses"}});
  const auto outcome = world_.Outcome("t1");
  ASSERT_TRUE(outcome.has_failure()) << outcome.DebugString();
  EXPECT_EQ(outcome.failure().reason(), "NO_FILE");
  EXPECT_FALSE(outcome.failure().retryable());
  sync::MutexLock lock(world_.mutex);
  EXPECT_EQ(world_.hello.slots(), 2);
  ASSERT_EQ(world_.hello.task_types_size(), 2);
  EXPECT_EQ(world_.hello.task_types(0).name(), "llm_generate_rfc");
  EXPECT_EQ(world_.hello.task_types(1).name(), "generate_pdf");
  EXPECT_EQ(world_.hello.task_types(1).aliases(0), "generate_pdf_async");
}

}  // namespace
}  // namespace slipstream::worker
