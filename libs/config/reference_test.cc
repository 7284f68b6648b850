// Fails when REFERENCE.md no longer says what the proto says.
#include "libs/config/reference.h"

#include <gtest/gtest.h>

#include "libs/config/config_file.h"

namespace slipstream::config {
namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

TEST(Reference, IsUpToDate) {
  const auto set = ReadFile("protos/descriptor_set.pb", kMaxBytes);
  ASSERT_TRUE(set.ok()) << set.status();
  const auto expected = Reference(*set);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const auto actual = ReadFile("libs/config/REFERENCE.md", kMaxBytes);
  ASSERT_TRUE(actual.ok()) << actual.status();
  EXPECT_TRUE(*actual == *expected)
      << "stale: bazel run //libs/config:config_reference > libs/config/REFERENCE.md";
}

TEST(Reference, RefusesWhatIsNoDescriptorSet) {
  EXPECT_FALSE(Reference("\xFF\xFF").ok());
  EXPECT_FALSE(Reference("").ok());  // no comments
}

}  // namespace
}  // namespace slipstream::config
