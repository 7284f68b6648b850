// The parts that the offline drafter is made of: words, sentences, figures, roles, escaping.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "services/worker/rfc_draft/figures.h"
#include "services/worker/rfc_draft/markdown_text.h"
#include "services/worker/rfc_draft/prompt.h"
#include "services/worker/rfc_draft/roles.h"
#include "services/worker/rfc_draft/templates.h"
#include "services/worker/rfc_draft/word_lists.h"
#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

TEST(WordLists, AreSortedSoThatTheyCanBeSearched) {
  EXPECT_TRUE(std::is_sorted(std::begin(kStopWords), std::end(kStopWords)));
  EXPECT_TRUE(std::is_sorted(std::begin(kVerbs), std::end(kVerbs)));
  EXPECT_TRUE(std::is_sorted(std::begin(kGlueWords), std::end(kGlueWords)));
}

TEST(Words, FoldsScriptsAndFindsInflectedVerbs) {
  EXPECT_EQ(Fold("ÜBER Größe ΣΧΕΔΙΟ ПЛАН Ёлка"), "über größe σχεδιο план ёлка");
  EXPECT_TRUE(SaysLittle("running"));
  EXPECT_TRUE(SaysLittle("stopped"));
  EXPECT_TRUE(SaysLittle("quickly"));
  EXPECT_TRUE(SaysLittle("12"));
  EXPECT_FALSE(SaysLittle("invoice"));
  EXPECT_FALSE(SaysLittle("queue"));
}

TEST(Words, KeepsJoinedWordsAndMarksBreaks) {
  const auto words = SplitWords("well-known task_queue.v1, and O'Neil");
  ASSERT_EQ(words.size(), 4u);
  EXPECT_EQ(words[1].text, "task_queue.v1");
  EXPECT_TRUE(words[2].after_break);
  EXPECT_FALSE(words[1].after_break);
}

TEST(Words, CleansWhatCouldDeceiveAReader) {
  EXPECT_EQ(CleanText("a\r\nb\x01\xE2\x80\xAE"
                      "c\xEE\x80\x80"),
            "a\nbc");
  EXPECT_EQ(CleanText("\xff\xc3"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(CleanText("\xED\xA0\x80").find('\xED'), std::string::npos);  // a lone surrogate
}

TEST(Sentences, EndWhereAReaderEndsThem) {
  const auto sentences = SplitSentences(
      "It takes approx. 4.5 hours, e.g. on Mondays. Why? \"Because.\" See v1.2 of it! "
      "終わり。次の文。");
  ASSERT_EQ(sentences.size(), 6u) << testing::PrintToString(sentences);
  EXPECT_EQ(sentences[0], "It takes approx. 4.5 hours, e.g. on Mondays.");
  EXPECT_EQ(sentences[4], "終わり。");
}

TEST(Sentences, AreBoundedWithoutCuttingCharacters) {
  for (const std::string& piece : SplitSentences([] {
         std::string text;
         for (int i = 0; i < 3000; ++i) text += "ж";
         return text;
       }())) {
    EXPECT_LE(piece.size(), kMaxSentenceBytes);
    EXPECT_EQ(CleanText(piece), piece);
  }
}

std::string Shown(std::string_view sentence) {
  std::string out;
  for (const Figure& figure : FindFigures(sentence)) out += figure.value + "|" + figure.unit + ";";
  return out;
}

TEST(Figures, AreReadWithTheirUnits) {
  EXPECT_EQ(Shown("It takes 4 hours and 1,200 requests per second at 99.9 %."),
            "4|hours;1,200|requests per second;99.9|%;");
  EXPECT_EQ(Shown("Costs €30k or $5 million, 200ms at 06:00 UTC, 310 GB."),
            "30k|EUR;5 million|USD;200|ms;06:00|UTC;310|GB;");
  EXPECT_EQ(Shown("Step 2 comes on the 3rd. Version 4.1."), "");
  EXPECT_EQ(Shown("40 background workers each"), "40|background workers;");
}

TEST(Roles, FollowCuesAndHeadings) {
  EXPECT_EQ(RoleOf("The export fails twice a week.", ""), Role::kProblem);
  EXPECT_EQ(RoleOf("We want to sign phones out.", ""), Role::kGoal);
  EXPECT_EQ(RoleOf("Tokens must expire.", ""), Role::kRequirement);
  EXPECT_EQ(RoleOf("A risk is the clock.", ""), Role::kRisk);
  EXPECT_EQ(RoleOf("Who owns it?", ""), Role::kQuestion);
  EXPECT_EQ(RoleOf("Who owns it？", ""), Role::kQuestion);
  EXPECT_EQ(RoleOf("The sky is blue.", "Risks"), Role::kRisk);
  EXPECT_EQ(RoleOf("The sky is blue.", ""), Role::kContext);
}

TEST(Roles, ReadRequirementLevels) {
  EXPECT_EQ(RequirementLevel("It must not stop."), "MUST NOT");
  EXPECT_EQ(RequirementLevel("It should stop."), "SHOULD");
  EXPECT_EQ(RequirementLevel("It has to stop."), "MUST");
  EXPECT_EQ(RequirementLevel("Mustard."), "");
  EXPECT_EQ(VagueWord("It must be fast."), "fast");
  EXPECT_EQ(VagueWord("It must be fast: 5 ms."), "");
}

TEST(Templates, HaveAPlaceForEverySentence) {
  ASSERT_EQ(TemplateNames().size(), 3u);
  for (std::string_view name : TemplateNames()) {
    uint32_t roles = 0;
    for (const Section& section : FindTemplate(name)->sections) {
      EXPECT_EQ(roles & section.roles, 0u) << name << ": two sections for one role";
      roles |= section.roles;
    }
    EXPECT_EQ(roles, (1u << kRoleCount) - 1) << name;
  }
}

TEST(MarkdownText, MakesMarkupInert) {
  EXPECT_EQ(EscapeInline("<b>&amp; *x* [a](b) | ~y~"),
            "&lt;b&gt;&amp;amp; \\*x\\* \\[a\\](b) \\| \\~y\\~");
  EXPECT_EQ(EscapeInline("# no heading"), "\\# no heading");
  EXPECT_EQ(EscapeInline("12. no list"), "12\\. no list");
  EXPECT_EQ(EscapeInline("1.2 million"), "1.2 million");
  EXPECT_EQ(EscapeInline("a_b _c_"), "a_b \\_c\\_");
  const std::string code = std::string(kCodeOpen) + "a`b" + std::string(kCodeClose);
  EXPECT_EQ(EscapeInline("see " + code), "see ``a`b``");
  EXPECT_EQ(FencedBlock("go", "```\nx\n```"), "````go\n```\nx\n```\n````\n");
}

}  // namespace
}  // namespace slipstream::worker::rfc_draft
