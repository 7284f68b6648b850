#include "services/cache/value_codec.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::cache {
namespace {

std::string Text(size_t size) {
  std::string out;
  for (int i = 0; out.size() < size; ++i)
    out += "{\"id\":" + std::to_string(i * 7919) + ",\"name\":\"shoe\"},";
  out.resize(size);
  return out;
}
std::string Noise(size_t size) {
  std::string out;
  uint64_t x = 1;
  while (out.size() < size) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    out += static_cast<char>(x >> 56);
  }
  return out;
}

TEST(ValueCodecTest, WhatSavesEnoughIsCompressedAndComesBack) {
  const ValueCodec codec;
  for (const size_t size : {size_t{1024}, size_t{5000}, size_t{1} << 20}) {
    std::string packed, out = "id";
    ASSERT_TRUE(codec.Compress(Text(size), &packed)) << size;
    EXPECT_LE(packed.size(), size - size / 10);
    EXPECT_EQ(ValueCodec::RawSize(packed), size);
    ASSERT_TRUE(codec.Decompress(packed, &out));
    EXPECT_EQ(out, "id" + Text(size));
  }
}

TEST(ValueCodecTest, SmallAndIncompressibleValuesStayAsTheyAre) {
  const ValueCodec codec;
  std::string packed;
  EXPECT_FALSE(codec.Compress("", &packed));
  EXPECT_FALSE(codec.Compress(Text(1023), &packed));
  EXPECT_FALSE(codec.Compress(Noise(100'000), &packed));
  // Saves, but less than a tenth.
  EXPECT_FALSE(codec.Compress(Noise(100'000) + std::string(5'000, 'x'), &packed));
}

TEST(ValueCodecTest, DamageIsNoticed) {
  const ValueCodec codec;
  std::string packed, out;
  ASSERT_TRUE(codec.Compress(Text(5000), &packed));
  for (size_t i = 0; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    out.clear();
    if (codec.Decompress(damaged, &out)) EXPECT_EQ(out, Text(5000)) << "byte " << i;
    out.clear();
    EXPECT_FALSE(codec.Decompress(packed.substr(0, i), &out));
    EXPECT_EQ(out, "");
  }
  EXPECT_FALSE(codec.Decompress("plain", &out));
  EXPECT_EQ(ValueCodec::RawSize("plain"), 0u);
}

TEST(ValueCodecTest, ServesManyThreads) {
  const ValueCodec codec;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&codec, t] {
      for (size_t i = 0; i < 50; ++i) {
        const std::string text = Text(2000 + t * 100 + i);
        std::string packed, out;
        ASSERT_TRUE(codec.Compress(text, &packed));
        ASSERT_TRUE(codec.Decompress(packed, &out));
        ASSERT_EQ(out, text);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace slipstream::cache
