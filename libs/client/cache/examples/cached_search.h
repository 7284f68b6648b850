// Searches of a VectorIndex, kept in the cache under the index's tag and made invalid when the
// index is built anew.
//
// Thread safety: all methods, from any coroutine. Errors: the index's, and for Reindex the cache's.
#ifndef LIBS_CLIENT_CACHE_EXAMPLES_CACHED_SEARCH_H_
#define LIBS_CLIENT_CACHE_EXAMPLES_CACHED_SEARCH_H_

#include <string>
#include <vector>

#include "libs/client/cache/examples/vector_index.h"
#include "libs/client/cache/typed_cached_function.h"

namespace slipstream::cache_client::examples {

using Matches = std::vector<Match>;

// A line for each match: score, a blank, id.
std::string Serialize(const Matches& matches);
absl::StatusOr<Matches> Parse(std::string_view text);

class CachedSearch {
 public:
  // All outlive it. `name` is the index's, 1-100 characters.
  CachedSearch(const CachedFunction::Deps& deps, VectorIndex& index, std::string name);

  // As index.Search. `call` is in the name of the service that owns the index.
  Async<absl::StatusOr<Matches>> Search(rpc::CallOptions call, std::vector<float> query,
                                        size_t count);

  // Builds the index of these documents. When it is OK, no search that begins afterwards is
  // answered from the old ones, on any node. UNAVAILABLE: the index is new, but old answers may
  // live on until their time is over; call it again.
  Async<absl::Status> Reindex(rpc::CallOptions call, std::vector<Document> documents);

 private:
  std::string Tag() const { return "index:" + name_; }

  CacheClient& cache_;
  VectorIndex& index_;
  const std::string name_;
  TypedCachedFunction<Matches> searches_;
};

}  // namespace slipstream::cache_client::examples

#endif  // LIBS_CLIENT_CACHE_EXAMPLES_CACHED_SEARCH_H_
