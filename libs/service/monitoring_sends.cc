#include "libs/service/monitoring_sends.h"

#include <utility>
#include <vector>

#include "libs/audit/audit_message.h"
#include "libs/rpc/client_call.h"
#include "libs/timestamp/timestamp.h"
#include "slipstream/monitoring/v1/monitoring.grpc.pb.h"

namespace slipstream::service {

namespace {

namespace mv = slipstream::monitoring::v1;

rpc::CallOptions Within(rpc::CallOptions options, absl::Duration timeout) {
  options.timeout = timeout;
  return options;
}

Async<absl::Status> SendRequests(Peers& peers, const std::vector<FinishedRequest>& batch,
                                 absl::Duration timeout) {
  mv::RecordRequestsRequest request;
  for (const FinishedRequest& one : batch) {
    auto& record = *request.add_records();
    record.set_service(one.service);
    record.set_route(one.route);
    record.set_http_status(one.http_status);
    record.set_duration_ms(absl::ToDoubleMilliseconds(one.duration));
    *record.mutable_finished_at() = timestamp::FromTime(one.finished_at);
  }
  auto stub = mv::MonitoringService::NewStub(peers.Channel("monitoring"));
  const rpc::CallOptions options = Within(peers.OwnCall(), timeout);
  auto answer = co_await rpc::CallUnary<mv::RecordRequestsResponse>(
      options, [&](grpc::ClientContext* c, mv::RecordRequestsResponse* out, auto done) {
        stub->async()->RecordRequests(c, &request, out, std::move(done));
      });
  co_return answer.status();
}

Async<absl::Status> SendEntries(Peers& peers, const std::vector<audit::AuditEntry>& batch,
                                absl::Duration timeout) {
  mv::RecordAuditEntriesRequest request;
  for (const audit::AuditEntry& entry : batch) *request.add_entries() = audit::MessageOf(entry);
  auto stub = mv::MonitoringService::NewStub(peers.Channel("monitoring"));
  const rpc::CallOptions options = Within(peers.OwnCall(), timeout);
  auto answer = co_await rpc::CallUnary<mv::RecordAuditEntriesResponse>(
      options, [&](grpc::ClientContext* c, mv::RecordAuditEntriesResponse* out, auto done) {
        stub->async()->RecordAuditEntries(c, &request, out, std::move(done));
      });
  co_return answer.status();
}

}  // namespace

MonitoringSends GrpcMonitoringSends(Peers& peers) {
  return {
      .requests = [&peers](const std::vector<FinishedRequest>& batch,
                           absl::Duration timeout) { return SendRequests(peers, batch, timeout); },
      .entries = [&peers](const std::vector<audit::AuditEntry>& batch,
                          absl::Duration timeout) { return SendEntries(peers, batch, timeout); }};
}

}  // namespace slipstream::service
