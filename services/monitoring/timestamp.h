// absl::Time <-> google.protobuf.Timestamp.
//
// Thread safety: pure functions.
#ifndef SERVICES_MONITORING_TIMESTAMP_H_
#define SERVICES_MONITORING_TIMESTAMP_H_

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace slipstream::monitoring {

inline void SetTimestamp(absl::Time time, google::protobuf::Timestamp* out) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  out->set_seconds(seconds);
  out->set_nanos(
      static_cast<int32_t>((time - absl::FromUnixSeconds(seconds)) / absl::Nanoseconds(1)));
}

inline absl::Time TimeOf(const google::protobuf::Timestamp& from) {
  return absl::FromUnixSeconds(from.seconds()) + absl::Nanoseconds(from.nanos());
}

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_TIMESTAMP_H_
