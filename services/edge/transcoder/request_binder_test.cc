#include "services/edge/transcoder/request_binder.h"

#include <map>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/testdata/library_catalog.h"

namespace slipstream::edge {
namespace {

using Headers = std::map<std::string, std::string, std::less<>>;

struct Http {
  std::string method;
  std::string target;  // path?query
  std::string body;
  std::string content_type = "application/json";
  Headers headers;
};

class RequestBinderTest : public testing::Test {
 protected:
  RequestBinderTest() : catalog_(LibraryCatalog()), routes_(*catalog_->BuildRoutes()) {}

  // Routes and binds; the request as JSON, or the status.
  std::string Bind(const Http& http) {
    status_ = absl::OkStatus();
    const size_t question = http.target.find('?');
    const RouteMatch match = routes_.Find(http.method, http.target.substr(0, question));
    if (!match.found()) return "no route";
    const Endpoint& endpoint = catalog_->endpoints()[match.target];
    auto request =
        catalog_->NewMessage(*catalog_->methods()[endpoint.method].descriptor->input_type());
    HttpRequestParts parts;
    parts.path_variables = &match.variables;
    if (question != std::string::npos)
      parts.query = std::string_view(http.target).substr(question + 1);
    parts.content_type = http.content_type;
    parts.body = http.body;
    parts.header = [&](std::string_view name) -> std::optional<std::string_view> {
      const auto found = http.headers.find(name);
      if (found == http.headers.end()) return std::nullopt;
      return found->second;
    };
    status_ = endpoint.binder.Bind(parts, request.get());
    if (!status_.ok()) {
      const auto violations = status::FieldViolations(status_);
      return violations.empty() ? status::Reason(status_)
                                : violations[0].field + ": " + violations[0].message;
    }
    std::string json;
    EXPECT_TRUE(WriteJson(*request, &json).ok());
    return json;
  }

  std::unique_ptr<MethodCatalog> catalog_;
  RouteTable routes_;
  absl::Status status_;
};

TEST_F(RequestBinderTest, BodyAndPath) {
  const std::string wanted =
      R"({"shelf":"s 1","book":{"title":"T","kind":"NOVEL","page_count":"7","extra":{"a":[1,null]},"sequels":[]},)"
      R"("request_id":"","urgent":true})";
  EXPECT_EQ(
      Bind(
          {"POST", "/v1/shelves/s%201/books",
           R"({"book":{"title":"T","kind":"NOVEL","pageCount":7,"extra":{"a":[1,null]}},"urgent":true})"}),
      wanted);
  EXPECT_EQ(
      Bind(
          {"POST", "/v1/shelves/s%201/books/",
           R"({"shelf":"s 1","book":{"title":"T","kind":1,"page_count":"7","extra":{"a":[1,null]}},"urgent":true})"}),
      wanted);
  EXPECT_NE(Bind({"POST", "/v1/shelves/a/books", R"({"shelf":"b"})"}).find("shelf: differs"),
            std::string::npos);
  EXPECT_EQ(Bind({"POST", "/v1/shelves/a/books", " \n"}),
            R"({"shelf":"a","request_id":"","urgent":false})");
  EXPECT_NE(Bind({"POST", "/v1/shelves/a/books", R"({"book":{"titel":"T"}})"}).find("book.titel: "),
            std::string::npos);
  EXPECT_NE(Bind({"POST", "/v1/shelves/a/books?urgent=true", "{}"})
                .find("urgent: is not a query parameter"),
            std::string::npos);
}

TEST_F(RequestBinderTest, BodyOfOneField) {
  EXPECT_EQ(
      Bind({"PUT", "/v1/shelves/a/books/r1?urgent=true", R"({"title":"T"})"}),
      R"({"shelf":"a","book":{"title":"T","kind":"KIND_UNSPECIFIED","page_count":"0","sequels":[]},)"
      R"("request_id":"r1","urgent":true})");
  EXPECT_NE(
      Bind({"PUT", "/v1/shelves/a/books/r1?book.title=x", "{}"}).find("book.title: is not a query"),
      std::string::npos);
  EXPECT_NE(Bind({"PUT", "/v1/shelves/a/books/r1?shelf=x", "{}"}).find("shelf: is not a query"),
            std::string::npos);
  EXPECT_NE(Bind({"PUT", "/v1/shelves/a/books/r1", R"({"nope":1})"}).find("book.nope: "),
            std::string::npos);
}

TEST_F(RequestBinderTest, MediaTypes) {
  for (const char* type :
       {"", "application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"}) {
    EXPECT_NE(
        Bind({"POST", "/v1/shelves/a/books", R"({"urgent":true})", type}).find("\"urgent\":true"),
        std::string::npos)
        << type;
  }
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "application/jsonx"}) {
    EXPECT_EQ(Bind({"POST", "/v1/shelves/a/books", "{}", type}), "UNSUPPORTED_MEDIA_TYPE") << type;
  }
  EXPECT_EQ(Bind({"GET", "/v1/books/1", "{\"a\":1}"}), "UNEXPECTED_BODY");
  EXPECT_NE(Bind({"GET", "/v1/books/1", "{}"}).find("\"book_id\":\"1\""), std::string::npos);
}

TEST_F(RequestBinderTest, PathValuesAreTyped) {
  EXPECT_EQ(Bind({"GET", "/v1/books/9223372036854775807?read_mask=title,pageCount"}),
            R"({"book_id":"9223372036854775807","read_mask":"title,page_count"})");
  EXPECT_EQ(Bind({"GET", "/v1/books/12:watch"}), R"({"book_id":"12"})");
  EXPECT_NE(Bind({"GET", "/v1/books/abc"}).find("book_id: is not a 64-bit integer (in the path)"),
            std::string::npos);
  EXPECT_EQ(Bind({"GET", "/v1/files/a/parts/b/c%2Fd"}), R"({"name":"files/a/parts/b/c%2Fd"})");
}

