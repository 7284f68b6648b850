// Channels to the other services of the suite.
//
// Thread safety: MakeChannel from any thread; a channel is shared by all callers.
#ifndef LIBS_RPC_CHANNEL_H_
#define LIBS_RPC_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace grpc {
class Channel;
}

namespace slipstream::rpc {

// Headers or trailers of one call, both ways. A token is up to 8 KiB, and an error's message (2
// KiB, three times that percent-encoded) and details (4 KiB, a third more in base64) travel in
// trailers.
inline constexpr int kMaxMetadataBytes = 32 << 10;

struct ChannelOptions {
  int max_message_bytes = 4 << 20;
  absl::Duration keepalive_time = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // gRPC tries a call once more that no server has begun. To be ready for that takes about 10 us of
  // a call's processor time, a third of what the client needs.
  bool retries = true;
};

// `address` is host:port or any gRPC target ("dns:///cache:7401"). Connecting is lazy: the first
// call waits for it or fails UNAVAILABLE. Addresses of a name share the load round robin, and a
// lost connection is tried again after 100 ms to 5 s.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const ChannelOptions& options = {});

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_CHANNEL_H_
