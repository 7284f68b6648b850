// Events as Redis holds them, and the hints that nodes send each other.
//
// Form, all numbers big-endian: an event is its version (1 byte), type (1), created_at in ns (8),
// and id, task and encoded message, each behind its length (4). A hint is channel, epoch (16
// hexadecimal digits), offset, n and event, each text behind its length; n is "0" for an event with
// a position and else the progress's number, and the offset is then that of the event before it.
//
// Thread safety: pure functions. Errors: the decoders answer nullopt (an empty list) for bytes that
// are not of this form.
#ifndef SERVICES_NOTIFICATION_REDIS_EVENT_H_
#define SERVICES_NOTIFICATION_REDIS_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/notification/event.h"

namespace slipstream::notification {

std::string EncodeEvent(const Event& event);
// Without channel, position and published_at.
std::optional<Event> DecodeEvent(std::string_view bytes);

struct Hint {
  std::string_view channel_key;
  Position position;
  uint64_t progress_number = 0;  // 0: an event with a position
  std::string_view event;
};
// Into `payload`, which outlives the hints.
std::vector<Hint> DecodeHints(std::string_view payload);

// 16 lower-case hexadecimal digits; "" and 0 stand for each other.
std::string FormatEpoch(uint64_t epoch);
uint64_t ParseEpoch(std::string_view text);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_REDIS_EVENT_H_
