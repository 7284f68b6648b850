#include "libs/client/cache/batch_buffers.h"

#include <utility>

namespace slipstream::cache_client {

grpc::ByteBuffer RequestOf(const KeyBatch& keys) {
  const grpc::Slice slice(keys.bytes());
  return grpc::ByteBuffer(&slice, 1);
}

absl::StatusOr<ValueBatch> ValuesOf(const grpc::ByteBuffer& answer) {
  auto slice = std::make_shared<grpc::Slice>();
  if (answer.Length() > 0 && !answer.TrySingleSlice(slice.get()).ok() &&
      !answer.DumpToSingleSlice(slice.get()).ok()) {
    return absl::InternalError("the cache's answer can't be read");
  }
  const std::string_view bytes(reinterpret_cast<const char*>(slice->begin()), slice->size());
  return ValueBatch::Parse(bytes, std::move(slice));
}

}  // namespace slipstream::cache_client
