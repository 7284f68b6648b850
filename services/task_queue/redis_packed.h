// Texts of hex digits and numbers as few bytes, as they lie in Redis.
//
// A pack function answers "" for a text that is not of the exact form (lower case, no more and no
// less), so that unpacking always gives the same text back.
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_REDIS_PACKED_H_
#define SERVICES_TASK_QUEUE_REDIS_PACKED_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace slipstream::task_queue::redis_codec {

inline constexpr size_t kIdBytes = 16;

// The 16 bytes of a UUID. Unpacking answers "" for another number of bytes.
std::string PackId(std::string_view uuid);
// Into kIdBytes at `out`, without a string of its own; false, and anything there, for other texts.
bool PackId(std::string_view uuid, char* out);
std::string UnpackId(std::string_view id);

// The 25 bytes of a traceparent of version 00: trace id, span id, flags (W3C trace context, 3.2.2).
inline constexpr size_t kTraceBytes = 25;
bool PackTraceparent(std::string_view text, char* out);  // into kTraceBytes, as PackId
std::string UnpackTraceparent(std::string_view bytes);

// Big-endian numbers of n bytes, at most 8.
void AppendNumber(std::string& out, uint64_t value, int bytes);
std::string Number(uint64_t value, int bytes);
uint64_t ReadNumber(std::string_view bytes);

}  // namespace slipstream::task_queue::redis_codec

#endif  // SERVICES_TASK_QUEUE_REDIS_PACKED_H_
