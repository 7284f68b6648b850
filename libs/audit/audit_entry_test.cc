#include "libs/audit/audit_entry.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "libs/audit/redact.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"

namespace slipstream::audit {
namespace {

TEST(RedactTest, MasksWhatLooksLikeASecret) {
  const std::string jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";
  const std::pair<std::string, std::string> kCases[] = {
      {"token " + jwt + " used", "token *** used"},
      {"Bearer abc.def-ghi rest", "Bearer *** rest"},
      {"authorization: Bearer abc123; x", "authorization: ***; x"},
      {"Authorization=Basic YTpi next", "Authorization=*** next"},
      {"redis://user:pa/ss@host:6379/0", "redis://user:pa/ss@host:6379/0"},
      {"redis://user:pass@host:6379/0", "redis://***@host:6379/0"},
      {"url=postgres://u:p%40@db/x y", "url=postgres://***@db/x y"},
      {"https://example.com/a@b", "https://example.com/a@b"},
      {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "***"},
      {R"({"password": "a \"b", "size": 3})", R"({"password": "***"b", "size": 3})"},
      {R"({"smtp_password":"hunter2","n":1})", R"({"smtp_password":"***","n":1})"},
      {"api-key=abc&user=bob", "api-key=***&user=bob"},
      {"client_secret => 'x y', z", "client_secret => '***', z"},
      {"key -----BEGIN PRIVATE KEY-----\nMII\n", "key ***"},
      {"password", "password"},
      {"token_count=5 secretary: Eve", "token_count=5 secretary: Eve"},
      {"status PENDING -> CANCELLED", "status PENDING -> CANCELLED"},
      {"pattern user:alice:*", "pattern user:alice:*"},
  };
  for (const auto& [text, wanted] : kCases) EXPECT_EQ(RedactSecrets(text), wanted);
}

TEST(RedactTest, StaysLinearOnHostileText) {
  for (const std::string piece :
       {"eyJ", "password=", "Bearer ", "://", "@", "\"", "token:\"", " "}) {
    std::string text;
    while (text.size() < 200'000) text += piece;
    EXPECT_LE(RedactSecrets(text).size(), 4 * text.size());
  }
}

TEST(AuditEntryTest, ResultsFollowTheStatus) {
  EXPECT_EQ(ResultOf(absl::OkStatus()), Result::kOk);
  EXPECT_EQ(ResultOf(absl::PermissionDeniedError("")), Result::kDenied);
  EXPECT_EQ(ResultOf(absl::UnauthenticatedError("")), Result::kDenied);
  EXPECT_EQ(ResultOf(absl::NotFoundError("")), Result::kFailed);
}

TEST(AuditEntryTest, ALineIsOneJsonObject) {
  AuditEntry entry;
  entry.entry_id = "id-1";
  entry.occurred_at = absl::FromUnixMicros(1767225600123456);
  entry.user = "mallory\n{\"user\":\"admin\"}";
  entry.action = "slipstream.cache.v1.CacheService/Clear";
  entry.result = Result::kDenied;
  entry.before = "bad utf-8 \xff";
  const std::string line = ToJsonLine(Sanitized(entry));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["time"], "2026-01-01T00:00:00.123456Z");
  EXPECT_EQ(parsed["user"], entry.user);
  EXPECT_EQ(parsed["result"], "DENIED");
  EXPECT_FALSE(parsed.contains("tenant"));
}

TEST(AuditEntryTest, FieldsAndLinesAreBounded) {
  for (const char fill : {'a', '\x01', '\xff', '"'}) {
    const std::string huge(1'000'000, fill);
    AuditEntry entry;
    for (std::string* field :
         {&entry.entry_id, &entry.user, &entry.tenant, &entry.acting_service, &entry.action,
          &entry.target, &entry.before, &entry.after, &entry.code, &entry.reason,
          &entry.correlation_id, &entry.service, &entry.peer}) {
      *field = huge;
    }
    const AuditEntry bounded = Sanitized(entry);
    EXPECT_LE(bounded.user.size(), kMaxNameBytes);
    EXPECT_LE(bounded.after.size(), kMaxStateBytes);
    EXPECT_LE(ToJsonLine(bounded).size(), kMaxLineBytes);
  }
}

TEST(AuditEntryTest, SecretsAreMaskedButUsersAreNot) {
  clock::FakeClock clock;
  random::SeededRandom random(1);
  AuditEntry entry;
  entry.user = "idp|token:7";
  entry.target = "webhook password=hunter2";
  entry.after = "Bearer abcdef";
  const AuditEntry completed = Completed(entry, clock, random);
  EXPECT_EQ(completed.user, "idp|token:7");
  EXPECT_EQ(completed.target, "webhook password=***");
  EXPECT_EQ(completed.after, "Bearer ***");
  EXPECT_EQ(completed.occurred_at, clock.Now());
  EXPECT_EQ(completed.entry_id.size(), 36u);
}

}  // namespace
}  // namespace slipstream::audit
