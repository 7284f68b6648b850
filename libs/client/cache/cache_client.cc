#include "libs/client/cache/cache_client.h"

#include <utility>

#include "libs/client/cache/batch_buffers.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"

namespace slipstream::cache_client {

namespace v1 = cache::v1;

namespace {

CachedValue ValueOf(v1::CacheValue&& message, bool stale) {
  CachedValue out;
  out.value = std::move(*message.mutable_value());
  out.version = message.version();
  out.stale = stale;
  out.negative = message.negative();
  out.ttl_left = absl::Milliseconds(message.ttl_left_ms());
  out.age = absl::Milliseconds(message.age_ms());
  return out;
}

std::optional<CachedValue> FoundIn(v1::GetResponse&& response) {
  const bool stale = response.result() == v1::GetResponse::STALE;
  if (!stale && response.result() != v1::GetResponse::HIT) return std::nullopt;
  return ValueOf(std::move(*response.mutable_value()), stale);
}

}  // namespace

struct CacheClient::Stub {
  explicit Stub(std::shared_ptr<grpc::Channel> channel)
      : rpc(v1::CacheService::NewStub(channel)), bytes(std::move(channel)) {}
  std::unique_ptr<v1::CacheService::Stub> rpc;
  grpc::GenericStub bytes;
};

CacheClient::CacheClient(std::shared_ptr<grpc::Channel> channel)
    : stub_(std::make_unique<Stub>(std::move(channel))) {}

CacheClient::~CacheClient() = default;

Async<absl::StatusOr<std::optional<CachedValue>>> CacheClient::Get(rpc::CallOptions call,
                                                                   v1::CacheKey key) {
  v1::GetRequest request;
  *request.mutable_key() = std::move(key);
  auto response = co_await rpc::CallUnary<v1::GetResponse>(
      call, [&](grpc::ClientContext* context, v1::GetResponse* out, auto done) {
        stub_->rpc->async()->Get(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  co_return FoundIn(*std::move(response));
}

Async<absl::StatusOr<uint64_t>> CacheClient::Set(rpc::CallOptions call, v1::CacheKey key,
                                                 std::string value, v1::EntryOptions options) {
  v1::SetRequest request;
  *request.mutable_key() = std::move(key);
  request.set_value(std::move(value));
  *request.mutable_options() = std::move(options);
  auto response = co_await rpc::CallUnary<v1::SetResponse>(
      call, [&](grpc::ClientContext* context, v1::SetResponse* out, auto done) {
        stub_->rpc->async()->Set(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  co_return response->version();
}

Async<absl::StatusOr<bool>> CacheClient::Delete(rpc::CallOptions call, v1::CacheKey key) {
  v1::DeleteRequest request;
  *request.mutable_key() = std::move(key);
  auto response = co_await rpc::CallUnary<v1::DeleteResponse>(
      call, [&](grpc::ClientContext* context, v1::DeleteResponse* out, auto done) {
        stub_->rpc->async()->Delete(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  co_return response->existed();
}

Async<absl::StatusOr<std::vector<std::optional<CachedValue>>>> CacheClient::GetMany(
    rpc::CallOptions call, std::vector<v1::CacheKey> keys) {
  v1::GetManyRequest request;
  for (auto& key : keys) *request.add_keys() = std::move(key);
  auto response = co_await rpc::CallUnary<v1::GetManyResponse>(
      call, [&](grpc::ClientContext* context, v1::GetManyResponse* out, auto done) {
        stub_->rpc->async()->GetMany(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  std::vector<std::optional<CachedValue>> found;
  for (auto& result : *response->mutable_results()) found.push_back(FoundIn(std::move(result)));
  co_return found;
}

Async<absl::StatusOr<ValueBatch>> CacheClient::GetMany(rpc::CallOptions call,
                                                       const KeyBatch& keys) {
  const grpc::ByteBuffer request = RequestOf(keys);
  auto response = co_await rpc::CallUnary<grpc::ByteBuffer>(
      call, [&](grpc::ClientContext* context, grpc::ByteBuffer* out, auto done) {
        stub_->bytes.UnaryCall(context, kGetManyMethod, grpc::StubOptions(kGetManyMethod), &request,
                               out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  co_return ValuesOf(*response);
}

Async<absl::StatusOr<std::vector<absl::StatusOr<uint64_t>>>> CacheClient::SetMany(
    rpc::CallOptions call, std::vector<v1::SetRequest> entries) {
  v1::SetManyRequest request;
  for (auto& entry : entries) *request.add_entries() = std::move(entry);
  auto response = co_await rpc::CallUnary<v1::SetManyResponse>(
      call, [&](grpc::ClientContext* context, v1::SetManyResponse* out, auto done) {
        stub_->rpc->async()->SetMany(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  std::vector<absl::StatusOr<uint64_t>> stored;
  for (const auto& result : response->results()) {
    if (result.reason().empty()) {
      stored.push_back(result.version());
    } else {
      stored.push_back(
          status::Error(absl::StatusCode::kFailedPrecondition, result.reason(), result.message()));
    }
  }
  co_return stored;
}

Async<absl::StatusOr<LeaseAnswer>> CacheClient::GetOrLease(rpc::CallOptions call, v1::CacheKey key,
                                                           LeaseRequest ask) {
  v1::GetOrLeaseRequest request;
  *request.mutable_key() = std::move(key);
  request.set_wait_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(ask.wait)));
  request.set_lease_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(ask.lease)));
  request.set_accept_stale(ask.accept_stale);
  auto response = co_await rpc::CallUnary<v1::GetOrLeaseResponse>(
      call, [&](grpc::ClientContext* context, v1::GetOrLeaseResponse* out, auto done) {
        stub_->rpc->async()->GetOrLease(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  LeaseAnswer answer;
  switch (response->result()) {
    case v1::GetOrLeaseResponse::HIT:
      answer.result = LeaseAnswer::kHit;
      break;
    case v1::GetOrLeaseResponse::STALE:
      answer.result = LeaseAnswer::kStale;
      break;
    case v1::GetOrLeaseResponse::LEASED:
      answer.result = LeaseAnswer::kLeased;
      answer.lease_token = response->lease_token();
      answer.lease = absl::Milliseconds(response->lease_ms());
      break;
    default:
      answer.result = LeaseAnswer::kBusy;
  }
  if (response->has_value()) {
    answer.value =
        ValueOf(std::move(*response->mutable_value()), answer.result != LeaseAnswer::kHit);
  }
  co_return answer;
}

Async<absl::StatusOr<bool>> CacheClient::Fill(rpc::CallOptions call, v1::CacheKey key,
                                              std::string lease_token, std::string value,
                                              v1::EntryOptions options) {
  v1::FillRequest request;
  *request.mutable_key() = std::move(key);
  request.set_lease_token(std::move(lease_token));
  request.set_value(std::move(value));
  *request.mutable_options() = std::move(options);
  auto response = co_await rpc::CallUnary<v1::FillResponse>(
      call, [&](grpc::ClientContext* context, v1::FillResponse* out, auto done) {
        stub_->rpc->async()->Fill(context, &request, out, std::move(done));
      });
  if (!response.ok()) co_return response.status();
  co_return response->stored();
}

Async<absl::Status> CacheClient::Abandon(rpc::CallOptions call, v1::CacheKey key,
                                         std::string lease_token) {
  v1::FillRequest request;
  *request.mutable_key() = std::move(key);
  request.set_lease_token(std::move(lease_token));
  request.set_abandon(true);
  auto response = co_await rpc::CallUnary<v1::FillResponse>(
      call, [&](grpc::ClientContext* context, v1::FillResponse* out, auto done) {
        stub_->rpc->async()->Fill(context, &request, out, std::move(done));
      });
  co_return response.status();
}

Async<absl::StatusOr<v1::InvalidateResponse>> CacheClient::Invalidate(
    rpc::CallOptions call, v1::InvalidateRequest request) {
  co_return co_await rpc::CallUnary<v1::InvalidateResponse>(
      call, [&](grpc::ClientContext* context, v1::InvalidateResponse* out, auto done) {
        stub_->rpc->async()->Invalidate(context, &request, out, std::move(done));
      });
}

}  // namespace slipstream::cache_client
