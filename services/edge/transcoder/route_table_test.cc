#include "services/edge/transcoder/route_table.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::edge {
namespace {

using Outcome = RouteMatch::Outcome;

RouteSpec Spec(const std::string& method, const std::string& path, size_t target) {
  auto parsed = ParsePathTemplate(path);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return {method, *parsed, method + " " + path, target};
}

RouteTable Table() {
  auto table = RouteTable::Build({
      Spec("GET", "/tasks/{id}", 1),
      Spec("DELETE", "/tasks/{id}/", 2),
      Spec("GET", "/tasks/stats", 3),
      Spec("POST", "/tasks/purge", 4),
      Spec("POST", "/tasks/{id}:cancel", 5),
      Spec("GET", "/tasks/{id}/parts/{part.number}", 6),
      Spec("GET", "/{name=files/*/parts/**}", 7),
      Spec("GET", "/", 8),
      Spec("GET", "/static/**", 9),
      Spec("GET", "/static/help", 10),
      Spec("GET", "/{tenant}/stats", 11),
      Spec("GET", "/{name=shelves/*/books/*}/pages", 12),
      Spec("HEAD", "/tasks/stats", 13),
  });
  EXPECT_TRUE(table.ok()) << table.status();
  return *std::move(table);
}

struct Case {
  std::string method, path;
  size_t target;
  std::vector<std::pair<std::string, std::string>> variables;
};

TEST(RouteTable, Finds) {
  const RouteTable table = Table();
  const std::vector<Case> cases = {
      {"GET", "/tasks/abc", 1, {{"id", "abc"}}},
      {"GET", "/tasks/abc/", 1, {{"id", "abc"}}},
      {"DELETE", "/tasks/abc", 2, {{"id", "abc"}}},
      {"GET", "/tasks/stats", 3, {}},
      {"GET", "/tasks/stats/", 3, {}},
      {"GET", "/tasks/%73tats", 3, {}},
      {"POST", "/tasks/purge", 4, {}},
      {"GET", "/tasks/purge", 1, {{"id", "purge"}}},
      {"POST", "/tasks/a:cancel", 5, {{"id", "a"}}},
      {"POST", "/tasks/a:b:cancel", 5, {{"id", "a:b"}}},
      {"GET", "/tasks/a:cancel", 1, {{"id", "a:cancel"}}},
      {"GET", "/tasks/a:other", 1, {{"id", "a:other"}}},
      {"GET", "/tasks/a%2Fb", 1, {{"id", "a/b"}}},
      {"GET", "/tasks/a+b%20c", 1, {{"id", "a+b c"}}},
      {"GET", "/tasks/%C3%A9", 1, {{"id", "é"}}},
      {"GET", "/tasks/a/parts/3", 6, {{"id", "a"}, {"part.number", "3"}}},
      {"GET", "/files/x/parts/a/b%2Fc%20d", 7, {{"name", "files/x/parts/a/b%2Fc d"}}},
      {"GET", "/files/x/parts", 7, {{"name", "files/x/parts"}}},
      {"GET", "/", 8, {}},
      {"GET", "/static", 9, {}},
      {"GET", "/static/a/b/c", 9, {}},
      {"GET", "/static/help", 10, {}},
      {"GET", "/static/help/more", 9, {}},
      {"GET", "/acme/stats", 11, {{"tenant", "acme"}}},
      {"GET", "/shelves/1/books/2/pages", 12, {{"name", "shelves/1/books/2"}}},
      {"HEAD", "/tasks/stats", 13, {}},
      {"HEAD", "/tasks/x", 1, {{"id", "x"}}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.method + " " + one.path);
    const RouteMatch match = table.Find(one.method, one.path);
    ASSERT_TRUE(match.found());
    EXPECT_EQ(match.target, one.target);
    EXPECT_EQ(match.head_of_get, one.method == "HEAD" && one.target == 1);
    ASSERT_EQ(match.variables.size(), one.variables.size());
    for (size_t i = 0; i < one.variables.size(); ++i) {
      EXPECT_EQ(match.variables[i].field_path, one.variables[i].first);
      EXPECT_EQ(match.variables[i].value, one.variables[i].second);
    }
  }
}

TEST(RouteTable, TellsNotFoundFromNotAllowed) {
  const RouteTable table = Table();
  for (const char* path : {"/nope", "/tasks", "/tasks//", "//", "//tasks/a", "/tasks/a//",
                           "/tasks/a/parts", "/files/x", "/Tasks/a/parts/1"}) {
    EXPECT_EQ(table.Find("GET", path).outcome, Outcome::kNotFound) << path;
  }
  EXPECT_EQ(table.Find("PUT", "/tasks/abc").outcome, Outcome::kMethodNotAllowed);
  EXPECT_EQ(table.Find("PUT", "/tasks/abc").allow, "DELETE, GET, HEAD");
  EXPECT_EQ(table.Find("PUT", "/tasks/a:cancel").allow, "DELETE, GET, HEAD, POST");
  EXPECT_EQ(table.Find("OPTIONS", "/tasks/purge").allow, "DELETE, GET, HEAD, POST");
  EXPECT_EQ(table.Find("get", "/tasks/abc").outcome, Outcome::kMethodNotAllowed);
}

TEST(RouteTable, RefusesBadPaths) {
  const RouteTable table = Table();
  for (const std::string path :
       {"/tasks/%", "/tasks/%2", "/tasks/%zz", "/tasks/%FF", "/tasks/%00", "/tasks/%C0%AF",
        "/static/../x", "/static/%2e%2E/x", "/tasks/.", "", "tasks", "*"}) {
    const RouteMatch match = table.Find("GET", path);
    EXPECT_EQ(match.outcome, Outcome::kBadPath) << path;
    EXPECT_FALSE(match.error.empty());
  }
  EXPECT_EQ(table.Find("GET", "/" + std::string(kMaxPath_bytes, 'a')).outcome, Outcome::kBadPath);
  std::string many;
  for (size_t i = 0; i < kMaxPathSegment_count; ++i) many += "/a";
  EXPECT_EQ(table.Find("GET", many).outcome, Outcome::kNotFound);
  EXPECT_EQ(table.Find("GET", many + "/a").outcome, Outcome::kBadPath);
}

TEST(RouteTable, ConflictsNameBothSides) {
  for (const auto& [a, b] : std::vector<std::pair<std::string, std::string>>{{"/a/{x}", "/a/{y}"},
                                                                             {"/a/{x}", "/a/*/"},
                                                                             {"/a/{x=**}", "/a/**"},
                                                                             {"/{n=a/*}", "/a/{x}"},
                                                                             {"/a:v", "/a:v"}}) {
    const auto table = RouteTable::Build({Spec("GET", a, 1), Spec("GET", b, 2)});
    ASSERT_EQ(table.status().code(), absl::StatusCode::kAlreadyExists) << a << " " << b;
    EXPECT_NE(table.status().message().find("GET " + a), absl::string_view::npos);
    EXPECT_NE(table.status().message().find("GET " + b), absl::string_view::npos);
  }
  EXPECT_TRUE(
      RouteTable::Build({Spec("GET", "/a/{x}", 1), Spec("PUT", "/a/{x}", 2), Spec("GET", "/a/b", 3),
                         Spec("GET", "/{y}/b", 4), Spec("GET", "/a/{x}:v", 5)})
          .ok());
}

}  // namespace
}  // namespace slipstream::edge
