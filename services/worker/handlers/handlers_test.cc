// The two task handlers against seams in memory.
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/clock/clock.h"
#include "libs/status/status.h"
#include "services/worker/handlers/args_reader.h"
#include "services/worker/handlers/generate_pdf.h"
#include "services/worker/handlers/generate_rfc.h"
#include "services/worker/rfc_draft/offline_drafter.h"

namespace slipstream::worker {
namespace {

google::protobuf::Struct Json(const std::string& json) {
  google::protobuf::Struct out;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &out).ok()) << json;
  return out;
}

class HandlersTest : public testing::Test {
 protected:
  template <class T>
  T Await(Async<T> coroutine) {
    boost::asio::io_context context;
    auto future = boost::asio::co_spawn(context, std::move(coroutine), boost::asio::use_future);
    context.run();
    return future.get();
  }

  UploadArtifact Upload() {
    return [this](ArtifactFile file) -> Async<absl::StatusOr<task_queue::v1::ArtifactRef>> {
      task_queue::v1::ArtifactRef ref;
      ref.set_artifact_id(absl::StrCat("artifact-", files_.size()));
      ref.set_name(file.name);
      ref.set_content_type(file.content_type);
      ref.set_size_bytes(static_cast<int64_t>(file.bytes.size()));
      files_[ref.artifact_id()] = std::move(file);
      co_return ref;
    };
  }

  DownloadArtifact Download() {
    return [this](std::string id, size_t) -> Async<absl::StatusOr<ArtifactFile>> {
      const auto found = files_.find(id);
      if (found == files_.end()) {
        co_return status::Error(absl::StatusCode::kNotFound, "ARTIFACT_NOT_FOUND",
                                "no such artifact");
      }
      co_return found->second;
    };
  }

  GenerateRfcDeps RfcDeps() {
    GenerateRfcDeps deps;
    deps.drafter = &drafter_;
    deps.cache_get = [this](std::string key) -> Async<absl::StatusOr<std::optional<std::string>>> {
      if (cache_down_) co_return absl::UnavailableError("cache is away");
      const auto found = cache_.find(key);
      if (found == cache_.end()) co_return std::optional<std::string>();
      co_return std::optional<std::string>(found->second);
    };
    deps.cache_set = [this](std::string key, std::string value) -> Async<absl::Status> {
      if (cache_down_) co_return absl::UnavailableError("cache is away");
      cache_[key] = value;
      co_return absl::OkStatus();
    };
    deps.upload = Upload();
    deps.warn = [this](std::string_view text) { warnings_.push_back(std::string(text)); };
    return deps;
  }

  TaskContext Context() {
    return {"task-7", [this](int percent, std::string_view) { percents_.push_back(percent); },
            source_.get_token()};
  }

  absl::StatusOr<TaskOutput> Rfc(const std::string& json) {
    auto args = ParseGenerateRfcArgs(Json(json));
    if (!args.ok()) return args.status();
    const GenerateRfcDeps deps = RfcDeps();
    return Await(RunGenerateRfc(*args, deps, Context()));
  }

  rfc_draft::OfflineDrafter drafter_;
  std::map<std::string, std::string> cache_;
  std::map<std::string, ArtifactFile> files_;
  std::vector<std::string> warnings_;
  std::vector<int> percents_;
  std::stop_source source_;
  bool cache_down_ = false;
};

