// Get and GetMany on the bytes that gRPC carries (cache_wire.h): the service's part between a call
// and the engine for the two methods that are called most. Each answers inline what the process has
// in memory, and else waits for the store.
//
// Thread safety: all methods, from any thread; request and answer outlive the call.
// Errors: those of CallerScopes::Key; INVALID_ARGUMENT (INVALID_FIELD) for what is no such message;
// RESOURCE_EXHAUSTED (RESPONSE_TOO_LARGE).
#ifndef SERVICES_CACHE_CACHE_READS_H_
#define SERVICES_CACHE_CACHE_READS_H_

#include <grpcpp/support/byte_buffer.h>

#include "libs/async/async.h"
#include "libs/rpc/call_context.h"
#include "services/cache/cache_engine.h"

namespace slipstream::cache {

class CacheReads {
 public:
  // A GetMany's answer has at most `max_response_bytes`.
  CacheReads(CacheEngine& engine, int64_t max_response_bytes)
      : engine_(engine), max_response_bytes_(max_response_bytes) {}

  // False: the value may be in another tier, and nothing was written; ask Get.
  bool GetNow(rpc::CallContext& call, const grpc::ByteBuffer& request, grpc::ByteBuffer* answer,
              absl::Status* status);
  Async<absl::Status> Get(rpc::CallContext& call, const grpc::ByteBuffer& request,
                          grpc::ByteBuffer* answer);

  bool GetManyNow(rpc::CallContext& call, const grpc::ByteBuffer& request, grpc::ByteBuffer* answer,
                  absl::Status* status);
  Async<absl::Status> GetMany(rpc::CallContext& call, const grpc::ByteBuffer& request,
                              grpc::ByteBuffer* answer);

 private:
  absl::Status Answer(absl::Span<Found> found, grpc::ByteBuffer* answer) const;
  absl::Status CheckSize(size_t bytes) const;

  CacheEngine& engine_;
  const int64_t max_response_bytes_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_READS_H_
