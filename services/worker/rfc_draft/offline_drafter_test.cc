#include "services/worker/rfc_draft/offline_drafter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "services/worker/markdown/cmark_document.h"
#include "services/worker/rfc_draft/templates.h"

namespace slipstream::worker::rfc_draft {
namespace {

std::string ReadPrompt(const std::string& name) {
  std::ifstream file("services/worker/testdata/prompts/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Draft MustDraft(const std::string& prompt, const std::string& shape = "standard",
                const std::string& title = "") {
  auto draft = DraftOffline({prompt, title, shape}, nullptr, {});
  EXPECT_TRUE(draft.ok()) << draft.status();
  return draft.ok() ? *std::move(draft) : Draft{};
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The text of the section with this heading.
std::string SectionOf(const std::string& markdown, const std::string& heading) {
  const size_t begin = markdown.find("## " + heading);
  if (begin == std::string::npos) return "";
  return markdown.substr(begin, markdown.find("\n## ", begin + 3) - begin);
}

TEST(OfflineDrafter, SortsAPromptIntoSections) {
  const Draft draft = MustDraft(ReadPrompt("invoice_export.txt"));
  const std::string& md = draft.markdown;
  EXPECT_TRUE(Has(draft.subject, "invoice export")) << draft.subject;
  EXPECT_TRUE(Has(md, "\n# RFC: ")) << md;
  EXPECT_TRUE(Has(md, "## Problem: " + draft.subject)) << md;
  EXPECT_TRUE(Has(SectionOf(md, "Problem"), "fails twice a week"));
  EXPECT_TRUE(
      Has(SectionOf(md, "Requirements"), "| R1 | MUST | The export must finish within 90 min"));
  EXPECT_TRUE(Has(SectionOf(md, "Requirements"), "| MUST NOT | A failed invoice must not stop"));
  EXPECT_TRUE(Has(SectionOf(md, "Proposal"), "one task per invoice"));
  EXPECT_TRUE(Has(SectionOf(md, "Alternatives"), "ten shards"));
  EXPECT_TRUE(Has(SectionOf(md, "Risks"), "overloads the shared database"));
  EXPECT_TRUE(Has(SectionOf(md, "Measures"), "p95 of the run time"));
  EXPECT_TRUE(Has(SectionOf(md, "Figures"), "| 90 | minutes |"));
  EXPECT_TRUE(Has(SectionOf(md, "Material"), "\"task_type\": \"export_invoice\""));
  EXPECT_TRUE(Has(SectionOf(md, "Open questions"), "SFTP credentials"));
  EXPECT_TRUE(Has(md, "`export_audit`"));
}

TEST(OfflineDrafter, SaysAtTheTopAndInTheMetadataThatNoModelWasUsed) {
  const std::string md = MustDraft("Cache the search results.").markdown;
  const std::string label(kOfflineLabel);
  EXPECT_LT(md.find("note: \"" + label), md.find("\n---\n\n"));
  EXPECT_LT(md.find("> **" + label), md.find("## "));
}

TEST(OfflineDrafter, AsksForWhatThePromptLeavesOut) {
  const Draft draft = MustDraft("The invoice export fails twice a week.");
  EXPECT_TRUE(Has(SectionOf(draft.markdown, "Open questions"), "The prompt does not say"));
  EXPECT_TRUE(Has(SectionOf(draft.markdown, "Risks"), "Open: the prompt does not say"));
  EXPECT_FALSE(Has(SectionOf(draft.markdown, "Problem"), "Open:"));
  EXPECT_TRUE(
      Has(MustDraft("The export must be fast.").markdown, "R1 says \"fast\" without a figure"));
}

TEST(OfflineDrafter, IsDeterministicAndFollowsEveryWord) {
  const std::string prompt = ReadPrompt("session_tokens.txt");
  for (std::string_view shape : TemplateNames()) {
    const std::string first = MustDraft(prompt, std::string(shape)).markdown;
    EXPECT_EQ(first, MustDraft(prompt, std::string(shape)).markdown);
    EXPECT_NE(first, MustDraft(ReadPrompt("invoice_export.txt"), std::string(shape)).markdown);
    // Each word of the prompt in turn is changed; the body, not only the digest, must differ.
    const auto body = [](const std::string& md) { return md.substr(md.find("\n---\n\n")); };
    std::istringstream words(prompt);
    size_t at = 0;
    int checked = 0;
    for (std::string word; words >> word;) {
      at = prompt.find(word, at);
      const bool telling =
          word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
      if (telling && ++checked % 7 == 0) {
        std::string changed = prompt;
        changed.replace(at, word.size(), "zebra");
        EXPECT_NE(body(first), body(MustDraft(changed, std::string(shape)).markdown)) << word;
      }
      at += word.size();
    }
    EXPECT_GT(checked, 100);
  }
}

TEST(OfflineDrafter, LosesNoSentence) {
  const std::string md = MustDraft(ReadPrompt("session_tokens.txt"), "decision").markdown;
  for (const char* part : {"14 accounts were abused", "type a password more often",
                           "signed with EdDSA", "about 40 bytes each", "22,000 requests/s",
                           "it does not help with theft", "new keys are not seen", "watch app"}) {
    EXPECT_TRUE(Has(md, part)) << part;
  }
}

TEST(OfflineDrafter, TitleWinsAndIsNotDoubled) {
  EXPECT_EQ(MustDraft("We lose events.", "standard", "Event bus").title, "RFC: Event bus");
  EXPECT_EQ(MustDraft("We lose events.", "standard", "RFC: Event bus").title, "RFC: Event bus");
  EXPECT_EQ(MustDraft("We lose events.", "decision", "Event bus").subject, "Event bus");
}

TEST(OfflineDrafter, CopesWithShortAndForeignPrompts) {
  EXPECT_EQ(MustDraft("Kubernetes").title, "RFC: Kubernetes");
  EXPECT_EQ(MustDraft("the").title, "RFC: The");
  EXPECT_TRUE(Has(MustDraft("???").markdown, "???"));
  EXPECT_TRUE(Has(MustDraft("🚀").title, "🚀"));
  EXPECT_TRUE(Has(MustDraft("```\nint main() {}\n```").markdown, "int main() {}"));
  const Draft german = MustDraft("Der Rechnungsexport dauert 4 Stunden. Größere Läufe brechen ab.");
  EXPECT_TRUE(Has(german.markdown, "Größere Läufe brechen ab.")) << german.markdown;
  const Draft japanese = MustDraft("請求書のエクスポートが遅い。毎晩4時間かかる。");
  EXPECT_TRUE(Has(japanese.title, "請求書のエクスポートが遅い")) << japanese.title;
  EXPECT_TRUE(Has(MustDraft("سجلات الفواتير بطيئة جدا.").markdown, "الفواتير"));
}

TEST(OfflineDrafter, MarkdownAndHtmlOfThePromptAreInert) {
  const std::string evil =
      "<script>alert(1)</script> and <img src=x onerror=alert(1)> must | break.\n\n"
      "<iframe src=\"file:///etc/passwd\"></iframe>\n\n"
      "A [link](javascript:alert(1)) should \\`not\\` be *live*.\n\n"
      "```\n</code><script>x</script>\n````\n~~~\n\n---\nnote: forged\n---\n# Forged heading "
      "<b>\n\n"
      "1. &lt;script&gt; `<i>`| x\n\n| a |\n|---|\n| <u> |\n";
  for (std::string_view shape : TemplateNames()) {
    const Draft draft = MustDraft(evil, std::string(shape), "<h1>\"T\"\n---\nx: y");
    const std::string body = draft.markdown.substr(draft.markdown.find("\n---\n\n") + 6);
    auto document = CmarkDocument::Parse(body, CmarkDocument::Tables::kOn);
    ASSERT_TRUE(document.ok());
    const std::string html = document->ToHtml();
    for (const char* tag :
         {"<script", "<img", "<iframe", "<b>", "<u>", "<a ", "<i>", "javascript:alert(1)\""}) {
      EXPECT_FALSE(Has(html, tag)) << tag << "\n" << html;
    }
    // Nothing of the prompt becomes a heading of the draft.
    EXPECT_FALSE(Has(html, "Forged heading</h1>")) << html;
    const std::string front = draft.markdown.substr(0, draft.markdown.find("\n---\n\n"));
    EXPECT_TRUE(Has(front, "note: \"Offline outline"));
    EXPECT_FALSE(Has(front, "forged"));
    EXPECT_FALSE(Has(front, "\nx: y"));
  }
}

TEST(OfflineDrafter, RefusesWhatItCannotDraft) {
  const auto code = [](const DraftRequest& request) {
    return DraftOffline(request, nullptr, {}).status().code();
  };
  EXPECT_EQ(code({"", "", "standard"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({" \n\t ", "", "standard"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"x", "", "fancy"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({std::string(kMaxPromptBytes + 1, 'x'), "", "standard"}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"x", std::string(kMaxTitleBytes + 1, 'x'), "standard"}),
            absl::StatusCode::kInvalidArgument);
}

TEST(OfflineDrafter, ReportsProgressAndStopsWhenCancelled) {
  std::vector<int> percents;
  std::stop_source source;
  const auto draft = DraftOffline(
      {ReadPrompt("invoice_export.txt"), "", "standard"},
      [&](int percent, std::string_view) { percents.push_back(percent); }, source.get_token());
  ASSERT_TRUE(draft.ok());
  EXPECT_GT(percents.size(), 8u);
  EXPECT_TRUE(std::is_sorted(percents.begin(), percents.end()));
  EXPECT_EQ(percents.back(), 100);

  std::stop_source stopped;
  const auto cancelled = DraftOffline(
      {ReadPrompt("invoice_export.txt"), "", "standard"},
      [&](int percent, std::string_view) {
        if (percent >= 45) stopped.request_stop();
      },
      stopped.get_token());
  EXPECT_EQ(cancelled.status().code(), absl::StatusCode::kCancelled);
}

// Bytes that tend to break parsers, at the largest size: never more than seconds, never a crash.
TEST(OfflineDrafter, LargestAndRandomPromptsAreBounded) {
  std::vector<std::string> prompts = {std::string(kMaxPromptBytes, 'a')};
  for (const char* unit : {"word ", "[", "> ", "- ", "*a ", "must 5 ms. ", "`a", "A? ", "| x ",
                           "日本", "1. x\n", "# h\n", "<b>", "![a](b)", "\xff"}) {
    std::string text;
    while (text.size() + 10 < kMaxPromptBytes) text += unit;
    prompts.push_back(text);
  }
  std::mt19937 random(20240607);  // fixed: a failure can be repeated
  for (int i = 0; i < 200; ++i) {
    std::string text;
    for (int n = 0; n < 400; ++n) {
      static constexpr std::string_view kAlphabet =
          "ab *_`#<>&[]()!|~-+.\n\n1\"\\:\xEE\x80\xC3\xA9";
      text += kAlphabet[random() % kAlphabet.size()];
    }
    prompts.push_back("x" + text);
  }
  for (const std::string& prompt : prompts) {
    const auto start = std::chrono::steady_clock::now();
    const Draft draft = MustDraft(prompt, "technical");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5))
        << prompt.substr(0, 20);
    EXPECT_LT(draft.markdown.size(), 8 * kMaxPromptBytes);
    const std::string body = draft.markdown.substr(draft.markdown.find("\n---\n\n") + 6);
    auto document = CmarkDocument::Parse(body, CmarkDocument::Tables::kOn);
    ASSERT_TRUE(document.ok());
    EXPECT_FALSE(Has(document->ToHtml(), "<img")) << prompt;
  }
}

}  // namespace
}  // namespace slipstream::worker::rfc_draft
