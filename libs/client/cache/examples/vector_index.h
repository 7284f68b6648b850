// A small vector index in memory: documents as vectors, searched by cosine similarity. It stands
// for the real one, whose searches are dear.
//
// Thread safety: all methods, from any thread. Errors: INVALID_ARGUMENT for vectors of another
// length.
#ifndef LIBS_CLIENT_CACHE_EXAMPLES_VECTOR_INDEX_H_
#define LIBS_CLIENT_CACHE_EXAMPLES_VECTOR_INDEX_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/sync/mutex.h"

namespace slipstream::cache_client::examples {

struct Document {
  std::string id;
  std::vector<float> vector;
};

struct Match {
  std::string id;
  float score = 0;  // cosine similarity, -1 to 1
};

class VectorIndex {
 public:
  // Replaces all documents at once; a search sees all of the old ones or all of the new.
  absl::Status Build(std::vector<Document> documents);

  // The `count` nearest, the best first; ties by id.
  absl::StatusOr<std::vector<Match>> Search(absl::Span<const float> query, size_t count) const;

  // Searches so far: what the cache saves.
  int64_t searches_count() const;

 private:
  using Documents = std::shared_ptr<const std::vector<Document>>;  // with vectors of length 1

  mutable sync::Mutex mutex_;
  Documents documents_ ABSL_GUARDED_BY(mutex_);
  mutable int64_t searches_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::cache_client::examples

#endif  // LIBS_CLIENT_CACHE_EXAMPLES_VECTOR_INDEX_H_
