#include "services/database_optimizer/watch/read_only_work.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace slipstream::database_optimizer {

namespace {

// At least 1: PostgreSQL takes 0 for no limit.
int64_t Milliseconds(absl::Duration duration) {
  return std::max<int64_t>(absl::ToInt64Milliseconds(duration), 1);
}

}  // namespace

absl::Status ReadOnlyWork::Begin(absl::Duration statement_timeout, absl::Duration lock_timeout) {
  // Literals end where our parser says they do, whatever the server's default is.
  const std::string settings[] = {
      absl::StrCat("SET LOCAL statement_timeout = ", Milliseconds(statement_timeout)),
      absl::StrCat("SET LOCAL lock_timeout = ", Milliseconds(lock_timeout)),
      "SET LOCAL standard_conforming_strings = on"};
  auto begun = connection_.Query("BEGIN READ ONLY");
  if (!begun.ok()) return begun.status();
  begun_ = true;
  for (const std::string& sql : settings) {
    auto done = connection_.Query(sql);
    if (!done.ok()) return done.status();
  }
  return absl::OkStatus();
}

}  // namespace slipstream::database_optimizer
