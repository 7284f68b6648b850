// absl::Time <-> google.protobuf.Timestamp, to the nanosecond (earlier ones round down).
//
// Thread safety: pure functions. REQUIRES: finite times, years 1 to 9999.
#ifndef SLIPSTREAM_LIBS_TIMESTAMP_TIMESTAMP_H_
#define SLIPSTREAM_LIBS_TIMESTAMP_TIMESTAMP_H_

#include <time.h>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace slipstream::timestamp {

inline google::protobuf::Timestamp FromTime(absl::Time time) {
  const timespec spec = absl::ToTimespec(time);
  google::protobuf::Timestamp out;
  out.set_seconds(spec.tv_sec);
  out.set_nanos(static_cast<int32_t>(spec.tv_nsec));
  return out;
}

inline absl::Time ToTime(const google::protobuf::Timestamp& from) {
  return absl::FromUnixSeconds(from.seconds()) + absl::Nanoseconds(from.nanos());
}

}  // namespace slipstream::timestamp

#endif  // SLIPSTREAM_LIBS_TIMESTAMP_TIMESTAMP_H_
