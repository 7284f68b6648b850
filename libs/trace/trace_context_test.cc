#include "libs/trace/trace_context.h"

#include <gtest/gtest.h>

namespace slipstream::trace {
namespace {

// The examples of the specification, section 3.2.4.
constexpr char kSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr char kNotSampled[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

TEST(ParseTraceparentTest, ReadsTheExamplesOfTheSpecification) {
  const auto context = ParseTraceparent(kSampled);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context->span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context->sampled);
  EXPECT_FALSE(ParseTraceparent(kNotSampled)->sampled);
}

TEST(ParseTraceparentTest, ReadsOnlyTheSampledBitOfTheFlags) {
  std::string header = kSampled;
  header.replace(53, 2, "fe");
  EXPECT_FALSE(ParseTraceparent(header)->sampled);
  header.replace(53, 2, "ff");
  EXPECT_TRUE(ParseTraceparent(header)->sampled);
}

TEST(ParseTraceparentTest, ReadsHigherVersionsByTheirSharedPart) {
  const std::string rest = std::string(kSampled).substr(2);
  EXPECT_TRUE(ParseTraceparent("01" + rest).has_value());
  EXPECT_TRUE(ParseTraceparent("cc" + rest + "-what-the-future-will-be-like").has_value());
  EXPECT_TRUE(ParseTraceparent("cc" + rest + "-").has_value());
  EXPECT_FALSE(ParseTraceparent("cc" + rest + ".what").has_value());
  EXPECT_FALSE(ParseTraceparent("ff" + rest).has_value());
}

TEST(ParseTraceparentTest, RefusesWhatIsNotExactlyAsSpecified) {
  const std::string good = kSampled;
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_FALSE(ParseTraceparent(good.substr(0, length)).has_value()) << length;
  }
  // Every place refuses what it may not hold; upper case counts as that.
  for (size_t at = 0; at < good.size(); ++at) {
    for (char wrong : {'G', 'A', ' ', '_', '\0', '\xff'}) {
      std::string header = good;
      header[at] = wrong;
      EXPECT_FALSE(ParseTraceparent(header).has_value()) << header;
    }
  }
  const std::string zero_trace = "00-" + std::string(32, '0') + "-00f067aa0ba902b7-01";
  const std::string zero_span =
      "00-4bf92f3577b34da6a3ce929d0e0e4736-" + std::string(16, '0') + "-01";
  for (const std::string& header : {good + "-", good + "-01", good + "0", good + " ", " " + good,
                                    zero_trace, zero_span, good + "," + good}) {
    EXPECT_FALSE(ParseTraceparent(header).has_value()) << header;
  }
}

TEST(FormatTraceparentTest, IsTheInverseOfParsing) {
  EXPECT_EQ(FormatTraceparent(*ParseTraceparent(kSampled)), kSampled);
  EXPECT_EQ(FormatTraceparent(*ParseTraceparent(kNotSampled)), kNotSampled);
  std::string later = kSampled;
  later.replace(0, 2, "cc");
  later.replace(53, 2, "ff");
  EXPECT_EQ(FormatTraceparent(*ParseTraceparent(later)), kSampled);
}

TEST(BoundedTracestateTest, PassesOpaqueTextUpToItsBound) {
  EXPECT_EQ(BoundedTracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  EXPECT_EQ(BoundedTracestate(std::string(512, 'x')), std::string(512, 'x'));
  EXPECT_EQ(BoundedTracestate(std::string(513, 'x')), "");
}

TEST(BoundedTracestateTest, DropsWhatCouldForgeAHeader) {
  EXPECT_EQ(BoundedTracestate("a=1\r\nauthorization: x"), "");
  EXPECT_EQ(BoundedTracestate("a=\xc3\xa9"), "");
  EXPECT_EQ(BoundedTracestate(std::string_view("a=\0", 3)), "");
}

TEST(NewRootTest, IsValidAndNew) {
  random::SeededRandom random(1);
  const TraceContext one = NewRoot(random, true), two = NewRoot(random, false);
  EXPECT_EQ(ParseTraceparent(FormatTraceparent(one)), one);
  EXPECT_EQ(ParseTraceparent(FormatTraceparent(two)), two);
  EXPECT_TRUE(one.sampled);
  EXPECT_NE(one.trace_id, two.trace_id);
  EXPECT_NE(one.span_id, two.span_id);
}

TEST(NewRootTest, NeverMakesAnIdOfZeros) {
  class ZerosFirst final : public random::Random {
   public:
    uint64_t Next64() override { return (calls_++ % 3) == 2 ? 7 : 0; }

   private:
    int calls_ = 0;
  } random;
  EXPECT_TRUE(ParseTraceparent(FormatTraceparent(NewRoot(random, true))).has_value());
}

TEST(NewChildTest, KeepsTheTraceAndChangesTheSpan) {
  random::SeededRandom random(1);
  TraceContext parent = *ParseTraceparent(kSampled);
  parent.tracestate = "a=1";
  const TraceContext child = NewChild(parent, random);
  EXPECT_EQ(child.trace_id, parent.trace_id);
  EXPECT_EQ(child.sampled, parent.sampled);
  EXPECT_EQ(child.tracestate, "a=1");
  EXPECT_NE(child.span_id, parent.span_id);
  EXPECT_EQ(child.span_id.size(), 16u);
}

TEST(ContinueOrStartTest, ContinuesAValidTrace) {
  random::SeededRandom random(1);
  const TraceContext context = ContinueOrStart(kSampled, "a=1", random, false);
  EXPECT_EQ(context.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_NE(context.span_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context.sampled);
  EXPECT_EQ(context.tracestate, "a=1");
  EXPECT_FALSE(ContinueOrStart(kNotSampled, "", random, true).sampled);
}

TEST(ContinueOrStartTest, StartsAnewWithoutOneAndDropsTheState) {
  random::SeededRandom random(1);
  for (const char* header : {"", "garbage"}) {
    const TraceContext context = ContinueOrStart(header, "a=1", random, true);
    EXPECT_TRUE(ParseTraceparent(FormatTraceparent(context)).has_value());
    EXPECT_TRUE(context.sampled);
    EXPECT_EQ(context.tracestate, "");
  }
}

}  // namespace
}  // namespace slipstream::trace
