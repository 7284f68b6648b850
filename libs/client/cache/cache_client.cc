#include "libs/client/cache/cache_client.h"

#include <utility>

#include "libs/rpc/client_call.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"

namespace slipstream::cache_client {

namespace v1 = cache::v1;

struct CacheClient::Stub {
  std::unique_ptr<v1::CacheService::Stub> rpc;
};

CacheClient::CacheClient(std::shared_ptr<grpc::Channel> channel)
    : stub_(new Stub{v1::CacheService::NewStub(std::move(channel))}) {}

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
  std::optional<CachedValue> found;
  if (response->result() == v1::GetResponse::HIT || response->result() == v1::GetResponse::STALE) {
    found.emplace();
    found->value = std::move(*response->mutable_value()->mutable_value());
    found->version = response->value().version();
    found->stale = response->result() == v1::GetResponse::STALE;
    found->negative = response->value().negative();
  }
  co_return found;
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

}  // namespace slipstream::cache_client
