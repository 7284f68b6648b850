// absl::Status <-> grpc::Status. Details travel as a serialized google.rpc.Status, as gRPC's
// "grpc-status-details-bin" wants them.
//
// Thread safety: pure functions.
#ifndef LIBS_RPC_STATUS_CONVERT_H_
#define LIBS_RPC_STATUS_CONVERT_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace slipstream::rpc {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STATUS_CONVERT_H_
