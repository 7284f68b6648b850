#include "services/task_queue/task_type_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/status/status.h"

namespace slipstream::task_queue {
namespace {

using testing::HasSubstr;

v1::TaskType Type(const std::string& name, const std::string& alias = "") {
  v1::TaskType type;
  type.set_name(name);
  if (!alias.empty()) type.add_aliases(alias);
  return type;
}

TEST(TaskTypeRegistry, FindsByNameAndAlias) {
  TaskTypeRegistry registry;
  ASSERT_TRUE(registry.Announce({Type("generate_pdf", "generate_pdf_async")}).ok());
  EXPECT_EQ((*registry.Find("generate_pdf"))->type.name(), "generate_pdf");
  EXPECT_EQ((*registry.Find("generate_pdf_async"))->type.name(), "generate_pdf");
}

TEST(TaskTypeRegistry, AnUnknownTypeIsRefusedWithTheKnownOnes) {
  TaskTypeRegistry registry;
  EXPECT_TRUE(absl::IsUnavailable(registry.Find("x").status()));
  ASSERT_TRUE(registry.Announce({Type("b"), Type("a")}).ok());
  const absl::Status refused = registry.Find("x").status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_EQ(status::Reason(refused), kUnknownTaskType);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("known are: a, b"));
}

TEST(TaskTypeRegistry, RefusesWhatIsNotAType) {
  TaskTypeRegistry registry;
  EXPECT_FALSE(registry.Announce({Type("Not A Name")}).ok());
  EXPECT_FALSE(registry.Announce({Type("")}).ok());
  EXPECT_FALSE(registry.Announce({Type("a"), Type("b", "a")}).ok()) << "alias of another's name";
  EXPECT_FALSE(registry.Announce({Type("a", "x"), Type("b", "x")}).ok()) << "alias twice";
  v1::TaskType bad_example = Type("c");
  (*bad_example.mutable_args_schema()->mutable_fields())["additionalProperties"].set_bool_value(
      false);
  (*bad_example.mutable_example_args()->mutable_fields())["y"].set_bool_value(true);
  EXPECT_FALSE(registry.Announce({bad_example}).ok());
  EXPECT_TRUE(registry.All().empty()) << "all or none";
}

TEST(TaskTypeRegistry, TheLastAnnouncementHolds) {
  TaskTypeRegistry registry;
  ASSERT_TRUE(registry.Announce({Type("a", "old")}).ok());
  ASSERT_TRUE(registry.Announce({Type("a", "new")}).ok());
  EXPECT_FALSE(registry.Find("old").ok());
  EXPECT_TRUE(registry.Find("new").ok());
}

}  // namespace
}  // namespace slipstream::task_queue
