// CachedFunction for values of a type, with the functions that write and read it.
//
//   TypedCachedFunction<Report> reports(deps, options, {SerializeReport, ParseReport});
//   auto report = co_await reports.Call(call, key, [=] { return MakeReport(id); });
//
// A cached value that does not parse, as one that an older version of the program stored, is
// removed and computed anew.
//
// Thread safety and errors: as CachedFunction.
#ifndef LIBS_CLIENT_CACHE_TYPED_CACHED_FUNCTION_H_
#define LIBS_CLIENT_CACHE_TYPED_CACHED_FUNCTION_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "libs/client/cache/cached_function.h"

namespace slipstream::cache_client {

template <class T>
class TypedCachedFunction {
 public:
  struct Codec {
    std::function<std::string(const T&)> serialize;
    std::function<absl::StatusOr<T>(std::string_view)> parse;
  };
  using Compute = std::function<Async<absl::StatusOr<std::optional<T>>>()>;

  TypedCachedFunction(const CachedFunction::Deps& deps, CachedFunctionOptions options, Codec codec)
      : client_(deps.client), codec_(std::move(codec)), function_(deps, std::move(options)) {}

  // nullopt: there is none.
  Async<absl::StatusOr<std::optional<T>>> Call(rpc::CallOptions call, cache::v1::CacheKey key,
                                               Compute compute) {
    // Shared: a renewal in the background outlives this frame.
    const auto shared = std::make_shared<const Compute>(std::move(compute));
    const auto bytes = [this, shared]() -> Async<Computed> {
      auto computed = co_await (*shared)();
      if (!computed.ok()) co_return computed.status();
      if (!*computed) co_return std::optional<std::string>();
      co_return std::optional<std::string>(codec_.serialize(**computed));
    };
    for (int attempt = 0;; ++attempt) {
      auto answer = co_await function_.Call(call, key, bytes);
      if (!answer.ok()) co_return answer.status();
      if (!answer->value) co_return std::optional<T>();
      auto parsed = codec_.parse(*answer->value);
      if (parsed.ok()) co_return std::optional<T>(*std::move(parsed));
      if (attempt > 0) co_return parsed.status();
      (void)co_await client_.Delete(call, key);
    }
  }

 private:
  CacheClient& client_;
  const Codec codec_;
  CachedFunction function_;
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_TYPED_CACHED_FUNCTION_H_
