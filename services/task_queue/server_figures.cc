#include "services/task_queue/server_figures.h"

#include <utility>

#include "libs/timestamp/timestamp.h"
#include "slipstream/task_queue/v1/server_figures.pb.h"

namespace slipstream::task_queue {

namespace {

constexpr int kMaxBytes = 60 << 10;
constexpr int kMaxHeldIdsCount = 500;

void ToProto(const LogHistogram& in, v1::ServerFigures::LogHistogram* out) {
  for (int i = 0; i < LogHistogram::kBucketsCount; ++i) {
    const int64_t count = in.counts()[static_cast<size_t>(i)];
    if (count == 0) continue;
    out->add_bucket(i);
    out->add_count(count);
  }
  out->set_max_ms(in.max_ms());
}

LogHistogram FromProto(const v1::ServerFigures::LogHistogram& in) {
  LogHistogram out;
  for (int i = 0; i < in.bucket_size() && i < in.count_size(); ++i) {
    out.Add(in.bucket(i), in.count(i));
  }
  out.NoteMax(in.max_ms());
  return out;
}

void ToProto(const SessionInfo& in, int& held_left, v1::QueueStats::WorkerInfo* out) {
  out->set_session_id(in.session_id);
  out->set_worker_name(in.worker_name);
  for (const std::string& type : in.task_types) out->add_task_types(type);
  out->set_slots(in.slots);
  out->set_held_count(in.held_count);
  for (const std::string& id : in.task_ids) {
    if (held_left-- <= 0) break;
    out->add_task_ids(id);
  }
  *out->mutable_connected_at() = timestamp::FromTime(in.connected_at);
  *out->mutable_last_heartbeat_at() = timestamp::FromTime(in.last_heartbeat_at);
  out->set_draining(in.draining);
}

SessionInfo FromProto(const v1::QueueStats::WorkerInfo& in) {
  SessionInfo out;
  out.session_id = in.session_id();
  out.worker_name = in.worker_name();
  out.task_types.assign(in.task_types().begin(), in.task_types().end());
  out.slots = in.slots();
  out.held_count = in.held_count();
  out.task_ids.assign(in.task_ids().begin(), in.task_ids().end());
  out.connected_at = timestamp::ToTime(in.connected_at());
  out.last_heartbeat_at = timestamp::ToTime(in.last_heartbeat_at());
  out.draining = in.draining();
  return out;
}

}  // namespace

std::string SerializeFigures(const ServerFigures& in) {
  v1::ServerFigures out;
  out.set_server_id(in.server_id);
  *out.mutable_taken_at() = timestamp::FromTime(in.taken_at);
  out.set_submitted_per_second(in.figures.submitted_per_second);
  out.set_finished_per_second(in.figures.finished_per_second);
  out.set_finished_count(in.figures.finished);
  out.set_succeeded_count(in.figures.succeeded);
  out.set_leased_count(in.figures.leased);
  out.set_retried_count(in.figures.retried);
  ToProto(in.figures.waits, out.mutable_wait());
  ToProto(in.figures.runs, out.mutable_run());
  for (const auto& [key, group] : in.figures.failures) {
    auto* added = out.add_failures();
    added->set_task_type(group.task_type);
    added->set_reason(group.reason);
    added->set_count(group.count);
    *added->mutable_first_at() = timestamp::FromTime(group.first_at);
    *added->mutable_last_at() = timestamp::FromTime(group.last_at);
    added->set_example_task_id(group.example_task_id);
  }
  out.set_stale_refused_count(in.figures.stale_refused_count);
  int held_left = kMaxHeldIdsCount;
  size_t bytes = out.ByteSizeLong();
  for (const SessionInfo& worker : in.workers) {
    v1::QueueStats::WorkerInfo info;
    ToProto(worker, held_left, &info);
    bytes += info.ByteSizeLong() + 4;
    if (bytes > kMaxBytes) break;
    *out.add_workers() = std::move(info);
  }
  return out.SerializeAsString();
}

std::optional<ServerFigures> ParseFigures(std::string_view document) {
  v1::ServerFigures in;
  if (!in.ParseFromArray(document.data(), static_cast<int>(document.size()))) return std::nullopt;
  ServerFigures out;
  out.server_id = in.server_id();
  out.taken_at = timestamp::ToTime(in.taken_at());
  out.figures.submitted_per_second = in.submitted_per_second();
  out.figures.finished_per_second = in.finished_per_second();
  out.figures.finished = in.finished_count();
  out.figures.succeeded = in.succeeded_count();
  out.figures.leased = in.leased_count();
  out.figures.retried = in.retried_count();
  out.figures.waits = FromProto(in.wait());
  out.figures.runs = FromProto(in.run());
  for (const auto& group : in.failures()) {
    out.figures.Add({group.task_type(), group.reason(), group.count(),
                     timestamp::ToTime(group.first_at()), timestamp::ToTime(group.last_at()),
                     group.example_task_id()});
  }
  out.figures.stale_refused_count = in.stale_refused_count();
  for (const auto& worker : in.workers()) out.workers.push_back(FromProto(worker));
  return out;
}

}  // namespace slipstream::task_queue