TEST_F(HandlersTest, TypesHaveTheTimesOfTheDesignAndExamplesThatWork) {
  const auto rfc = GenerateRfcType();
  EXPECT_EQ(rfc.expected_min_ms(), 120'000);
  EXPECT_EQ(rfc.expected_max_ms(), 300'000);
  EXPECT_EQ(rfc.deadline_ms(), 900'000);
  EXPECT_EQ(rfc.max_attempts(), 3);
  EXPECT_TRUE(ParseGenerateRfcArgs(rfc.example_args()).ok());
  const auto pdf = GeneratePdfType();
  EXPECT_EQ(pdf.expected_min_ms(), 5'000);
  EXPECT_EQ(pdf.deadline_ms(), 300'000);
  EXPECT_EQ(pdf.aliases(0), "generate_pdf_async");
  EXPECT_TRUE(ParseGeneratePdfArgs(pdf.example_args()).ok());
}

TEST_F(HandlersTest, RfcArgsNameTheFieldThatIsWrong) {
  const auto fields = [](const absl::Status& status) {
    std::string out;
    for (const auto& violation : status::FieldViolations(status)) out += violation.field + ";";
    return out;
  };
  EXPECT_EQ(fields(ParseGenerateRfcArgs(Json("{}")).status()), "args.prompt;");
  EXPECT_EQ(fields(ParseGenerateRfcArgs(Json(R"({"prompt": 5})")).status()), "args.prompt;");
  EXPECT_EQ(fields(ParseGenerateRfcArgs(Json(R"({"prompt": "x", "template": "fancy"})")).status()),
            "args.template;");
  EXPECT_EQ(fields(ParseGenerateRfcArgs(Json(R"({"prompt": "x", "promt": "y"})")).status()),
            "args.promt;");
}

TEST_F(HandlersTest, PdfArgsTakeExactlyOneDocument) {
  EXPECT_FALSE(ParseGeneratePdfArgs(Json("{}")).ok());
  EXPECT_FALSE(ParseGeneratePdfArgs(Json(R"({"markdown": "x", "html": "y"})")).ok());
  EXPECT_FALSE(ParseGeneratePdfArgs(Json(R"({"markdown": "  "})")).ok());
  EXPECT_FALSE(ParseGeneratePdfArgs(Json(R"({"markdown": "x", "file_name": "../x"})")).ok());
  EXPECT_EQ(ParseGeneratePdfArgs(Json(R"({"markdown": "x", "file_name": "a"})"))->file_name,
            "a.pdf");
}

TEST_F(HandlersTest, DraftIsKeptAndTheSecondOneComesFromTheCache) {
  const std::string args = R"({"prompt": "The export fails. It must finish in 5 minutes."})";
  auto first = Rfc(args);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->result.fields().at("cached").bool_value());
  EXPECT_EQ(first->result.fields().at("drafter").string_value(), "offline");
  ASSERT_EQ(first->artifacts.size(), 1u);
  EXPECT_EQ(files_["artifact-0"].bytes, first->result.fields().at("markdown").string_value());
  EXPECT_EQ(files_["artifact-0"].content_type, "text/markdown");
  EXPECT_TRUE(std::is_sorted(percents_.begin(), percents_.end()));
  EXPECT_EQ(percents_.back(), 100);

  percents_.clear();
  auto second = Rfc(args);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->result.fields().at("cached").bool_value());
  EXPECT_EQ(second->result.fields().at("markdown").string_value(),
            first->result.fields().at("markdown").string_value());
  EXPECT_EQ(second->artifacts[0].artifact_id(), "artifact-1") << "each task has its own artifact";

  // One changed word, title or template is a miss.
  for (
      const char* other :
      {R"({"prompt": "The export stops. It must finish in 5 minutes."})",
       R"({"prompt": "The export fails. It must finish in 5 minutes.", "title": "x"})",
       R"({"prompt": "The export fails. It must finish in 5 minutes.", "template": "decision"})"}) {
    EXPECT_FALSE(Rfc(other)->result.fields().at("cached").bool_value()) << other;
  }
}

TEST_F(HandlersTest, ACacheThatIsAwayCostsOnlyAWarning) {
  cache_down_ = true;
  auto output = Rfc(R"({"prompt": "Kubernetes"})");
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(warnings_.size(), 2u);
  cache_down_ = false;
  cache_[DraftCacheKey(drafter_, {"Kubernetes", "", "standard"})] = "\xff damaged";
  EXPECT_FALSE(Rfc(R"({"prompt": "Kubernetes"})")->result.fields().at("cached").bool_value());
}

TEST_F(HandlersTest, ACancelledDraftKeepsNothing) {
  source_.request_stop();
  EXPECT_EQ(Rfc(R"({"prompt": "x"})").status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(files_.empty());
  EXPECT_TRUE(cache_.empty());
}

TEST_F(HandlersTest, DraftThenPdfOfItsArtifact) {
  auto draft = Rfc(R"({"prompt": "The export fails. It must finish in 5 minutes."})");
  ASSERT_TRUE(draft.ok());
  pdf::PdfRenderer renderer({});
  clock::SystemClock clock;
  const GeneratePdfDeps deps{&renderer, &clock, Upload(), Download()};
  percents_.clear();
  auto args = ParseGeneratePdfArgs(Json(R"({"artifact_id": "artifact-0"})"));
  ASSERT_TRUE(args.ok());
  auto output = Await(RunGeneratePdf(*args, deps, Context()));
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_GE(output->result.fields().at("pages").number_value(), 1);
  EXPECT_EQ(output->artifacts[0].content_type(), "application/pdf");
  EXPECT_EQ(output->artifacts[0].name(), "rfc-export.pdf");
  EXPECT_EQ(files_["artifact-1"].bytes.substr(0, 5), "%PDF-");
  EXPECT_EQ(static_cast<double>(files_["artifact-1"].bytes.size()),
            output->result.fields().at("bytes").number_value());
  EXPECT_TRUE(std::is_sorted(percents_.begin(), percents_.end()));
  EXPECT_EQ(percents_.back(), 100);

  EXPECT_EQ(Await(RunGeneratePdf({"", "", "nobody's", "", ""}, deps, Context())).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(Await(RunGeneratePdf({"", "", "artifact-1", "", ""}, deps, Context())).status().code(),
            absl::StatusCode::kInvalidArgument)
      << "a PDF is no document to print";
}

TEST(FileNames, ComeFromTitles) {
  EXPECT_EQ(FileNameFor("RFC: Größe & Co!", ".md"), "rfc-größe-co.md");
  EXPECT_EQ(FileNameFor("???", ".pdf"), "document.pdf");
  EXPECT_LE(FileNameFor(std::string(500, 'x'), ".pdf").size(), 84u);
}

}  // namespace
}  // namespace slipstream::worker
