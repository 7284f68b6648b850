// What starts: that it may, within limits, in the right order and turn.
#include <algorithm>

#include "services/task_queue/simulation/oracle.h"

namespace slipstream::task_queue::simulation {

namespace {

// Starts that others of one tenant may get ahead of a waiting one: one for the turn it joins, one
// for the turn under way, and what a batch takes at once.
constexpr int kMaxPassedOver = 6;

bool Asked(std::span<const LeaseType> types, const std::string& name) {
  return std::any_of(types.begin(), types.end(),
                     [&](const LeaseType& t) { return t.name == name; });
}

}  // namespace

void Oracle::OnLease(std::string_view session_id, std::span<const LeaseType> types, int max_count,
                     const absl::StatusOr<std::vector<TaskRecord>>& result, absl::Time now) {
  if (!result.ok()) return;
  auto session = sessions_.find(session_id);
  if (session == sessions_.end() || session->second.until <= now) {
    if (!result->empty()) {
      Violation("leases go to living sessions", deps_.trace.Session(session_id), " is over");
    }
    return;
  }
  if (static_cast<int>(result->size()) > max_count) {
    Violation("no more than asked for", result->size(), " tasks for ", max_count);
  }
  for (const TaskRecord& record : *result) {
    TaskModel* model = Known(record.task_id, "a lease");
    if (model == nullptr) return;
    deps_.trace.Add("store: lease ", Name(record.task_id), " epoch ", record.lease_epoch,
                    " attempt ", record.attempt, " to ", deps_.trace.Session(session_id));
    if (record.session_id != session_id) {
      Violation("one lease, one holder", Name(record.task_id), " is another session's");
    }
    if (!Asked(types, record.task_type) || record.task_type != model->spec.task_type) {
      Violation("leases are of types asked for", Name(record.task_id));
    }
    LeaseOne(*model, record, types, now);
  }
}

void Oracle::LeaseOne(TaskModel& model, const TaskRecord& record, std::span<const LeaseType> types,
                      absl::Time now) {
  // What waited for others or its time is sometimes found ready only now.
  if (model.status == TaskStatus::kScheduled && record.ready_at != absl::InfiniteFuture()) {
    BecomeReady(model, record);
    model.status = TaskStatus::kPending;
  }
  CheckMayStart(model, record, now);
  CheckLimits(model, types);
  CheckOrder(model, types, now);
  CheckTurn(model, types, now);
  if (record.lease_epoch <= model.epoch) {
    Violation("epochs grow", Name(record.task_id), " was leased with epoch ", record.lease_epoch,
              " after ", model.epoch);
  }
  if (record.attempt != model.attempt + 1 || record.attempt > model.spec.max_attempts) {
    Violation("attempts stay within their bound", Name(record.task_id), " attempt ", record.attempt,
              " after ", model.attempt, " of ", model.spec.max_attempts);
  }
  ++counts_.leased;
  model.epoch = record.lease_epoch;
  Step(model, record, true);
  model.status = TaskStatus::kRunning;
  model.attempt = record.attempt;
  model.session_id = record.session_id;
  model.started = true;
  model.expires_at = absl::InfiniteFuture();
  model.deadline_at = now + model.spec.attempt_deadline;
}

void Oracle::CheckMayStart(const TaskModel& model, const TaskRecord& record, absl::Time now) {
  const std::string& name = Name(record.task_id);
  if (!model.waits_for.empty()) {
    Violation("dependents start after all they depend on", name, " still waits for ",
              Name(*model.waits_for.begin()));
  }
  if (model.status != TaskStatus::kPending) {
    Violation("states", name, " was leased while ", std::string(StatusName(model.status)));
  }
  // By the world's clock: a call is on its way for a while with the time of its start.
  const absl::Duration early = model.ready_at - deps_.scheduler.now();
  if (early > skew()) {
    Violation("nothing runs before its time", name, " was leased ", absl::FormatDuration(early),
              " early");
  }
  if (!model.started && model.expires_at <= now) {
    Violation("nothing starts after its expiry", name, " was leased ",
              absl::FormatDuration(now - model.expires_at), " late");
  }
  if (paused_.contains("*") || paused_.contains(model.spec.task_type)) {
    Violation("a paused type is not leased", name, " of type ", model.spec.task_type);
  }
}

void Oracle::CheckLimits(const TaskModel& model, std::span<const LeaseType> types) {
  const auto type = std::find_if(types.begin(), types.end(), [&](const LeaseType& t) {
    return t.name == model.spec.task_type;
  });
  if (type == types.end()) return;
  int running_count = 1;
  for (const auto& [id, other] : tasks_) {
    if (other.status != TaskStatus::kRunning) continue;
    if (other.spec.task_type == model.spec.task_type) ++running_count;
    if (!model.spec.concurrency_key.empty() && &other != &model &&
        other.spec.concurrency_key == model.spec.concurrency_key &&
        other.tenant_key() == model.tenant_key()) {
      Violation("one running task of a concurrency key", Name(model.spec.task_id), " and ",
                Name(id), " with key ", model.spec.concurrency_key);
    }
  }
  if (!deps_.settings.use.limits) return;
  if (model.spec.task_type == kLimited && running_count > kLimitedRunning) {
    Violation("limits of running tasks", running_count, " run of ", model.spec.task_type);
  }
  if (model.spec.task_type != kRated) return;
  const absl::Time now = deps_.scheduler.now();
  if (rated_at_ != absl::InfinitePast()) {
    rated_tokens_ += absl::ToDoubleSeconds(now - rated_at_) * kRatedPerMinute / 60;
    rated_tokens_ = std::min<double>(rated_tokens_, kRatedPerMinute);
  }
  rated_at_ = now;
  rated_tokens_ -= 1;
  // Clocks of servers differ, so a bucket may be ahead by that much, once.
  const double ahead = absl::ToDoubleSeconds(skew()) * kRatedPerMinute / 60;
  if (rated_tokens_ < -0.5 - ahead) {
    Violation("limits of starts", "the bucket of ", model.spec.task_type, " is at ", rated_tokens_);
  }
}

bool Oracle::Startable(const TaskModel& model, std::span<const LeaseType> types,
                       absl::Time now) const {
  if (model.status != TaskStatus::kPending || !model.waits_for.empty()) return false;
  if (model.ready_at > now || model.expires_at <= now) return false;
  if (!model.spec.concurrency_key.empty() || !Asked(types, model.spec.task_type)) return false;
  if (paused_.contains("*") || paused_.contains(model.spec.task_type)) return false;
  return !deps_.settings.use.limits ||
         (model.spec.task_type != kLimited && model.spec.task_type != kRated);
}

void Oracle::CheckOrder(const TaskModel& model, std::span<const LeaseType> types, absl::Time now) {
  const absl::Duration step = deps_.settings.aging_step;
  // A LOW task is as good as an URGENT one after three steps of waiting.
  const absl::Duration aged = 3 * step;
  for (const auto& [id, other] : tasks_) {
    if (&other == &model || !Startable(other, types, now)) continue;
    if (other.tenant_key() != model.tenant_key()) continue;
    if (now - other.ready_at >= aged + skew() && model.ready_at > other.ready_at + skew()) {
      Violation("a LOW task waits for its bound at most", Name(id), " has waited ",
                absl::FormatDuration(now - other.ready_at), " and the younger ",
                Name(model.spec.task_id), " was started");
    }
    const bool unaged = now - model.ready_at + skew() < step;
    if (unaged && other.spec.priority > model.spec.priority) {
      Violation("higher priorities first", Name(id), " waits and ", Name(model.spec.task_id),
                " of a lower priority was started");
    }
  }
}

void Oracle::CheckTurn(const TaskModel& model, std::span<const LeaseType> types, absl::Time now) {
  const std::string mine = model.tenant_key();
  std::set<std::string> waiting;
  std::set<std::string> startable;
  for (const auto& [id, other] : tasks_) {
    if (other.status == TaskStatus::kPending) waiting.insert(other.tenant_key());
    if (&other != &model && Startable(other, types, now)) startable.insert(other.tenant_key());
  }
  std::erase_if(passed_over_, [&](const auto& of) { return !waiting.contains(of.first); });
  for (const std::string& tenant : startable) {
    if (tenant == mine) continue;
    if (++passed_over_[tenant][mine] > kMaxPassedOver) {
      Violation("tenants take turns", mine, " got ", passed_over_[tenant][mine],
                " starts while a task of ", tenant, " waited");
    }
  }
  passed_over_.erase(mine);
}

}  // namespace slipstream::task_queue::simulation
