// KeyBatch and ValueBatch as what gRPC carries, for callers with a generic stub of their own:
// kGetManyMethod with a request of RequestOf, and ValuesOf its answer. CacheClient::GetMany does
// so.
//
// Thread safety: free functions.
#ifndef LIBS_CLIENT_CACHE_BATCH_BUFFERS_H_
#define LIBS_CLIENT_CACHE_BATCH_BUFFERS_H_

#include <grpcpp/support/byte_buffer.h>

#include "libs/client/cache/key_batch.h"

namespace slipstream::cache_client {

inline constexpr char kGetManyMethod[] = "/slipstream.cache.v1.CacheService/GetMany";

grpc::ByteBuffer RequestOf(const KeyBatch& keys);
// INTERNAL when it is no GetManyResponse.
absl::StatusOr<ValueBatch> ValuesOf(const grpc::ByteBuffer& answer);

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_BATCH_BUFFERS_H_
