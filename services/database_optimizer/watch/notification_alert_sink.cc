#include "services/database_optimizer/watch/notification_alert_sink.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/hash/fnv1a.h"
#include "libs/rpc/client_call.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/watch/alert_rules.h"

namespace slipstream::database_optimizer {

namespace {

namespace nv = notification::v1;

constexpr absl::Duration kCallTimeout = absl::Seconds(2);

}  // namespace

nv::PublishRequest ToPublishRequest(const AlertChange& change, const AlertedDatabase& database,
                                    absl::Duration repeat) {
  const v1::DatabaseAlert& alert = change.alert;
  const std::string severity =
      absl::AsciiStrToLower(v1::DatabaseAlert::Severity_Name(alert.severity()));
  const bool resolved = change.state == AlertChange::State::kResolved;
  nv::PublishRequest request;
  request.set_channel("broadcast");
  request.set_type("performance_alert");
  // Two that are told are at least a period apart, so they are never in the same one.
  const int64_t period = absl::ToUnixMillis(change.at) / absl::ToInt64Milliseconds(repeat);
  request.set_idempotency_key(absl::StrCat(
      "database_optimizer/",
      absl::Hex(
          hash::Fnv1a(absl::StrCat(database.address, "\n", alert.kind(), "\n", alert.object()))),
      "/", resolved ? "resolved-" : "", severity, "/", period));
  auto& payload = *request.mutable_payload()->mutable_fields();
  payload["source"].set_string_value("database_optimizer");
  payload["database"].set_string_value(database.name);
  payload["kind"].set_string_value(KindName(alert.kind()));
  payload["severity"].set_string_value(severity);
  payload["state"].set_string_value(StateName(change.state));
  payload["object"].set_string_value(alert.object());
  payload["message"].set_string_value(alert.message());
  payload["raised_at"].set_string_value(absl::FormatTime(
      "%Y-%m-%dT%H:%M:%E3SZ", timestamp::ToTime(alert.raised_at()), absl::UTCTimeZone()));
  return request;
}

Async<absl::Status> NotificationAlertSink::Tell(std::span<const AlertChange> changes) {
  if (stub_ == nullptr) {
    stub_ = nv::NotificationService::NewStub(peers_.Channel("notification"));
  }
  nv::PublishManyRequest request;
  for (const AlertChange& change : changes) {
    *request.add_events() = ToPublishRequest(change, database_, repeat_);
  }
  rpc::CallOptions options = peers_.OwnCall();
  options.timeout = kCallTimeout;
  auto response = co_await rpc::CallUnary<nv::PublishManyResponse>(
      options, [&](grpc::ClientContext* context, nv::PublishManyResponse* out, auto done) {
        stub_->async()->PublishMany(context, &request, out, std::move(done));
      });
  co_return response.status();
}

}  // namespace slipstream::database_optimizer
