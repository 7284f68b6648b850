#include "services/edge/transcoder/openapi.h"

#include <fstream>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "services/edge/transcoder/testdata/library_catalog.h"

namespace slipstream::edge {
namespace {

using nlohmann::json;

json Document(const MethodCatalog& catalog) {
  return json::parse(MakeOpenApi({&catalog}, OpenApiInfo()));
}

// Every $ref of a document must resolve.
void CheckRefs(const json& root, const json& at) {
  if (at.is_object() && at.contains("$ref") && at["$ref"].is_string()) {
    const std::string ref = at["$ref"];
    ASSERT_EQ(ref.substr(0, 2), "#/");
    EXPECT_TRUE(root.contains(json::json_pointer(ref.substr(1)))) << ref;
  }
  if (at.is_structured()) {
    for (const auto& child : at) CheckRefs(root, child);
  }
}

TEST(OpenApi, DescribesTheLibrary) {
  const auto catalog = LibraryCatalog();
  const json document = Document(*catalog);
  EXPECT_EQ(document["openapi"], "3.1.0");
  std::set<std::string> paths;
  for (const auto& [path, item] : document["paths"].items()) paths.insert(path);
  EXPECT_EQ(paths, (std::set<std::string>{
                       "/v1/books", "/v1/books/{book_id}", "/v1/books/{book_id}:watch", "/v1/scans",
                       "/v1/shelves/{shelf}/books", "/v1/shelves/{shelf}/books/{request_id}",
                       "/v1/titles", "/v1/{name}"}));
  CheckRefs(document, document);

  const json& create = document["paths"]["/v1/shelves/{shelf}/books"]["post"];
  EXPECT_EQ(create["summary"], "Adds a book.");
  EXPECT_EQ(create["description"], "Adds a book.\nThe second line of its comment.");
  EXPECT_TRUE(create["responses"].contains("202"));
  EXPECT_EQ(create["x-permission"], "books.create");
  EXPECT_EQ(create["parameters"][0]["in"], "path");
  EXPECT_EQ(create["parameters"][1]["name"], "x-request-id");
  EXPECT_FALSE(
      create["requestBody"]["content"]["application/json"]["schema"]["properties"].contains(
          "shelf"));
  EXPECT_TRUE(create["requestBody"]["content"]["application/json"]["schema"]["properties"].contains(
      "book"));

  const json& get = document["paths"]["/v1/books/{book_id}"]["get"];
  EXPECT_TRUE(get["security"].empty());
  EXPECT_FALSE(create.contains("security"));
  EXPECT_EQ(document["paths"]["/v1/books/{book_id}:watch"]["get"]["security"],
            json::parse(R"([{"bearer": []}, {"session": []}])"));
  EXPECT_TRUE(
      document["paths"]["/v1/books/{book_id}:watch"]["get"]["responses"]["200"]["content"].contains(
          "text/event-stream"));
  EXPECT_EQ(document["paths"]["/v1/titles"]["get"]["responses"]["200"]["content"]
                    ["application/json"]["schema"]["type"],
            "array");

  const json& book = document["components"]["schemas"]["slipstream.edge.testdata.Book"];
  EXPECT_EQ(book["description"], "A book.");
  EXPECT_EQ(book["required"], json::array({"title"}));
  EXPECT_EQ(book["properties"]["title"]["description"], "Its name on the cover.");
  EXPECT_EQ(book["properties"]["page_count"]["type"], "string");
  EXPECT_EQ(book["properties"]["created_at"]["readOnly"], true);
  EXPECT_EQ(document["components"]["schemas"]["slipstream.edge.testdata.Book.Kind"]["enum"].size(),
            3u);
}

TEST(OpenApi, WhatTheEdgeAnswersByItselfIsInIt) {
  const auto catalog = LibraryCatalog();
  OpenApiInfo info;
  info.own_paths_json =
      R"({"/ws": {"get": {"responses": {"default": {"$ref": "#/components/responses/Problem"}}}},
          "/v1/titles": {"put": {}}})";
  const json document = json::parse(MakeOpenApi({catalog.get()}, info));
  CheckRefs(document, document);
  EXPECT_TRUE(document["paths"]["/ws"].contains("get"));
  EXPECT_TRUE(document["paths"]["/v1/titles"].contains("put"));
  EXPECT_TRUE(document["paths"]["/v1/titles"].contains("get"));
}

TEST(OpenApi, TheSuiteItselfBuildsRoutesAndADocument) {
  google::protobuf::FileDescriptorSet files;
  std::ifstream in("protos/descriptor_set.pb", std::ios::binary);
  ASSERT_TRUE(files.ParseFromIstream(&in));
  const auto catalog = MethodCatalog::Create(files, {"slipstream."});
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const auto routes = (*catalog)->BuildRoutes();
  ASSERT_TRUE(routes.ok()) << routes.status();
  EXPECT_TRUE(routes->Find("POST", "/api/v1/async-tasks/submit/").found());
  EXPECT_TRUE(routes->Find("GET", "/api/v1/async-tasks/user/tasks").found());
  const json document = Document(**catalog);
  CheckRefs(document, document);
  size_t operation_count = 0;
  for (const auto& [path, item] : document["paths"].items()) operation_count += item.size();
  EXPECT_EQ(operation_count, (*catalog)->endpoints().size()) << "each binding is one operation";
}

}  // namespace
}  // namespace slipstream::edge
