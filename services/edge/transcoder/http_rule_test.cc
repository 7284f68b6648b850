#include "services/edge/transcoder/http_rule.h"

#include <string>

#include "gtest/gtest.h"

namespace slipstream::edge {
namespace {

TEST(PathTemplate, Parses) {
  const auto parsed = ParsePathTemplate("/v1/{name=shelves/*/books/*}/{page.number}:turn");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->segments.size(), 6u);
  EXPECT_EQ(parsed->verb, "turn");
  ASSERT_EQ(parsed->variables.size(), 2u);
  EXPECT_EQ(parsed->variables[0].first, 1u);
  EXPECT_EQ(parsed->variables[0].count, 4u);
  EXPECT_FALSE(parsed->variables[0].single);
  EXPECT_EQ(parsed->variables[1].field_path, "page.number");
  EXPECT_TRUE(parsed->variables[1].single);
  EXPECT_EQ(parsed->OpenApiPath(), "/v1/{name}/{page.number}:turn");
  EXPECT_EQ(ParsePathTemplate("/a/")->OpenApiPath(), "/a");
  EXPECT_EQ(ParsePathTemplate("/")->OpenApiPath(), "/");
  EXPECT_FALSE(ParsePathTemplate("/{x=**}")->variables[0].single);
}

TEST(PathTemplate, Refuses) {
  for (const std::string text :
       {"",          "a",      "/a//b",    "/{",    "/{}",    "/{a",      "/a}",
        "/{a=}",     "/{a=b",  "/{a={b}}", "/{a}b", "/x{a}",  "/{a}{b}",  "/**/a",
        "/{a=**}/b", "/***",   "/a*",      "/a:",   "/:v/",   "/{a}/{a}", "/{1a}",
        "/{a..b}",   "/{a-b}", "/a b",     "/a?b",  "/a:b/c", "/%zz"}) {
    const auto parsed = ParsePathTemplate(text);
    EXPECT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(HttpRule, AdditionalBindingsFollowAndMayNotNest) {
  google::api::HttpRule rule;
  rule.set_post("/a");
  rule.set_body("*");
  rule.add_additional_bindings()->set_get("/b");
  auto* custom = rule.add_additional_bindings()->mutable_custom();
  custom->set_kind("purge");
  custom->set_path("/c");
  const auto bindings = ParseHttpRule(rule);
  ASSERT_TRUE(bindings.ok());
  ASSERT_EQ(bindings->size(), 3u);
  EXPECT_EQ((*bindings)[0].http_method, "POST");
  EXPECT_EQ((*bindings)[0].body, "*");
  EXPECT_EQ((*bindings)[1].http_method, "GET");
  EXPECT_EQ((*bindings)[2].http_method, "PURGE");
  rule.mutable_additional_bindings(0)->add_additional_bindings()->set_get("/d");
  EXPECT_FALSE(ParseHttpRule(rule).ok());
  EXPECT_FALSE(ParseHttpRule(google::api::HttpRule()).ok());
}

}  // namespace
}  // namespace slipstream::edge
