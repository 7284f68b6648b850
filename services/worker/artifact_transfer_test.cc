// Files to and from an artifact service on a real server, over loopback.
#include "services/worker/artifact_transfer.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/handler.h"
#include "libs/rpc/server.h"
#include "libs/status/status.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"

namespace slipstream::worker {
namespace {

namespace av = slipstream::artifact::v1;

// Keeps one file; refuses "forbidden.md"; gives "blob" of any size.
class FakeArtifacts final : public av::ArtifactService::CallbackService {
 public:
  explicit FakeArtifacts(const rpc::Dispatcher& d)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.artifact.v1.ArtifactService")) {}

  grpc::ServerReadReactor<av::UploadArtifactRequest>* UploadArtifact(grpc::CallbackServerContext* c,
                                                                     av::Artifact* p) override {
    return rpc_.ClientStream<av::UploadArtifactRequest>(
        "UploadArtifact", c, p,
        [this](rpc::CallContext& call, rpc::Receiver<av::UploadArtifactRequest>& in,
               av::Artifact* p) -> Async<absl::Status> {
          while (auto request = co_await in.Read()) {
            if (request->name() == "forbidden.md") {
              co_return status::Error(absl::StatusCode::kResourceExhausted, "QUOTA", "full");
            }
            if (messages_++ == 0) {
              p->set_name(request->name());
              p->set_task_id(request->task_id());
              p->set_content_type(request->body().content_type());
            }
            bytes_ += request->body().data();
          }
          p->set_artifact_id("artifact-1");
          p->set_owner(std::string(call.metadata("x-slipstream-act-as-user")));
          p->set_size_bytes(static_cast<int64_t>(bytes_.size()));
          kept_ = *p;
          co_return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* GetArtifact(grpc::CallbackServerContext* c,
                                        const av::GetArtifactRequest* q, av::Artifact* p) override {
    return rpc_.Unary("GetArtifact", c, q, p,
                      [this](rpc::CallContext&, const av::GetArtifactRequest& q, av::Artifact* p) {
                        if (q.artifact_id() != kept_.artifact_id()) {
                          return status::Error(absl::StatusCode::kNotFound, "NO_FILE", "none");
                        }
                        *p = kept_;
                        return absl::OkStatus();
                      });
  }
  grpc::ServerWriteReactor<google::api::HttpBody>* DownloadArtifact(
      grpc::CallbackServerContext* c, const av::DownloadArtifactRequest* q) override {
    return rpc_.ServerStream<google::api::HttpBody>(
        "DownloadArtifact", c, q,
        [this](rpc::CallContext&, const av::DownloadArtifactRequest&,
               rpc::Sender<google::api::HttpBody>& out) -> Async<absl::Status> {
          for (size_t at = 0; at < bytes_.size(); at += kArtifactChunkBytes) {
            google::api::HttpBody body;
            body.set_data(bytes_.substr(at, kArtifactChunkBytes));
            if (!co_await out.Write(std::move(body))) break;
          }
          co_return absl::OkStatus();
        });
  }

  // Says less than there is: the size is then found out on the way.
  void Understate() { kept_.set_size_bytes(1); }
  const av::Artifact& kept() const { return kept_; }
  int messages() const { return messages_; }

 private:
  rpc::Endpoint rpc_;
  av::Artifact kept_;
  std::string bytes_;
  int messages_ = 0;
};

class ArtifactTransferTest : public testing::Test {
 protected:
  ArtifactTransferTest() {
    server_.AddService(&artifacts_);
    EXPECT_TRUE(server_.Start().ok());
    channel_ = rpc::MakeChannel(server_.LocalAddress());
  }
  ~ArtifactTransferTest() override {
    server_.Shutdown(absl::Seconds(5));
    scope_.Close();
  }
  template <class T>
  T Await(Async<T> coroutine) {
    std::promise<T> result;
    auto shared = std::make_shared<Async<T>>(std::move(coroutine));
    scope_.Spawn(
        [&result, shared]() -> Async<void> { result.set_value(co_await std::move(*shared)); });
    return result.get_future().get();
  }
  auto Send(ArtifactFile file, std::stop_token cancel = {}) {
    rpc::CallOptions call;
    call.act_as_user = "alice";
    return Await(SendArtifact(channel_, call, "task-1", std::move(file), cancel));
  }
  auto Fetch(const std::string& id, size_t max_bytes) {
    return Await(FetchArtifact(channel_, {}, id, max_bytes, {}));
  }

  clock::SystemClock clock_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
  rpc::Chain chain_{{}};
  rpc::Dispatcher dispatcher_{chain_, runtime_.executor(), clock_};
  FakeArtifacts artifacts_{dispatcher_};
  rpc::Server server_{{}};
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ArtifactTransferTest, ALargeFileGoesAndComesInChunks) {
  std::string bytes(3 * kArtifactChunkBytes + 17, 'x');
  bytes[kArtifactChunkBytes] = 'y';
  auto ref = Send({"report.pdf", "application/pdf", bytes});
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_EQ(ref->artifact_id(), "artifact-1");
  EXPECT_EQ(ref->name(), "report.pdf");
  EXPECT_EQ(ref->content_type(), "application/pdf");
  EXPECT_EQ(ref->size_bytes(), static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(artifacts_.messages(), 4);
  EXPECT_EQ(artifacts_.kept().task_id(), "task-1");
  EXPECT_EQ(artifacts_.kept().owner(), "alice");

  auto file = Fetch("artifact-1", bytes.size());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "report.pdf");
  EXPECT_EQ(file->bytes, bytes);
}

TEST_F(ArtifactTransferTest, AnEmptyFileHasANameToo) {
  auto ref = Send({"empty.md", "text/markdown", ""});
  ASSERT_TRUE(ref.ok()) << ref.status();
  EXPECT_EQ(ref->name(), "empty.md");
}

TEST_F(ArtifactTransferTest, ARefusalSaysWhy) {
  auto ref = Send({"forbidden.md", "text/markdown", std::string(4 << 20, 'x')});
  EXPECT_EQ(status::Reason(ref.status()), "QUOTA");
}

TEST_F(ArtifactTransferTest, ATooLargeFileIsNotTaken) {
  ASSERT_TRUE(Send({"a.md", "text/markdown", std::string(1 << 20, 'x')}).ok());
  EXPECT_EQ(Fetch("artifact-1", 1000).status().code(), absl::StatusCode::kInvalidArgument);
  artifacts_.Understate();
  EXPECT_EQ(Fetch("artifact-1", 1000).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Fetch("artifact-2", 1000).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ArtifactTransferTest, ACancelEndsTheTransfer) {
  std::stop_source stop;
  stop.request_stop();
  auto ref = Send({"a.md", "text/markdown", "text"}, stop.get_token());
  EXPECT_EQ(ref.status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace slipstream::worker
