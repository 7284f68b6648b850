#include "libs/auth/permissions.h"

#include <gtest/gtest.h>

#include "libs/auth/reasons.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

Principal With(std::vector<std::string> roles) {
  Principal principal;
  principal.user = "alice";
  principal.roles = std::move(roles);
  return principal;
}

TEST(PermissionsTest, TheShippedRoles) {
  const auto map = PermissionMap::Create();
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_TRUE(map->Allows(With({"user"}), "tasks.submit"));
  EXPECT_TRUE(map->Allows(With({"tenant_admin"}), "webhook.write"));
  EXPECT_FALSE(map->Allows(With({"user"}), "tasks.work"));
  EXPECT_FALSE(map->Allows(With({"user"}), "tasks.admin"));
  EXPECT_FALSE(map->Allows(With({"user", "tenant_admin"}), "auth.act_as"));
  EXPECT_TRUE(map->Allows(With({"service"}), "tasks.work"));
  EXPECT_TRUE(map->Allows(With({"service"}), "auth.act_as"));
  EXPECT_FALSE(map->Allows(With({"service"}), "tasks.admin"));
  EXPECT_TRUE(map->Allows(With({"admin"}), "whatever.may_come"));
  EXPECT_TRUE(map->Allows(With({"nobody", "admin"}), "tasks.admin"));
}

TEST(PermissionsTest, RolesWithNamesExactlyThoseThatAreAllowed) {
  const auto map =
      PermissionMap::Create({{"admin", {"*"}}, {"ops", {"tasks.*"}}, {"user", {"tasks.read"}}});
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->RolesWith("tasks.read"), (std::vector<std::string>{"admin", "ops", "user"}));
  EXPECT_EQ(map->RolesWith("tasks.purge"), (std::vector<std::string>{"admin", "ops"}));
  EXPECT_EQ(map->RolesWith("auth.act_as"), std::vector<std::string>{});
  EXPECT_EQ(map->RolesWith("tasks.*"), std::vector<std::string>{});
}

TEST(PermissionsTest, ActingForUsersIsNeverGivenByAWildcard) {
  const auto map = PermissionMap::Create({{"admin", {"*", "auth.*"}}, {"ops", {"auth.act_as"}}});
  ASSERT_TRUE(map.ok());
  EXPECT_FALSE(map->Allows(With({"admin"}), "auth.act_as"));
  EXPECT_TRUE(map->Allows(With({"admin"}), "auth.other"));
  EXPECT_TRUE(map->Allows(With({"ops"}), "auth.act_as"));
}

TEST(PermissionsTest, WildcardsCoverTheirPrefixOnly) {
  const auto map = PermissionMap::Create({{"ops", {"tasks.*", "cache.admin.*"}}});
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(map->Allows(With({"ops"}), "tasks.submit"));
  EXPECT_TRUE(map->Allows(With({"ops"}), "tasks.queue.pause"));
  EXPECT_FALSE(map->Allows(With({"ops"}), "tasks_other.submit"));
  EXPECT_TRUE(map->Allows(With({"ops"}), "cache.admin.clear"));
  EXPECT_FALSE(map->Allows(With({"ops"}), "cache.admin"));
}

TEST(PermissionsTest, AWildcardOrAnEmptyNameCannotBeAskedFor) {
  const auto map = PermissionMap::Create();
  for (const char* permission : {"", "*", "tasks.*", "tasks", "tasks.", ".submit", "tasks..read",
                                 "Tasks.submit", "tasks.submit "}) {
    EXPECT_FALSE(map->Allows(With({"admin"}), permission)) << permission;
  }
}

TEST(PermissionsTest, NobodyAndUnknownRolesMayNothing) {
  const auto map = PermissionMap::Create();
  EXPECT_FALSE(map->Allows(With({}), "tasks.read"));
  EXPECT_FALSE(map->Allows(With({"", "User", "user ", "*"}), "tasks.read"));
}

TEST(PermissionsTest, ADenialNamesThePermission) {
  const auto map = PermissionMap::Create();
  EXPECT_TRUE(map->Check(With({"user"}), "tasks.read").ok());
  const absl::Status denied = map->Check(With({"user"}), "cache.admin");
  EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status::Reason(denied), kPermissionDenied);
  EXPECT_EQ(status::Metadata(denied, "permission"), "cache.admin");
}

TEST(PermissionsTest, OverridesReplaceARoleWhole) {
  const auto map = PermissionMap::Create(DefaultsWith({{"user", {"tasks.read"}}, {"bot", {"*"}}}));
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(map->Allows(With({"user"}), "tasks.read"));
  EXPECT_FALSE(map->Allows(With({"user"}), "tasks.submit"));
  EXPECT_TRUE(map->Allows(With({"tenant_admin"}), "tasks.submit"));
  EXPECT_TRUE(map->Allows(With({"bot"}), "tasks.submit"));
}

TEST(PermissionsTest, RefusesWhatIsNoPermission) {
  for (const char* permission :
       {"", "tasks", "tasks.*.read", "*.read", "**", ".*", "tasks.Submit"}) {
    const auto map = PermissionMap::Create({{"user", {permission}}});
    EXPECT_EQ(map.status().code(), absl::StatusCode::kInvalidArgument) << permission;
  }
  EXPECT_FALSE(PermissionMap::Create({{"", {"tasks.read"}}}).ok());
}

}  // namespace
}  // namespace slipstream::auth
