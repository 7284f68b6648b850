// Whether this process should get traffic: its named checks, and whether it is draining.
//
// Thread-safe. Checks run on the thread that asks (the admin server's) under no lock, so a check
// must not block: it looks at what the process already knows ("the last ping to Redis failed"). A
// check that only degrades is named in the answer, and traffic comes all the same.
#ifndef SLIPSTREAM_LIBS_ADMIN_HTTP_READINESS_H_
#define SLIPSTREAM_LIBS_ADMIN_HTTP_READINESS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::admin_http {

class Readiness {
 public:
  // OK, or why the process cannot serve.
  using Check = std::function<absl::Status()>;

  struct Report {
    bool draining = false;
    std::vector<std::pair<std::string, absl::Status>> failing;  // in the order they were added
    std::vector<std::pair<std::string, absl::Status>> degraded;
    bool ready() const { return !draining && failing.empty(); }
  };

  // What `check` refers to outlives this object.
  void Add(std::string name, Check check, bool only_degrades = false);
  // From now on the process is not ready, whatever the checks say: load balancers turn away while
  // calls in progress finish. Cannot be undone.
  void StartDraining();
  Report Evaluate() const;

 private:
  struct Named {
    std::string name;
    std::shared_ptr<const Check> check;
    bool only_degrades;
  };
  mutable sync::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Named> checks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::admin_http

#endif  // SLIPSTREAM_LIBS_ADMIN_HTTP_READINESS_H_
