// Trace: the last steps of a run, for who looks at a violation; all of them when verbose.
//
// Ids are 36 characters of chance: they are shown as t1, s1, ... in the order they came up.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_TRACE_H_
#define SERVICES_TASK_QUEUE_SIMULATION_TRACE_H_

#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/task_queue/simulation/scheduler.h"

namespace slipstream::task_queue::simulation {

class Trace {
 public:
  static constexpr size_t kKeptCount = 60;

  Trace(Scheduler& scheduler, bool verbose, bool quiet)
      : scheduler_(scheduler), verbose_(verbose), quiet_(quiet) {}

  // A run that is only to be counted does without, since most of its time would go here.
  bool on() const { return !quiet_; }

  template <class... Parts>
  void Add(const Parts&... parts) {
    if (quiet_) return;
    std::string line = absl::StrFormat("%9.4f  ", absl::ToDoubleSeconds(scheduler_.elapsed()));
    absl::StrAppend(&line, parts...);
    if (verbose_) std::fprintf(stdout, "%s\n", line.c_str());
    lines_.push_back(std::move(line));
    if (lines_.size() > kKeptCount) lines_.pop_front();
  }

  // Short names.
  const std::string& Task(std::string_view id) { return Short(id, 't'); }
  const std::string& Session(std::string_view id) { return Short(id, 's'); }

  const std::deque<std::string>& lines() const { return lines_; }

 private:
  const std::string& Short(std::string_view id, char kind) {
    auto it = names_.find(id);
    if (it == names_.end()) {
      std::string name = id.empty() ? "-" : absl::StrCat(std::string(1, kind), ++counts_[kind]);
      it = names_.emplace(std::string(id), std::move(name)).first;
    }
    return it->second;
  }

  Scheduler& scheduler_;
  const bool verbose_;
  const bool quiet_;
  std::deque<std::string> lines_;
  std::map<std::string, std::string, std::less<>> names_;
  std::map<char, int> counts_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_TRACE_H_
