#include "libs/rpc/grpc_metadata.h"

#include <grpc/slice.h>
#include <grpcpp/version_info.h>

#include <cstring>

namespace slipstream::rpc {

namespace {

// gRPC has no public way to its array of headers. An explicit instantiation may name a private
// member; look at ServerContextBase and MetadataMap again before another version is let in here.
static_assert(GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51, "see the comment above");

using HeadersMember = grpc::internal::MetadataMap grpc::ServerContextBase::*;

// The definition comes from the instantiation below.
HeadersMember HeadersOf();

template <HeadersMember kMember>
struct Reveal {
  friend HeadersMember HeadersOf() { return kMember; }
};
template struct Reveal<&grpc::ServerContextBase::client_metadata_>;

}  // namespace

GrpcMetadata::GrpcMetadata(grpc::CallbackServerContext& context)
    : context_(context),
      headers_(*(static_cast<grpc::ServerContextBase&>(context).*HeadersOf()).arr()) {}

std::string_view GrpcMetadata::Find(std::string_view key) const {
  for (size_t i = 0; i < headers_.count; ++i) {
    const grpc_metadata& header = headers_.metadata[i];
    if (GRPC_SLICE_LENGTH(header.key) != key.size() ||
        std::memcmp(GRPC_SLICE_START_PTR(header.key), key.data(), key.size()) != 0) {
      continue;
    }
    return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(header.value)),
            GRPC_SLICE_LENGTH(header.value)};
  }
  return {};
}

}  // namespace slipstream::rpc
