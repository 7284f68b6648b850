#include "libs/client/cache/key_batch.h"

#include <algorithm>
#include <utility>

#include "libs/protowire/protowire.h"

namespace slipstream::cache_client {

namespace v1 = cache::v1;

namespace {

using protowire::BytesTag;
using protowire::Reader;
using protowire::VarintTag;

// Room made for a batch at its first key, so that it is not moved as it grows.
constexpr size_t kLikelyKeysCount = 64;
constexpr size_t kMostReservedBytes = 4096;

// Read are the fields that this version knows, in any order; false for others too.
bool ReadValue(std::string_view bytes, ValueBatch::Item* out) {
  for (Reader reader(bytes); !reader.done();) {
    bool ok = false;
    switch (reader.Tag()) {
      case BytesTag(v1::CacheValue::kValueFieldNumber):
        ok = reader.Bytes(&out->value);
        break;
      case VarintTag(v1::CacheValue::kVersionFieldNumber):
        ok = reader.Varint(&out->version);
        break;
      case VarintTag(v1::CacheValue::kTtlLeftMsFieldNumber):
        ok = reader.Signed(&out->ttl_left_ms);
        break;
      case VarintTag(v1::CacheValue::kAgeMsFieldNumber):
        ok = reader.Signed(&out->age_ms);
        break;
      case VarintTag(v1::CacheValue::kNegativeFieldNumber):
        ok = reader.Bool(&out->negative);
        break;
      default:
        break;
    }
    if (!ok) return false;
  }
  return true;
}

bool ReadResponse(std::string_view bytes, ValueBatch::Item* out) {
  for (Reader reader(bytes); !reader.done();) {
    bool ok = false;
    int number = 0;
    std::string_view value;
    switch (reader.Tag()) {
      case VarintTag(v1::GetResponse::kResultFieldNumber):
        ok = reader.Enum(&number);
        out->result = static_cast<v1::GetResponse::Result>(number);
        break;
      case BytesTag(v1::GetResponse::kValueFieldNumber):
        ok = reader.Bytes(&value) && ReadValue(value, out);
        break;
      case VarintTag(v1::GetResponse::kTierFieldNumber):
        ok = reader.Enum(&number);
        out->tier = static_cast<v1::GetResponse::Tier>(number);
        break;
      default:
        break;
    }
    if (!ok) return false;
  }
  return true;
}

bool ReadAll(std::string_view bytes, std::vector<ValueBatch::Item>* out) {
  for (Reader reader(bytes); !reader.done();) {
    std::string_view response;
    if (reader.Tag() != BytesTag(v1::GetManyResponse::kResultsFieldNumber) ||
        !reader.Bytes(&response) || !ReadResponse(response, &out->emplace_back())) {
      return false;
    }
  }
  return true;
}

ValueBatch::Item ItemOf(const v1::GetResponse& response) {
  ValueBatch::Item out;
  out.result = response.result();
  out.tier = response.tier();
  out.negative = response.value().negative();
  out.value = response.value().value();
  out.version = response.value().version();
  out.ttl_left_ms = response.value().ttl_left_ms();
  out.age_ms = response.value().age_ms();
  return out;
}

}  // namespace

KeyBatch::KeyBatch(const v1::CacheKey& common) {
  v1::CacheKey key = common;
  key.clear_key();
  // The key's field has the highest number, so it comes behind.
  key.SerializeToString(&common_);
}

void KeyBatch::Add(std::string_view key) {
  const size_t key_bytes = common_.size() + protowire::BytesFieldBytes(key.size());
  const size_t before = bytes_.size();
  if (before == 0) bytes_.reserve(std::min(kLikelyKeysCount * key_bytes, kMostReservedBytes));
  bytes_.resize(before + 1 + protowire::VarintBytes(key_bytes) + key_bytes);
  char* at = protowire::WriteTagged(BytesTag(v1::GetManyRequest::kKeysFieldNumber), key_bytes,
                                    bytes_.data() + before);
  at = protowire::WriteRaw(common_, at);
  protowire::WriteBytes(v1::CacheKey::kKeyFieldNumber, key, at);
  ++count_;
}

void KeyBatch::Clear() {
  bytes_.clear();
  count_ = 0;
}

absl::StatusOr<ValueBatch> ValueBatch::Parse(std::string_view bytes,
                                             std::shared_ptr<const void> owner) {
  ValueBatch out;
  constexpr size_t kLikelyItemBytes = 64;
  out.items_.reserve(bytes.size() / kLikelyItemBytes);
  if (ReadAll(bytes, &out.items_)) {
    out.owner_ = std::move(owner);
    return out;
  }
  // A field that is newer than this client, or nonsense: protobuf knows.
  auto message = std::make_shared<v1::GetManyResponse>();
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("the cache's answer is not a GetManyResponse");
  }
  out.items_.clear();
  for (const auto& response : message->results()) out.items_.push_back(ItemOf(response));
  out.owner_ = std::move(message);
  return out;
}

}  // namespace slipstream::cache_client
