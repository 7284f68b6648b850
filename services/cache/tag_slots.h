// Which of EpochTable's slots a tag has: a keyed hash, so that nobody who does not know the seed
// can aim at a slot, and so that all nodes that share a seed agree.
//
// Thread safety: immutable.
#ifndef SERVICES_CACHE_TAG_SLOTS_H_
#define SERVICES_CACHE_TAG_SLOTS_H_

#include <xxhash.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "services/cache/cache_key.h"
#include "services/cache/epoch_table.h"

namespace slipstream::cache {

class TagSlots {
 public:
  // The namespace's and a tag's are kept without an allocation.
  using Slots = absl::InlinedVector<uint32_t, 4>;

  explicit TagSlots(uint64_t seed) : seed_(seed) {}

  uint32_t Of(std::string_view tag_id) const {
    return EpochTable::SlotOf(XXH3_64bits_withSeed(tag_id.data(), tag_id.size(), seed_));
  }
  Slots Of(absl::Span<const ScopedTag> tags) const {
    Slots out;
    for (const auto& tag : tags) out.push_back(Of(tag.id()));
    return out;
  }
  Slots Of(absl::Span<const std::string> tag_ids) const {
    Slots out;
    for (const auto& id : tag_ids) out.push_back(Of(id));
    return out;
  }

 private:
  uint64_t seed_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_TAG_SLOTS_H_
