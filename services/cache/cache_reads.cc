#include "services/cache/cache_reads.h"

#include <grpc/slice.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/cache/cache_service.h"
#include "services/cache/cache_wire.h"

namespace slipstream::cache {

namespace {

// Where a single key stands in its request.
constexpr FieldPath kKeyField{.prefix = "key"};

// A request's bytes in one piece, which lives as long as this.
class RequestBytes {
 public:
  explicit RequestBytes(const grpc::ByteBuffer& buffer) {
    if (!buffer.TrySingleSlice(&slice_).ok() && !buffer.DumpToSingleSlice(&slice_).ok()) {
      slice_ = grpc::Slice();  // no bytes at all: a message without fields
    }
  }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(slice_.begin()), slice_.size()};
  }

 private:
  grpc::Slice slice_;
};

template <class Message>
absl::Status Parse(std::string_view bytes, const char* field, Message* out) {
  if (out->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return status::FieldError(field, "the message is malformed");
}

// The key of a Get, and what it is a view into.
class GetKey {
 public:
  GetKey(const rpc::CallContext& call, const grpc::ByteBuffer& request)
      : bytes_(request), key_(Read(call)) {}
  const absl::StatusOr<ScopedKey>& operator*() const { return key_; }

 private:
  absl::StatusOr<ScopedKey> Read(const rpc::CallContext& call) {
    const CallerScopes scopes(call.principal());
    KeyParts parts;
    if (wire::ReadGetRequest(bytes_.view(), &parts)) return scopes.Key(parts, kKeyField);
    absl::Status parsed = Parse(bytes_.view(), "key", &message_.emplace());
    if (!parsed.ok()) return parsed;
    return scopes.Key(message_->key(), kKeyField);
  }

  const RequestBytes bytes_;
  std::optional<v1::GetRequest> message_;
  const absl::StatusOr<ScopedKey> key_;
};

// The keys of a GetMany, and what they are views into.
class GetManyKeys {
 public:
  // The keys are made in `room`, whose memory is used again; it outlives this.
  GetManyKeys(const rpc::CallContext& call, const grpc::ByteBuffer& request,
              std::vector<ScopedKey>* room)
      : bytes_(request), room_(*room), status_(Read(call)) {}
  const absl::Status& status() const { return status_; }
  // REQUIRES: status().ok().
  absl::Span<const ScopedKey> keys() const { return absl::MakeConstSpan(room_).first(count_); }

 private:
  absl::Status Read(const rpc::CallContext& call) {
    constexpr size_t kMaxCount = CacheService::kMaxBatchCount;
    wire::Keys parts;
    if (!wire::ReadGetManyRequest(bytes_.view(), kMaxCount, &parts)) {
      parts.clear();
      absl::Status parsed = Parse(bytes_.view(), "keys", &message_.emplace());
      if (!parsed.ok()) return parsed;
      for (const auto& key : message_->keys()) parts.push_back(KeyParts::Of(key));
    }
    if (parts.empty() || parts.size() > kMaxCount) {
      return status::FieldError("keys", absl::StrCat("must be 1-", kMaxCount));
    }
    const CallerScopes scopes(call.principal());
    auto first = scopes.Key(parts[0], {"keys", 0});
    if (!first.ok()) return first.status();
    room_.reserve(parts.size());
    while (room_.size() < parts.size()) room_.push_back(*first);
    room_[0] = *std::move(first);
    for (size_t i = 1; i < parts.size(); ++i) {
      absl::Status bad = scopes.PutKeyAfter(room_[i - 1], parts[i - 1], parts[i],
                                            {"keys", static_cast<int>(i)}, &room_[i]);
      if (!bad.ok()) return bad;
    }
    count_ = parts.size();
    return absl::OkStatus();
  }

  const RequestBytes bytes_;
  std::optional<v1::GetManyRequest> message_;
  std::vector<ScopedKey>& room_;
  size_t count_ = 0;
  const absl::Status status_;
};

// `write` fills `size` bytes.
template <class Write>
void Put(size_t size, Write write, grpc::ByteBuffer* answer) {
  grpc_slice bytes = grpc_slice_malloc(size);
  write(reinterpret_cast<char*>(GRPC_SLICE_START_PTR(bytes)));
  const grpc::Slice slice(bytes, grpc::Slice::STEAL_REF);
  grpc::ByteBuffer made(&slice, 1);
  answer->Swap(&made);
}

void PutOne(const Found& found, grpc::ByteBuffer* answer) {
  Put(wire::GetResponseBytes(found), [&](char* at) { wire::WriteGetResponse(found, at); }, answer);
}

}  // namespace

