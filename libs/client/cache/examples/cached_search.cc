#include "libs/client/cache/examples/cached_search.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace slipstream::cache_client::examples {

namespace {

constexpr char kNamespace[] = "vector-search-example";

CachedFunctionOptions OptionsWithTag(std::string tag) {
  CachedFunctionOptions out;
  // The type's own lifetime, 15 minutes; the tag ends it when the index changes.
  out.entry.add_tags(std::move(tag));
  return out;
}

// Everything that the answer depends on. The bytes of the vector itself: no rounding, no separator.
cache::v1::CacheKey KeyOf(const std::string& name, const std::vector<float>& query, size_t count) {
  cache::v1::CacheKey key;
  key.set_namespace_(kNamespace);
  key.set_type(cache::v1::CacheKey::VECTOR_SEARCH);
  // All users of the index share its answers, so that one invalidation reaches them all.
  key.set_scope(cache::v1::CacheKey::PUBLIC);
  key.set_key(absl::StrCat(name, "/", count, "/"));
  key.mutable_key()->append(reinterpret_cast<const char*>(query.data()),
                            query.size() * sizeof(float));
  return key;
}

}  // namespace

std::string Serialize(const Matches& matches) {
  std::string out;
  for (const Match& match : matches) absl::StrAppend(&out, match.score, " ", match.id, "\n");
  return out;
}

absl::StatusOr<Matches> Parse(std::string_view text) {
  Matches out;
  const absl::string_view lines(text.data(), text.size());
  for (const absl::string_view line : absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    Match match;
    if (!absl::SimpleAtof(parts.first, &match.score)) {
      return absl::InvalidArgumentError("a line has no score");
    }
    match.id = std::string(parts.second);
    out.push_back(std::move(match));
  }
  return out;
}

CachedSearch::CachedSearch(const CachedFunction::Deps& deps, VectorIndex& index, std::string name)
    : cache_(deps.client),
      index_(index),
      name_(std::move(name)),
      searches_(deps, OptionsWithTag(Tag()), {Serialize, Parse}) {}

Async<absl::StatusOr<Matches>> CachedSearch::Search(rpc::CallOptions call, std::vector<float> query,
                                                    size_t count) {
  auto key = KeyOf(name_, query, count);
  auto found = co_await searches_.Call(
      std::move(call), std::move(key),
      [this, query = std::move(query), count]() -> Async<absl::StatusOr<std::optional<Matches>>> {
        auto matches = index_.Search(query, count);
        if (!matches.ok()) co_return matches.status();
        co_return *std::move(matches);
      });
  if (!found.ok()) co_return found.status();
  co_return found->value_or(Matches());
}

Async<absl::Status> CachedSearch::Reindex(rpc::CallOptions call, std::vector<Document> documents) {
  // First the index, then the invalidation: a search in between may still store an old answer, and
  // the invalidation ends it or kills its lease. The other way round it would stay.
  if (absl::Status built = index_.Build(std::move(documents)); !built.ok()) co_return built;
  cache::v1::InvalidateRequest request;
  request.mutable_tag()->set_namespace_(kNamespace);
  request.mutable_tag()->set_tag(Tag());
  co_return (co_await cache_.Invalidate(std::move(call), std::move(request))).status();
}

}  // namespace slipstream::cache_client::examples
