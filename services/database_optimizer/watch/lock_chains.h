// Who is at the root of a chain of sessions that wait for one another.
//
// Thread safety: a pure function.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_LOCK_CHAINS_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_LOCK_CHAINS_H_

#include <map>
#include <set>
#include <vector>

namespace slipstream::database_optimizer {

// From a session to those it waits for, as pg_blocking_pids gives them.
using LockGraph = std::map<int, std::vector<int>>;

// The first session, in the order of the graph's lists, that waits for nobody; of a cycle (a
// deadlock not yet broken) its smallest process; `pid` itself when it waits for nobody.
inline int RootOf(const LockGraph& graph, int pid) {
  std::set<int> seen;
  int at = pid;
  while (seen.insert(at).second) {
    const auto waits = graph.find(at);
    if (waits == graph.end() || waits->second.empty()) return at;
    at = waits->second.front();
  }
  // `at` was seen before: it is on the cycle, which is walked once more.
  int smallest = at;
  for (int next = graph.at(at).front(); next != at; next = graph.at(next).front()) {
    if (next < smallest) smallest = next;
  }
  return smallest;
}

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_LOCK_CHAINS_H_
