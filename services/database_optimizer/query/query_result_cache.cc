#include "services/database_optimizer/query/query_result_cache.h"

#include <openssl/sha.h>

#include <memory>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace slipstream::database_optimizer {

namespace {

constexpr char kNamespace[] = "database_optimizer";

cache_client::CachedFunctionOptions Options() {
  cache_client::CachedFunctionOptions options;
  options.accept_stale = false;
  options.max_age_on_error = absl::ZeroDuration();
  // As long as a statement may take.
  options.lease = absl::Seconds(60);
  options.max_wait = absl::Seconds(30);
  return options;
}

// Whatever the answer depends on, in one order; allow_replica does not change what is cached.
std::string KeyOf(const v1::QueryRequest& request) {
  v1::QueryRequest canonical = request;
  canonical.clear_allow_replica();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    canonical.SerializeToCodedStream(&coded);
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

cache::v1::CacheKey CacheKeyOf(const v1::QueryRequest& request) {
  cache::v1::CacheKey key;
  key.set_namespace_(kNamespace);
  key.set_type(cache::v1::CacheKey::API_RESPONSE);
  key.set_scope(cache::v1::CacheKey::USER);
  key.set_key(KeyOf(request));
  return key;
}

}  // namespace

QueryResultCache::QueryResultCache(const Deps& deps)
    : deps_(deps), function_({deps.client, deps.scope, deps.clock, deps.random}, Options()) {}

Async<absl::StatusOr<v1::QueryResponse>> QueryResultCache::Get(const v1::QueryRequest& request,
                                                               std::vector<std::string> tags,
                                                               Compute compute) {
  cache::v1::EntryOptions entry;
  entry.set_ttl_ms(request.cache_ttl_ms());
  for (std::string& tag : tags) entry.add_tags(std::move(tag));
  auto answer = co_await function_.Call(
      deps_.own_call(), CacheKeyOf(request),
      [compute = std::move(compute)]() -> Async<cache_client::Computed> {
        auto response = co_await compute();
        if (!response.ok()) co_return response.status();
        co_return response->SerializeAsString();
      },
      std::move(entry));
  if (!answer.ok()) co_return answer.status();
  v1::QueryResponse response;
  if (!answer->value || !response.ParseFromString(*answer->value)) {
    // Of another version of this service.
    co_return absl::DataLossError("a cached result cannot be read; try again without the cache");
  }
  if (answer->source == cache_client::CachedAnswer::kCache) {
    response.set_from_cache(true);
    response.set_duration_ms(0);
  }
  co_return response;
}

Async<absl::Status> QueryResultCache::Invalidate(std::vector<std::string> tags) {
  for (std::string& tag : tags) {
    cache::v1::InvalidateRequest request;
    request.mutable_tag()->set_namespace_(kNamespace);
    request.mutable_tag()->set_tag(std::move(tag));
    auto answer = co_await deps_.client.Invalidate(deps_.own_call(), std::move(request));
    if (!answer.ok()) co_return answer.status();
  }
  co_return absl::OkStatus();
}

}  // namespace slipstream::database_optimizer
