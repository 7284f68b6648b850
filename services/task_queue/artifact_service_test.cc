#include "services/task_queue/service_fixture.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"

namespace slipstream::artifact {
namespace {

using task_queue::CallAs;
using testing::HasSubstr;

class ArtifactServiceTest : public task_queue::ServiceFixture {
 protected:
  absl::StatusOr<v1::Artifact> Upload(const std::string& token, const std::string& name,
                                      const std::string& bytes, const std::string& for_user = "") {
    auto context = CallAs(token);
    if (!for_user.empty()) context->AddMetadata("x-slipstream-act-as-user", for_user);
    v1::Artifact artifact;
    auto writer = stub_->UploadArtifact(context.get(), &artifact);
    v1::UploadArtifactRequest request;
    request.set_name(name);
    for (size_t at = 0; at < bytes.size(); at += 100'000) {
      request.mutable_body()->set_data(bytes.substr(at, 100'000));
      if (!writer->Write(request)) break;
      request.Clear();
    }
    writer->WritesDone();
    const absl::Status status = rpc::FromGrpc(writer->Finish());
    if (!status.ok()) return status;
    return artifact;
  }
  struct Downloaded {
    absl::Status status;
    std::string bytes, content_type;
    std::multimap<std::string, std::string> headers, trailers;
  };
  Downloaded Download(const std::string& token, const std::string& id,
                      const std::string& range = "") {
    auto context = CallAs(token);
    v1::DownloadArtifactRequest request;
    request.set_artifact_id(id);
    request.set_range(range);
    auto reader = stub_->DownloadArtifact(context.get(), request);
    Downloaded out;
    google::api::HttpBody chunk;
    while (reader->Read(&chunk)) {
      EXPECT_LE(chunk.data().size(), size_t{256} << 10);
      out.bytes += chunk.data();
      out.content_type = chunk.content_type();
    }
    out.status = rpc::FromGrpc(reader->Finish());
    const auto copy = [](const auto& from, auto* to) {
      for (const auto& [key, value] : from) {
        to->emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
      }
    };
    copy(context->GetServerInitialMetadata(), &out.headers);
    copy(context->GetServerTrailingMetadata(), &out.trailers);
    return out;
  }
  static std::string Header(const Downloaded& from, const std::string& key) {
    auto it = from.headers.find(key);
    return it == from.headers.end() ? "" : it->second;
  }

  std::unique_ptr<v1::ArtifactService::Stub> stub_ = v1::ArtifactService::NewStub(channel_);
  const std::string alice_ = Token("alice");
  const std::string bob_ = Token("bob");
};

TEST_F(ArtifactServiceTest, WhatIsUploadedIsDownloadedByItsOwnerOnly) {
  const std::string bytes = "%PDF-1.7\n" + std::string(300'000, 'x');
  const auto kept = Upload(alice_, "Übersicht 1.pdf", bytes);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->content_type(), "application/pdf");
  EXPECT_EQ(kept->size_bytes(), static_cast<int64_t>(bytes.size()));
  const Downloaded whole = Download(alice_, kept->artifact_id());
  EXPECT_TRUE(whole.status.ok()) << whole.status;
  EXPECT_EQ(whole.bytes, bytes);
  EXPECT_EQ(whole.content_type, "application/pdf");
  EXPECT_EQ(Header(whole, "x-http-content-length"), std::to_string(bytes.size()));
  EXPECT_EQ(Header(whole, "x-http-etag"), "\"" + kept->sha256() + "\"");
  EXPECT_THAT(Header(whole, "x-http-content-disposition"),
              HasSubstr("filename*=UTF-8''%c3%9cbersicht%201.pdf"));
  EXPECT_TRUE(absl::IsNotFound(Download(bob_, kept->artifact_id()).status));
  EXPECT_TRUE(absl::IsUnauthenticated(Download("", kept->artifact_id()).status));
}

TEST_F(ArtifactServiceTest, AWorkersUploadBelongsToTheUserItActsFor) {
  const auto kept = Upload(WorkerToken(), "r.txt", "result", "alice");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->owner(), "alice");
  EXPECT_EQ(Download(alice_, kept->artifact_id()).bytes, "result");
  EXPECT_TRUE(absl::IsNotFound(Download(WorkerToken(), kept->artifact_id()).status));
}

TEST_F(ArtifactServiceTest, PartsAreServedByRange) {
  const auto kept = Upload(alice_, "a.txt", "0123456789");
  const Downloaded part = Download(alice_, kept->artifact_id(), "bytes=2-4");
  EXPECT_EQ(part.bytes, "234");
  EXPECT_EQ(Header(part, "x-http-code"), "206");
  EXPECT_EQ(Header(part, "x-http-content-range"), "bytes 2-4/10");
  const Downloaded beyond = Download(alice_, kept->artifact_id(), "bytes=10-");
  EXPECT_TRUE(absl::IsOutOfRange(beyond.status));
  EXPECT_EQ(beyond.trailers.find("x-http-code")->second, "416");
}

TEST_F(ArtifactServiceTest, AFileOverTheLimitIsRefused) {
  const absl::Status refused = Upload(alice_, "a.txt", std::string(2 << 20, 'x')).status();
  EXPECT_EQ(status::Reason(refused), "ARTIFACT_TOO_LARGE") << refused;
}

TEST_F(ArtifactServiceTest, AnUploadBrokenOffLeavesNothing) {
  auto context = CallAs(alice_);
  v1::Artifact artifact;
  auto writer = stub_->UploadArtifact(context.get(), &artifact);
  v1::UploadArtifactRequest request;
  request.mutable_body()->set_data("half");
  ASSERT_TRUE(writer->Write(request));
  context->TryCancel();
  EXPECT_FALSE(writer->Finish().ok());
  // The server has ended it once the process is down.
  process_->Shutdown();
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/artifacts/files"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/artifacts/tmp"));
}

TEST_F(ArtifactServiceTest, ListAndDeleteAreTheOwners) {
  const std::string id = Upload(alice_, "a.txt", "x")->artifact_id();
  v1::ListArtifactsResponse list;
  ASSERT_TRUE(stub_->ListArtifacts(CallAs(alice_).get(), {}, &list).ok());
  EXPECT_EQ(list.artifacts_size(), 1);
  v1::DeleteArtifactRequest request;
  request.set_artifact_id(id);
  v1::DeleteArtifactResponse response;
  EXPECT_TRUE(absl::IsNotFound(
      rpc::FromGrpc(stub_->DeleteArtifact(CallAs(bob_).get(), request, &response))));
  EXPECT_TRUE(stub_->DeleteArtifact(CallAs(alice_).get(), request, &response).ok());
  EXPECT_TRUE(absl::IsNotFound(Download(alice_, id).status));
}

}  // namespace
}  // namespace slipstream::artifact
