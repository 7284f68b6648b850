// A channel as a shared store keeps it, read from a place on.
//
// Thread safety: plain values.
#ifndef SERVICES_NOTIFICATION_HISTORY_VIEW_H_
#define SERVICES_NOTIFICATION_HISTORY_VIEW_H_

#include <cstdint>
#include <vector>

#include "services/notification/history_store.h"

namespace slipstream::notification {

struct HistoryView {
  ReadResult result;
  // By result.events: the number of a progress event in its channel, 0 for one with a position.
  std::vector<uint64_t> progress_numbers;
  // Of the channel's latest progress.
  uint64_t last_progress_number = 0;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_HISTORY_VIEW_H_
