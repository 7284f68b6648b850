// A call's request metadata where gRPC keeps it, without the map of it that gRPC makes when asked:
// that costs an allocation and a tree's insert for each of the call's headers, of which the chain
// wants three.
//
// Thread safety: immutable; valid for as long as the call's context.
#ifndef LIBS_RPC_GRPC_METADATA_H_
#define LIBS_RPC_GRPC_METADATA_H_

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>

#include "libs/rpc/call_context.h"

namespace slipstream::rpc {

class GrpcMetadata final : public MetadataSource {
 public:
  explicit GrpcMetadata(grpc::CallbackServerContext& context);
  std::string_view Find(std::string_view key) const override;
  std::string Peer() const override { return context_.peer(); }

 private:
  const grpc::CallbackServerContext& context_;
  const grpc_metadata_array& headers_;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_GRPC_METADATA_H_
