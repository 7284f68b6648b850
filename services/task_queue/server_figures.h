// A server's figures as they are left in the store for the others, and back.
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_SERVER_FIGURES_H_
#define SERVICES_TASK_QUEUE_SERVER_FIGURES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "services/task_queue/queue_figures.h"
#include "services/task_queue/worker_sessions.h"

namespace slipstream::task_queue {

inline constexpr char kFiguresKind[] = "figures";  // of TaskStore::SaveShared
// Older ones are those of a server that is gone, or can't reach the store.
inline constexpr absl::Duration kMaxFiguresAge = absl::Seconds(10);

struct ServerFigures {
  std::string server_id;
  absl::Time taken_at;
  FiguresSum figures;
  std::vector<SessionInfo> workers;
};

// Within 64 KiB: of many workers or held tasks some are left out.
std::string SerializeFigures(const ServerFigures& figures);
std::optional<ServerFigures> ParseFigures(std::string_view document);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_SERVER_FIGURES_H_
