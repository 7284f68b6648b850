// Writes an outline from the prompt's own sentences, without a language model.
//
// It invents nothing: it finds the subject, sorts the prompt's sentences into the sections of the
// template by cue words, numbers the requirements, collects the figures, and asks for what the
// prompt leaves out. Deterministic: the same request gives the same bytes.
#ifndef SERVICES_WORKER_RFC_DRAFT_OFFLINE_DRAFTER_H_
#define SERVICES_WORKER_RFC_DRAFT_OFFLINE_DRAFTER_H_

#include "services/worker/rfc_draft/drafter.h"

namespace slipstream::worker::rfc_draft {

inline constexpr std::string_view kOfflineLabel = "Offline outline (no language model was used)";

// The work itself; blocks for at most some tens of milliseconds (64 KiB of prompt).
absl::StatusOr<Draft> DraftOffline(const DraftRequest& request, const DraftProgress& progress,
                                   const std::stop_token& cancel);

class OfflineDrafter final : public Drafter {
 public:
  std::string_view Name() const override { return "offline"; }
  std::string_view Version() const override { return "offline-1"; }
  std::string_view Label() const override { return kOfflineLabel; }
  Async<absl::StatusOr<Draft>> Write(DraftRequest request, DraftProgress progress,
                                     std::stop_token cancel) override;
};

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_OFFLINE_DRAFTER_H_
