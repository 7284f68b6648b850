#include "tests/chaos/cache_model.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace slipstream::chaos {

void ModelKey::Raise(int64_t n, const char* by) {
  raised_by.store(by);
  raised_at_ms.store(absl::ToUnixMillis(absl::Now()));
  floor.store(n);
}

CacheModel::CacheModel(int groups_count, int group_size, uint64_t run)
    : groups_count_(groups_count), group_size_(group_size), run_(run) {
  for (int i = 0; i < groups_count * group_size; ++i) {
    auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
    slot.all.push_back(MakeKey(i, 0));
    slot.now.store(slot.all.back().get(), std::memory_order_release);
  }
}

std::unique_ptr<ModelKey> CacheModel::MakeKey(int slot, size_t life) const {
  const int group = slot / group_size_;
  auto made = std::make_unique<ModelKey>();
  made->key.set_namespace_(kNamespace);
  made->key.set_type(cache::v1::CacheKey::API_RESPONSE);
  made->key.set_scope(cache::v1::CacheKey::USER);
  // Keys of different runs on one Redis are different ones.
  made->key.set_key(absl::StrCat("g", group, "/", slot, "/", life, "/", run_));
  made->tag = TagOf(group);
  made->name = absl::StrCat(made->key.key(), "#");
  return made;
}

void CacheModel::Retire(int slot) {
  Slot& retired = *slots_[static_cast<size_t>(slot)];
  retired.all.push_back(MakeKey(slot, retired.all.size()));
  retired.now.store(retired.all.back().get(), std::memory_order_release);
}

std::string CacheModel::TagOf(int group) { return absl::StrCat("group-", group); }

std::string CacheModel::GlobOf(int group) {
  return absl::StrCat(kNamespace, "/api_response/g", group, "/*");
}

std::string CacheModel::ValueOf(const ModelKey& key, int64_t n) {
  // One in sixteen is long enough to be compressed.
  const size_t padding = n % 16 == 0 ? 3000 : 40;
  return absl::StrCat(key.name, n, "#", std::string(padding, 'x'));
}

int64_t CacheModel::NumberIn(const ModelKey& key, std::string_view value) {
  if (value.substr(0, key.name.size()) != key.name) return -1;
  const std::string_view rest = value.substr(key.name.size());
  int64_t n = -1;
  const size_t end = rest.find('#');
  if (end == std::string_view::npos || !absl::SimpleAtoi(absl::string_view(rest.data(), end), &n)) {
    return -1;
  }
  return value == ValueOf(key, n) ? n : -1;
}

}  // namespace slipstream::chaos
