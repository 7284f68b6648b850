#include "services/cache/cache_wire.h"

#include <random>
#include <string>

#include "gtest/gtest.h"
#include "services/cache/entry_memory.h"

namespace slipstream::cache::wire {
namespace {

Found Hit(std::string_view value, uint64_t version, int64_t ttl_left_ms, int64_t age_ms) {
  auto entry = MakeEntry<Entry>("id", "key", value);
  entry->version = version;
  Found out;
  out.freshness = Found::kFresh;
  out.entry = std::move(entry);
  out.ttl_left_ms = ttl_left_ms;
  out.age_ms = age_ms;
  return out;
}

v1::GetResponse Message(const Found& found) {
  v1::GetResponse out;
  if (found.freshness == Found::kMiss) {
    out.set_result(v1::GetResponse::MISS);
    return out;
  }
  out.set_result(found.freshness == Found::kFresh ? v1::GetResponse::HIT : v1::GetResponse::STALE);
  out.set_tier(found.from_l2 ? v1::GetResponse::L2 : v1::GetResponse::L1);
  auto* value = out.mutable_value();
  value->set_value(std::string(found.entry->value()));
  value->set_version(found.entry->version);
  value->set_ttl_left_ms(found.ttl_left_ms);
  value->set_age_ms(found.age_ms);
  value->set_negative(found.entry->negative);
  return out;
}

std::vector<Found> Answers() {
  std::vector<Found> out;
  out.emplace_back();  // a miss
  for (const size_t size : {0, 1, 100, 127, 128, 16383, 16384, 1 << 20}) {
    out.push_back(Hit(std::string(size, 'v'), size, int64_t{1} << (size % 40), 0));
  }
  out.push_back(Hit("v", UINT64_MAX, INT64_MAX, 127));
  out.push_back(Hit(std::string("\0\xff", 2), 1, 1, 128));
  out.back().freshness = Found::kStale;
  out.back().from_l2 = true;
  auto negative = std::make_shared<Entry>();
  negative->negative = true;
  out.push_back(Hit("", 1, 1, 1));
  out.back().entry = negative;
  return out;
}

TEST(CacheWireTest, AnswersAreWhatProtobufWrites) {
  const std::vector<Found> found = Answers();
  v1::GetManyResponse many;
  for (const Found& one : found) {
    const std::string expected = Message(one).SerializeAsString();
    ASSERT_EQ(GetResponseBytes(one), expected.size());
    std::string written(expected.size(), '\0');
    EXPECT_EQ(WriteGetResponse(one, written.data()), written.data() + written.size());
    EXPECT_EQ(written, expected);
    *many.add_results() = Message(one);
  }
  const std::string expected = many.SerializeAsString();
  ASSERT_EQ(GetManyResponseBytes(found), expected.size());
  std::string written(expected.size(), '\0');
  EXPECT_EQ(WriteGetManyResponse(found, written.size(), written.data()),
            written.data() + written.size());
  EXPECT_EQ(written, expected);
}

v1::CacheKey Key(std::string key, v1::CacheKey::Scope scope = v1::CacheKey::ROLE) {
  v1::CacheKey out;
  out.set_namespace_("shop");
  out.set_type(v1::CacheKey::SYSTEM_STATS);
  out.set_scope(scope);
  if (scope == v1::CacheKey::ROLE) out.set_role("editor");
  out.set_key(std::move(key));
  return out;
}

void ExpectSame(const KeyParts& read, const v1::CacheKey& key) {
  EXPECT_EQ(read.space, key.namespace_());
  EXPECT_EQ(read.type, key.type());
  EXPECT_EQ(read.scope, key.scope());
  EXPECT_EQ(read.role, key.role());
  EXPECT_EQ(read.key, key.key());
}

TEST(CacheWireTest, RequestsAreReadAsTheyWereWritten) {
  v1::GetManyRequest many;
  for (const size_t size : {0, 1, 127, 128, 4096, 100000}) {
    v1::GetRequest request;
    *request.mutable_key() = Key(std::string(size, 'k'), v1::CacheKey::USER);
    KeyParts key;
    const std::string bytes = request.SerializeAsString();
    ASSERT_TRUE(ReadGetRequest(bytes, &key)) << size;
    ExpectSame(key, request.key());
    *many.add_keys() = request.key();
  }
  *many.add_keys() = Key("");
  many.add_keys();
  const std::string bytes = many.SerializeAsString();
  Keys keys;
  ASSERT_TRUE(ReadGetManyRequest(bytes, 100, &keys));
  ASSERT_EQ(keys.size(), static_cast<size_t>(many.keys_size()));
  for (int i = 0; i < many.keys_size(); ++i) ExpectSame(keys[static_cast<size_t>(i)], many.keys(i));
}

TEST(CacheWireTest, NoMoreKeysAreReadThanTheCallerCanTell) {
  v1::GetManyRequest many;
  for (int i = 0; i < 1000; ++i) *many.add_keys() = Key("k");
  Keys keys;
  EXPECT_TRUE(ReadGetManyRequest(many.SerializeAsString(), 256, &keys));
  EXPECT_EQ(keys.size(), 257u);
}

TEST(CacheWireTest, OtherFormsAreLeftToProtobuf) {
  KeyParts key;
  EXPECT_FALSE(ReadGetRequest("", &key)) << "no key";
  v1::GetRequest request;
  *request.mutable_key() = Key("k");
  const std::string bytes = request.SerializeAsString();
  EXPECT_FALSE(ReadGetRequest(bytes + bytes, &key)) << "twice";
  EXPECT_FALSE(ReadGetRequest(bytes + "\x10\x01", &key)) << "a field of another version";
  const std::string inner = request.key().SerializeAsString();
  const auto wrapped = [](const std::string& message) {
    return std::string("\x0a") + static_cast<char>(message.size()) + message;
  };
  ASSERT_TRUE(ReadGetRequest(wrapped(inner), &key));
  EXPECT_FALSE(ReadGetRequest(wrapped(inner + "\x0a\x01z"), &key)) << "a namespace behind the key";
  EXPECT_FALSE(ReadGetRequest(wrapped(inner + "\x30\x01"), &key)) << "an unknown field in it";
  EXPECT_FALSE(ReadGetRequest(wrapped("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &key))
      << "a negative type";
}

// Whatever is read here is what protobuf reads; it may refuse text that is not UTF-8 beside.
TEST(CacheWireTest, BrokenBytesAreNeverReadDifferently) {
  std::mt19937 random(7);
  v1::GetRequest request;
  *request.mutable_key() = Key("some key");
  const std::string good = request.SerializeAsString();
  int read_count = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string bytes = good.substr(0, 1 + random() % good.size());
    if (i % 2 == 0) bytes = good;
    for (size_t flips = random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    KeyParts key;
    if (!ReadGetRequest(bytes, &key)) continue;
    ++read_count;
    v1::GetRequest parsed;
    if (parsed.ParseFromString(bytes)) ExpectSame(key, parsed.key());
  }
  EXPECT_GT(read_count, 10'000);
}

}  // namespace
}  // namespace slipstream::cache::wire
