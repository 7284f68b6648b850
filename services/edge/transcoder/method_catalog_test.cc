#include "services/edge/transcoder/method_catalog.h"

#include <string>

#include "google/api/annotations.pb.h"
#include "google/protobuf/struct.pb.h"
#include "gtest/gtest.h"
#include "services/edge/transcoder/testdata/library_catalog.h"

namespace slipstream::edge {
namespace {

TEST(MethodCatalog, ReadsEveryMethodWithItsPolicy) {
  const auto catalog = LibraryCatalog();
  EXPECT_EQ(catalog->methods().size(), 7u);
  EXPECT_EQ(catalog->endpoints().size(), 8u);
  const auto* create = catalog->Find("/slipstream.edge.testdata.LibraryService/CreateBook");
  ASSERT_NE(create, nullptr);
  EXPECT_EQ(create, catalog->Find("slipstream.edge.testdata.LibraryService.CreateBook"));
  EXPECT_EQ(create->permission, "books.create");
  EXPECT_EQ(create->success_status, 202);
  EXPECT_EQ(create->bindings.size(), 2u);
  EXPECT_FALSE(create->open);
  const auto* get = catalog->Find("slipstream.edge.testdata.LibraryService.GetBook");
  EXPECT_TRUE(get->open);
  EXPECT_EQ(get->success_status, 200);
  EXPECT_EQ(catalog->Find("slipstream.edge.testdata.LibraryService.WatchBook")->streaming,
            StreamingKind::kServer);
  EXPECT_EQ(catalog->Find("slipstream.edge.testdata.LibraryService.UploadScan")->streaming,
            StreamingKind::kClient);
  EXPECT_TRUE(catalog->Find("slipstream.edge.testdata.LibraryService.Internal")->bindings.empty());
  EXPECT_EQ(catalog->Find("nope"), nullptr);
}

TEST(MethodCatalog, StructsAreTheGeneratedClass) {
  const auto catalog = LibraryCatalog();
  const auto* book = catalog->pool().FindMessageTypeByName("slipstream.edge.testdata.Book");
  auto message = catalog->NewMessage(*book);
  auto* extra =
      message->GetReflection()->MutableMessage(message.get(), book->FindFieldByName("extra"));
  EXPECT_NE(dynamic_cast<google::protobuf::Struct*>(extra), nullptr);
}

TEST(MethodCatalog, PrefixesLimitTheServices) {
  const auto none = MethodCatalog::Create(LibraryDescriptors(), {"other."});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE((*none)->methods().empty());
  const auto all = MethodCatalog::Create(LibraryDescriptors(), {"other.", "slipstream.edge."});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ((*all)->methods().size(), 7u);
}

TEST(MethodCatalog, BadDescriptorsAreRefusedByName) {
  auto files = LibraryDescriptors();
  auto* service = files.mutable_file(files.file_size() - 1)->mutable_service(0);
  auto* rule = service->mutable_method(1)->mutable_options()->MutableExtension(google::api::http);
  rule->set_get("/v1/{nope}");
  auto bad = MethodCatalog::Create(files);
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(bad.status().message().find("GetBook"), absl::string_view::npos) << bad.status();
  rule->set_get("/v1/{");
  EXPECT_NE(MethodCatalog::Create(files).status().message().find("GetBook"),
            absl::string_view::npos);

  rule->set_get("/v1/books/");
  auto twice = MethodCatalog::Create(files);
  ASSERT_TRUE(twice.ok());
  const auto routes = (*twice)->BuildRoutes();
  EXPECT_EQ(routes.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(routes.status().message().find("GetBook"), absl::string_view::npos);
  EXPECT_NE(routes.status().message().find("ListBooks"), absl::string_view::npos);

  files.mutable_file(files.file_size() - 1)->add_dependency("missing.proto");
  EXPECT_NE(MethodCatalog::Create(files).status().message().find("do not link"),
            absl::string_view::npos);
}

}  // namespace
}  // namespace slipstream::edge