bool CacheReads::GetNow(rpc::CallContext& call, const grpc::ByteBuffer& request,
                        grpc::ByteBuffer* answer, absl::Status* status) {
  const GetKey key(call, request);
  if (!(*key).ok()) {
    *status = (*key).status();
    return true;
  }
  Found found;
  if (!engine_.GetNow(**key, &found)) return false;
  engine_.Unpack(absl::MakeSpan(&found, 1));
  PutOne(found, answer);
  return true;
}

Async<absl::Status> CacheReads::Get(rpc::CallContext& call, const grpc::ByteBuffer& request,
                                    grpc::ByteBuffer* answer) {
  const GetKey key(call, request);
  if (!(*key).ok()) co_return (*key).status();
  Found found = co_await engine_.Get(**key);
  engine_.Unpack(absl::MakeSpan(&found, 1));
  PutOne(found, answer);
  co_return absl::OkStatus();
}

bool CacheReads::GetManyNow(rpc::CallContext& call, const grpc::ByteBuffer& request,
                            grpc::ByteBuffer* answer, absl::Status* status) {
  // Nothing in here waits, so the thread's next call finds the room free.
  thread_local std::vector<ScopedKey> room;
  const GetManyKeys asked(call, request, &room);
  if (!asked.status().ok()) {
    *status = asked.status();
    return true;
  }
  std::vector<Found> found(asked.keys().size());
  if (!engine_.GetManyNow(asked.keys(), absl::MakeSpan(found))) return false;
  *status = Answer(absl::MakeSpan(found), answer);
  return true;
}

Async<absl::Status> CacheReads::GetMany(rpc::CallContext& call, const grpc::ByteBuffer& request,
                                        grpc::ByteBuffer* answer) {
  std::vector<ScopedKey> room;
  const GetManyKeys asked(call, request, &room);
  if (!asked.status().ok()) co_return asked.status();
  std::vector<Found> found(asked.keys().size());
  co_await engine_.GetMany(asked.keys(), absl::MakeSpan(found));
  co_return Answer(absl::MakeSpan(found), answer);
}

absl::Status CacheReads::Answer(absl::Span<Found> found, grpc::ByteBuffer* answer) const {
  // Before anything is decompressed: small entries can hold far more than an answer may.
  size_t values_bytes = 0;
  for (const Found& one : found) values_bytes += one.ValueBytes();
  if (absl::Status large = CheckSize(values_bytes); !large.ok()) return large;
  engine_.Unpack(found);
  const size_t bytes = wire::GetManyResponseBytes(found);
  if (absl::Status large = CheckSize(bytes); !large.ok()) return large;
  Put(bytes, [&](char* at) { wire::WriteGetManyResponse(found, bytes, at); }, answer);
  return absl::OkStatus();
}

absl::Status CacheReads::CheckSize(size_t bytes) const {
  if (static_cast<int64_t>(bytes) <= max_response_bytes_) return absl::OkStatus();
  return status::Error(absl::StatusCode::kResourceExhausted, "RESPONSE_TOO_LARGE",
                       absl::StrCat("the values have ", bytes, " bytes together, an answer holds ",
                                    max_response_bytes_, "; ask for fewer keys at once"));
}

}  // namespace slipstream::cache
