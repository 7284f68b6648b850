// Between the wire's messages and the engine's records.
//
// Thread safety: free functions without state.
// Errors: INVALID_ARGUMENT, reason INVALID_FIELD, with the field's path.
#ifndef SERVICES_NOTIFICATION_EVENT_CODEC_H_
#define SERVICES_NOTIFICATION_EVENT_CODEC_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "services/notification/cursor.h"
#include "services/notification/history_store.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::notification {

inline constexpr size_t kMaxPayloadBytes = 32 << 10;
inline constexpr size_t kMaxKeyBytes = 128;
inline constexpr size_t kMaxTaskIdBytes = 64;
inline constexpr size_t kMaxCorrelationIdBytes = 128;
inline constexpr int kMaxTypesCount = 8;

// Checks the request, gives the event its id and time, and encodes it. `path` stands before field
// names in errors ("events[3]." or empty); `correlation_id` is the call's own.
absl::StatusOr<AppendRequest> ToAppend(const v1::PublishRequest& request, const std::string& path,
                                       const std::string& correlation_id, const clock::Clock& clock,
                                       random::Random& random);

// The event with its position, without a cursor.
v1::Event ToProto(const Event& event);

v1::PublishResponse ToProto(const Appended& appended);

absl::StatusOr<TypeSet> ToTypes(const google::protobuf::RepeatedPtrField<std::string>& names);

// nullopt for an empty text.
absl::StatusOr<std::optional<Cursor>> ToCursor(const std::string& text, const char* field);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_EVENT_CODEC_H_
