// Many reads in one call, without an object for each key and value: keys of one namespace, type and
// scope go into the request's bytes as they are added, values are views into the answer's bytes.
// Twice as fast as GetMany with messages when the values are small.
//
//   KeyBatch keys(common);                        // all of a CacheKey but its `key`
//   for (const auto& id : ids) keys.Add(id);
//   auto found = co_await cache.GetMany(call, keys);
//   if (found.ok()) for (const auto& one : *found) if (one.has_value()) Use(one.value);
//
// Thread safety: as a std::vector.
#ifndef LIBS_CLIENT_CACHE_KEY_BATCH_H_
#define LIBS_CLIENT_CACHE_KEY_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "slipstream/cache/v1/cache.pb.h"

namespace slipstream::cache_client {

class KeyBatch {
 public:
  // `common`: namespace, type, scope and role of all; its `key` is not looked at.
  explicit KeyBatch(const cache::v1::CacheKey& common);

  // At most 256 keys a call, each 1-4,096 bytes; the service refuses others.
  void Add(std::string_view key);
  void Clear();
  size_t size() const { return count_; }

  // A serialized GetManyRequest.
  const std::string& bytes() const { return bytes_; }

 private:
  std::string common_;  // the fields before `key`, serialized
  std::string bytes_;
  size_t count_ = 0;
};

class ValueBatch {
 public:
  struct Item {
    cache::v1::GetResponse::Result result = cache::v1::GetResponse::MISS;
    cache::v1::GetResponse::Tier tier = cache::v1::GetResponse::TIER_UNSPECIFIED;
    bool negative = false;   // states that there is no value
    std::string_view value;  // lives as long as the batch
    uint64_t version = 0;
    int64_t ttl_left_ms = 0;  // until its hard end
    int64_t age_ms = 0;       // since it was stored

    bool has_value() const { return stale() || result == cache::v1::GetResponse::HIT; }
    bool stale() const { return result == cache::v1::GetResponse::STALE; }
  };
  using const_iterator = std::vector<Item>::const_iterator;

  ValueBatch() = default;
  // Of a serialized GetManyResponse in one piece, which `owner` keeps. INTERNAL when it is none.
  static absl::StatusOr<ValueBatch> Parse(std::string_view bytes,
                                          std::shared_ptr<const void> owner);

  // In the order of the keys.
  size_t size() const { return items_.size(); }
  const Item& operator[](size_t i) const { return items_[i]; }
  const_iterator begin() const { return items_.begin(); }
  const_iterator end() const { return items_.end(); }

 private:
  std::shared_ptr<const void> owner_;  // of what the items are views into
  std::vector<Item> items_;
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_KEY_BATCH_H_
