#include "services/task_queue/flow_plan.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/task_state.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kTaskIdBytes = 36;

template <class T>
void AddOnce(std::vector<T>& list, const T& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

absl::Status Unknown(const std::string& name, size_t count) {
  return status::FieldError(
      "depends_on",
      absl::StrCat("names \"", status::BoundedText(name, 64), "\"; it takes ids of 36 ",
                   "characters, and #0-#", count - 1, " for entries of this submit"));
}

absl::Status Cyclic(size_t entry) {
  return status::Error(absl::StatusCode::kInvalidArgument, kCyclicFlow,
                       absl::StrCat("depends_on of entry #", entry,
                                    " leads back to an entry that waits for it, so none of them "
                                    "could ever start; remove one of the links"),
                       {{"field", "depends_on"}});
}

absl::Status Resolve(const std::vector<std::string>& names, size_t entry, FlowPlan& plan) {
  const size_t count = plan.refused.size();
  for (const std::string& name : names) {
    if (name.empty() || name[0] != '#') {
      if (name.size() != kTaskIdBytes) return Unknown(name, count);
      AddOnce(plan.task_ids[entry], name);
      continue;
    }
    uint32_t index = 0;
    const bool digits = name.size() > 1 && name.find_first_not_of("0123456789", 1) == name.npos;
    if (!digits || !absl::SimpleAtoi(name.substr(1), &index) || index >= count) {
      return Unknown(name, count);
    }
    if (index == entry) return Cyclic(entry);
    AddOnce(plan.entries[entry], static_cast<size_t>(index));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EntryRefused(size_t entry) {
  return status::Error(absl::StatusCode::kFailedPrecondition, task_state::kDependencyFailed,
                       absl::StrCat("entry #", entry, ", which it depends on, was refused"));
}

FlowPlan PlanFlow(const std::vector<const std::vector<std::string>*>& depends_on) {
  const size_t count = depends_on.size();
  FlowPlan plan;
  plan.entries.resize(count);
  plan.task_ids.resize(count);
  plan.refused.resize(count);
  std::vector<std::vector<size_t>> after(count);
  std::vector<size_t> missing(count);
  for (size_t i = 0; i < count; ++i) {
    plan.refused[i] = Resolve(*depends_on[i], i, plan);
    for (const size_t before : plan.entries[i]) after[before].push_back(i);
    missing[i] = plan.entries[i].size();
    if (missing[i] == 0) plan.order.push_back(i);
  }
  for (size_t next = 0; next < plan.order.size(); ++next) {
    for (const size_t entry : after[plan.order[next]]) {
      if (--missing[entry] == 0) plan.order.push_back(entry);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (missing[i] == 0) continue;
    plan.order.push_back(i);
    if (plan.refused[i].ok()) plan.refused[i] = Cyclic(i);
  }
  return plan;
}

}  // namespace slipstream::task_queue
