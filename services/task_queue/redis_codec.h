// How a task lies in Redis: two strings, a lane element and an outbox entry.
//
//   t:<id>  body: what the submit said. u32 length of the card, the card, the arguments.
//   x:<id>  state: what has happened since.
//             absent                   as submitted: PENDING, never leased
//             'S' version(8) place(4) ...   a state as a whole
//             'L' epoch(8) at(6) limited(1) length(1) session [an 'S' state]
//                                      the state in it (or as submitted), then leased. One lease
//                                      value serves a whole batch, which keeps leasing cheap.
//           The first nine bytes are the fence: they differ after every change, so a change is
//           committed only while the fence is the one that was read.
//   lane element (kLaneElementBytes): id(16) version(8) ready at(6) attempt(1) expires at(6, 0:
//   never) place(4). The place grows with every change of status; an element whose place is not
//   the task's is stale and is passed over, so nothing is ever searched for in a lane.
//
// <id> are the 16 bytes of the UUID. Numbers are big-endian, times Unix milliseconds (times of
// events are kept in microseconds inside card and state). Card and state are fields of a tag byte
// and a varint or a length and bytes; unknown tags are skipped, so an older server can read what a
// newer one wrote.
//
// Thread safety: pure functions. Errors: DATA_LOSS for bytes that are none of this.
#ifndef SERVICES_TASK_QUEUE_REDIS_CODEC_H_
#define SERVICES_TASK_QUEUE_REDIS_CODEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/task_queue/redis_packed.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue::redis_codec {

inline constexpr size_t kFenceBytes = 9;
inline constexpr size_t kLaneElementBytes = 41;

// A task as read, with what is not of its record.
struct Stored {
  TaskRecord task;
  std::string fence;  // "" while x is absent
  uint32_t place = 0;
  bool limited = false;         // its lease holds a permit of its type's limits
  bool has_dependents = false;  // others wait for it
};

std::string EncodeBody(const TaskRecord& task);
std::string EncodeState(const Stored& stored);
// The fence that EncodeState's value has.
std::string FenceOf(const TaskRecord& task);
// Into a `stored` that is as made.
absl::Status Decode(std::string_view id, std::string_view body, std::string_view state,
                    Stored& stored);

std::string EncodeLaneElement(const TaskRecord& task, uint32_t place);
uint32_t PlaceOfLaneElement(std::string_view element);

// The value of x while leased, before the state that was there.
std::string EncodeLease(int64_t epoch, absl::Time at, bool limited, std::string_view session_id);

// Outbox entries. A batch of starts and a batch of successes name tasks whose records are read when
// they are forwarded (a success changes no more); every other change carries its record.
std::string EncodeEvent(std::string_view type, const Stored& stored);
std::string EncodeSuccesses(const std::vector<std::string>& ids);
struct OutboxElement {
  enum class Kind { kEvent, kStarts, kSuccesses };
  struct Start {
    std::string id;
    int64_t version = 0;
    int attempt = 0;
  };
  Kind kind = Kind::kEvent;
  std::string type;              // kEvent
  TaskRecord task;               // kEvent
  std::vector<Start> starts;     // kStarts
  int64_t epoch = 0;             // kStarts
  absl::Time at;                 // kStarts
  std::string session_id;        // kStarts
  std::vector<std::string> ids;  // kSuccesses
};
absl::StatusOr<OutboxElement> DecodeOutboxElement(std::string_view element);

}  // namespace slipstream::task_queue::redis_codec

#endif  // SERVICES_TASK_QUEUE_REDIS_CODEC_H_
