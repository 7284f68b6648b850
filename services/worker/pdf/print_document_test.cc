#include "services/worker/pdf/print_document.h"

#include <gtest/gtest.h>

namespace slipstream::worker::pdf {
namespace {

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(PrintDocument, TitleComesFromTheArgumentThenTheHeadingThenTheFrontMatter) {
  const std::string markdown =
      "---\ntitle: \"Front \\\"x\\\"\"\nnote: \"N\"\n---\n\n# Heading\n\ntext";
  EXPECT_EQ(FromMarkdown(markdown, {"Given", "", ""})->title, "Given");
  EXPECT_EQ(FromMarkdown(markdown, {})->title, "Heading");
  EXPECT_EQ(FromMarkdown("---\ntitle: \"Front \\\"x\\\"\"\n---\ntext", {})->title, "Front \"x\"");
  EXPECT_EQ(FromMarkdown("text", {})->title, "Document");
}

TEST(PrintDocument, ShowsTheTitleOnceAndTheFrontMatterOnlyAsMetadata) {
  const auto document = FromMarkdown("---\ntitle: T\nnote: \"No <model>\"\n---\n\n# T\n\ntext", {});
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(Count(document->html, "<h1>"), 1u);
  EXPECT_EQ(Count(document->html, "No &lt;model&gt;"), 1u);
  EXPECT_NE(document->html.find("<meta name=\"description\" content=\"No &lt;model&gt;\""),
            std::string::npos);
}

TEST(PrintDocument, ARuleAtTheTopIsNotFrontMatter) {
  EXPECT_NE(FromMarkdown("---\n\ntext", {})->html.find("<hr"), std::string::npos);
}

TEST(PrintDocument, NothingOfTheCallerEndsTheStyleOrTheMarkup) {
  const auto document =
      FromMarkdown("x", {"</title><script>", "id\"; } </style> @import url(http://x/); \\", ""});
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->html.find("<script>"), std::string::npos);
  EXPECT_EQ(document->css.find("@import"), std::string::npos);
  EXPECT_EQ(document->css.find("</style>"), std::string::npos);
}

TEST(PrintDocument, RefusesNothingAndTooMuch) {
  for (const std::string& text :
       {std::string(), std::string(" \n"), std::string(kMaxInputBytes + 1, 'x')}) {
    EXPECT_EQ(FromMarkdown(text, {}).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FromHtml(text, {}).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace slipstream::worker::pdf
