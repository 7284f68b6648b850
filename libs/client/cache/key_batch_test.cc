#include "libs/client/cache/key_batch.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "gtest/gtest.h"

namespace slipstream::cache_client {
namespace {

using cache::v1::CacheKey;
using cache::v1::GetManyRequest;
using cache::v1::GetManyResponse;
using cache::v1::GetResponse;

CacheKey Common() {
  CacheKey key;
  key.set_namespace_("shop");
  key.set_type(CacheKey::VECTOR_SEARCH);
  key.set_scope(CacheKey::ROLE);
  key.set_role("buyer");
  key.set_key("not looked at");
  return key;
}

TEST(KeyBatchTest, IsTheRequestThatProtobufWrites) {
  GetManyRequest expected;
  KeyBatch keys(Common());
  for (const std::string& key : {std::string("k"), std::string(4096, 'x'), std::string("\0\xff", 2),
                                 std::string(127, 'y'), std::string()}) {
    auto* one = expected.add_keys();
    *one = Common();
    one->set_key(key);
    keys.Add(key);
  }
  EXPECT_EQ(keys.size(), 5u);
  EXPECT_EQ(keys.bytes(), expected.SerializeAsString());
  keys.Clear();
  EXPECT_EQ(keys.size(), 0u);
  EXPECT_EQ(keys.bytes(), "");
}

GetManyResponse Responses() {
  GetManyResponse out;
  auto* hit = out.add_results();
  hit->set_result(GetResponse::HIT);
  hit->set_tier(GetResponse::L1);
  hit->mutable_value()->set_value(std::string(300, 'v'));
  hit->mutable_value()->set_version(uint64_t{1} << 63);
  hit->mutable_value()->set_ttl_left_ms(2'592'000'000);
  hit->mutable_value()->set_age_ms(5);
  out.add_results()->set_result(GetResponse::MISS);
  auto* negative = out.add_results();
  negative->set_result(GetResponse::STALE);
  negative->set_tier(GetResponse::L2);
  negative->mutable_value()->set_negative(true);
  negative->mutable_value()->set_version(7);
  return out;
}

void ExpectResponses(const ValueBatch& found) {
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].has_value());
  EXPECT_FALSE(found[0].stale());
  EXPECT_EQ(found[0].tier, GetResponse::L1);
  EXPECT_EQ(found[0].value, std::string(300, 'v'));
  EXPECT_EQ(found[0].version, uint64_t{1} << 63);
  EXPECT_EQ(found[0].ttl_left_ms, 2'592'000'000);
  EXPECT_EQ(found[0].age_ms, 5);
  EXPECT_FALSE(found[1].has_value());
  EXPECT_TRUE(found[2].has_value());
  EXPECT_TRUE(found[2].stale());
  EXPECT_TRUE(found[2].negative);
  EXPECT_EQ(found[2].tier, GetResponse::L2);
  EXPECT_EQ(found[2].version, 7u);
}

absl::StatusOr<ValueBatch> Parse(std::string bytes) {
  auto kept = std::make_shared<const std::string>(std::move(bytes));
  return ValueBatch::Parse(*kept, kept);
}

TEST(ValueBatchTest, ReadsWhatProtobufWrites) {
  auto found = Parse(Responses().SerializeAsString());
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectResponses(*found);
  EXPECT_EQ(Parse("")->size(), 0u);
}

TEST(ValueBatchTest, AFieldOfALaterVersionIsPassedOver) {
  std::string later;
  {
    google::protobuf::io::StringOutputStream stream(&later);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.WriteTag(2000 << 3);
    out.WriteVarint32(1);
  }
  auto found = Parse(Responses().SerializeAsString() + later);
  ASSERT_TRUE(found.ok()) << found.status();
  ExpectResponses(*found);
}

TEST(ValueBatchTest, WhatIsCutOffIsNoAnswer) {
  const std::string whole = Responses().SerializeAsString();
  int refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto found = Parse(whole.substr(0, size));
    GetManyResponse expected;
    EXPECT_EQ(found.ok(), expected.ParseFromString(whole.substr(0, size))) << size;
    if (!found.ok()) ++refused;
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace slipstream::cache_client
