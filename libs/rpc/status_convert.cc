#include "libs/rpc/status_convert.h"

#include "google/rpc/status.pb.h"
#include "libs/status/status.h"

namespace slipstream::rpc {

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return {};
  const google::rpc::Status rpc_status = status::ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), rpc_status.message(),
                      rpc_status.SerializeAsString());
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status rpc_status;
  if (!status.error_details().empty() && rpc_status.ParseFromString(status.error_details()) &&
      rpc_status.code() == static_cast<int>(status.error_code())) {
    return status::FromRpcStatus(rpc_status);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace slipstream::rpc