TEST_F(RequestBinderTest, Query) {
  EXPECT_EQ(
      Bind({"GET",
            "/v1/"
            "books?page_size=5&pageToken=a%26b+c&filter.author=%C3%A9&filter.kinds=NOVEL&filter."
            "kinds=2"
            "&labels=x&labels=&since=2025-01-01T00:00:00Z&max_age=1.5s&newest_first=true&lent="
            "false&&city=B"}),
      R"({"page_size":5,"page_token":"a&b c","filter":{"author":"é","kinds":["NOVEL","ESSAY"]},"labels":["x",""],)"
      R"("since":"2025-01-01T00:00:00Z","max_age":"1.500s","newest_first":true,"lent":false,"tags":{},"city":"B"})");
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"pagesize=1", "pagesize: is not a query parameter of this route; did you mean `page_size`?"},
      {"zzzzzz=1", "zzzzzz: is not a query parameter of this route; known: city, filter.author"},
      {"page_size=x", "page_size: is not an integer"},
      {"page_size=", "page_size: is not an integer"},
      {"page_size", "page_size: is not an integer"},
      {"page_size=1&pageSize=1", "pageSize: is given twice"},
      {"filter=x", "filter: is not a query parameter"},
      {"filter.author.x=1", "filter.author.x: is not a query parameter"},
      {"filter.kinds=POEM", "filter.kinds: is not one of KIND_UNSPECIFIED, NOVEL, ESSAY"},
      {"tags=x", "tags: is not a query parameter"},
      {"newest_first=1", "newest_first: is neither true nor false"},
      {"since=yesterday", "since: is not a time"},
      {"city=a&street=b", "street: excludes `city`"},
      {"page_token=%zz", "page_token: has an invalid percent escape"},
      {"page_token=%FF", "page_token: has an invalid percent escape or is not UTF-8"},
      {"=1", ": is not a query parameter"},
  };
  for (const auto& [query, wanted] : refused) {
    EXPECT_EQ(Bind({"GET", "/v1/books?" + query}).find(wanted), 0u)
        << query << ": " << Bind({"GET", "/v1/books?" + query});
    EXPECT_EQ(status_.code(), absl::StatusCode::kInvalidArgument);
  }
  std::string many;
  for (size_t i = 0; i <= kMaxQueryParameter_count; ++i) many += "labels=a&";
  EXPECT_NE(Bind({"GET", "/v1/books?" + many}).find("more than 256"), std::string::npos);
  EXPECT_NE(Bind({"GET", "/v1/books?page_token=" + std::string(kMaxQuery_bytes, 'a')})
                .find("longer than"),
            std::string::npos);
}

TEST_F(RequestBinderTest, HeadersFillWhatNothingElseSet) {
  const Headers headers = {{"x-request-id", "from-header"}};
  EXPECT_NE(Bind({"POST", "/v1/shelves/a/books", "{}", "", headers})
                .find(R"("request_id":"from-header")"),
            std::string::npos);
  EXPECT_NE(Bind({"POST", "/v1/shelves/a/books", R"({"request_id":"own"})", "", headers})
                .find(R"("request_id":"own")"),
            std::string::npos);
  EXPECT_NE(
      Bind({"PUT", "/v1/shelves/a/books/path", "{}", "", headers}).find(R"("request_id":"path")"),
      std::string::npos);
  EXPECT_NE(Bind({"POST", "/v1/shelves/a/books", "{}", "", {{"x-request-id", "\xFF"}}})
                .find("request_id: is not valid"),
            std::string::npos);
}

TEST_F(RequestBinderTest, RawBodies) {
  EXPECT_EQ(
      Bind({"POST", "/v1/scans?file_name=a.pdf", std::string("\0\xFF", 2), "application/pdf"}),
      R"({"content":{"content_type":"application/pdf","data":"AP8=","extensions":[]},"file_name":"a.pdf"})");
  const RouteMatch match = routes_.Find("POST", "/v1/scans");
  const Endpoint& endpoint = catalog_->endpoints()[match.target];
  EXPECT_TRUE(endpoint.binder.raw_body());
  auto chunk = catalog_->NewMessage(*catalog_->methods()[endpoint.method].descriptor->input_type());
  ASSERT_TRUE(endpoint.binder.BindRawChunk("abc", chunk.get()).ok());
  std::string json;
  ASSERT_TRUE(WriteJson(*chunk, &json).ok());
  EXPECT_EQ(json,
            R"({"content":{"content_type":"","data":"YWJj","extensions":[]},"file_name":""})");
}

TEST_F(RequestBinderTest, BadRulesAreRefusedAtStart) {
  const auto* create = catalog_->Find("slipstream.edge.testdata.LibraryService.CreateBook");
  ASSERT_NE(create, nullptr);
  const auto make = [&](const std::string& path, const std::string& body,
                        const std::string& response_body = "") {
    HttpBinding binding{"POST", *ParsePathTemplate(path), body, response_body};
    return RequestBinder::Create(*create->descriptor, binding).status();
  };
  EXPECT_TRUE(make("/{shelf}", "book").ok());
  EXPECT_TRUE(make("/{book.title}", "").ok());
  for (const absl::Status& bad :
       {make("/{nope}", "*"), make("/{book}", "*"), make("/{book.sequels}", "*"),
        make("/{book.sequels.title}", "*"), make("/", "nope"), make("/", "*", "nope")}) {
    EXPECT_EQ(bad.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(bad.message().find("LibraryService.CreateBook"), absl::string_view::npos) << bad;
  }
}

}  // namespace
}  // namespace slipstream::edge
