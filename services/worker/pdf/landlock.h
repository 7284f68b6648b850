// Landlock: which files a process may open, decided by the process itself (kernel 5.13 and later;
// no privileges and no user namespaces needed). https://docs.kernel.org/userspace-api/landlock.html
//
// Thread safety: free functions. Errors: UNAVAILABLE when the kernel has no Landlock or a policy of
// the host refuses it; the caller decides whether to go on without.
#ifndef SERVICES_WORKER_PDF_LANDLOCK_H_
#define SERVICES_WORKER_PDF_LANDLOCK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/worker/pdf/unique_fd.h"

namespace slipstream::worker::pdf {

struct LandlockRules {
  std::vector<std::string>
      read_paths;  // files and trees to read and execute; missing ones are skipped
  std::vector<std::string> write_paths;  // trees to read and write
};

// A ruleset that denies all else: files, TCP, and (by newer kernels) signals and abstract sockets
// to the outside. The child takes it on by landlock_restrict_self.
absl::StatusOr<UniqueFd> BuildLandlockRuleset(const LandlockRules& rules);

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_LANDLOCK_H_
