#include "services/worker/markdown/cmark_document.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace slipstream::worker {
namespace {

std::string Html(std::string_view markdown) {
  auto document = CmarkDocument::Parse(markdown, CmarkDocument::Tables::kOn);
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? document->ToHtml() : "";
}

TEST(CmarkDocument, RendersTablesCodeAndTaskLists) {
  const std::string html =
      Html("| a | b |\n|---|---|\n| 1 | 2 |\n\n```go\nx < y\n```\n\n- [x] done\n");
  EXPECT_NE(html.find("<table>"), std::string::npos) << html;
  EXPECT_NE(html.find("<code class=\"language-go\">x &lt; y"), std::string::npos) << html;
  EXPECT_NE(html.find("checkbox"), std::string::npos) << html;
}

TEST(CmarkDocument, RawHtmlIsShownAndNeverLive) {
  const std::string html = Html(
      "Hi <b onclick=x>you</b> <img src=file:///etc/passwd>\n\n<script>\nalert(1)\n</script>\n\n"
      "<!-- secret -->\n\n[x](javascript:alert(1)) ![i](file:///etc/passwd)");
  EXPECT_EQ(html.find("<script"), std::string::npos) << html;
  EXPECT_EQ(html.find("<b "), std::string::npos) << html;
  EXPECT_EQ(html.find("<img src=file"), std::string::npos) << html;
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos) << html;
  EXPECT_EQ(html.find("secret"), std::string::npos) << html;
  EXPECT_EQ(html.find("javascript:"), std::string::npos) << html;
}

TEST(CmarkDocument, TakesTheLeadingTitleOnce) {
  auto document = CmarkDocument::Parse("# The *big* `x`\n\ntext\n", CmarkDocument::Tables::kOn);
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->TakeLeadingTitle(), "The big x");
  EXPECT_EQ(document->TakeLeadingTitle(), "");
  EXPECT_EQ(document->ToHtml(), "<p>text</p>\n");
}

TEST(CmarkDocument, RefusesMoreThanItsBound) {
  EXPECT_EQ(
      CmarkDocument::Parse(std::string(kMaxMarkdownBytes + 1, 'a'), CmarkDocument::Tables::kOn)
          .status()
          .code(),
      absl::StatusCode::kInvalidArgument);
}

// Without the bound on cells each of these takes from seven seconds to minutes, or gigabytes.
TEST(CmarkDocument, TableBombsStayCheap) {
  std::string wide = "|x|\n|-|\n" + std::string(900'000, '|');
  std::string filled = std::string(900, '|') + "\n";
  for (int i = 0; i < 900; ++i) filled += "|-";
  filled += "|\n";
  for (int i = 0; i < 200'000; ++i) filled += "||\n";
  for (const std::string& bomb : {wide, filled}) {
    const auto start = std::chrono::steady_clock::now();
    const std::string html = Html(bomb);
    EXPECT_LT(html.size(), 16u << 20);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  }
}

}  // namespace
}  // namespace slipstream::worker
