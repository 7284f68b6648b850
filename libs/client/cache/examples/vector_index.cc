#include "libs/client/cache/examples/vector_index.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace slipstream::cache_client::examples {

namespace {

std::vector<float> OfLengthOne(absl::Span<const float> vector) {
  const float length =
      std::sqrt(std::inner_product(vector.begin(), vector.end(), vector.begin(), 0.0f));
  std::vector<float> out(vector.begin(), vector.end());
  if (length > 0) {
    for (float& x : out) x /= length;
  }
  return out;
}

}  // namespace

absl::Status VectorIndex::Build(std::vector<Document> documents) {
  for (Document& document : documents) {
    if (document.vector.size() != documents[0].vector.size()) {
      return absl::InvalidArgumentError("all vectors of an index have the same length");
    }
    document.vector = OfLengthOne(document.vector);
  }
  auto built = std::make_shared<const std::vector<Document>>(std::move(documents));
  sync::MutexLock lock(mutex_);
  documents_ = std::move(built);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Match>> VectorIndex::Search(absl::Span<const float> query,
                                                       size_t count) const {
  Documents documents;
  {
    sync::MutexLock lock(mutex_);
    ++searches_count_;
    documents = documents_;
  }
  if (documents == nullptr || documents->empty()) return std::vector<Match>();
  if (query.size() != (*documents)[0].vector.size()) {
    return absl::InvalidArgumentError("the query's vector has another length than the index's");
  }
  const std::vector<float> normal = OfLengthOne(query);
  std::vector<Match> matches;
  for (const Document& document : *documents) {
    matches.push_back({document.id, std::inner_product(normal.begin(), normal.end(),
                                                       document.vector.begin(), 0.0f)});
  }
  count = std::min(count, matches.size());
  std::partial_sort(matches.begin(), matches.begin() + static_cast<ptrdiff_t>(count), matches.end(),
                    [](const Match& a, const Match& b) {
                      return a.score != b.score ? a.score > b.score : a.id < b.id;
                    });
  matches.resize(count);
  return matches;
}

int64_t VectorIndex::searches_count() const {
  sync::MutexLock lock(mutex_);
  return searches_count_;
}

}  // namespace slipstream::cache_client::examples
