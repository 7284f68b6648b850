// Values as they are kept: compressed by zstd (RFC 8878) when that saves enough. The frame tells
// the value's own size and carries a checksum, so that damage is noticed and never served.
//
// Thread safety: all methods, from any thread; contexts are reused, one per call that is at work.
#ifndef SERVICES_CACHE_VALUE_CODEC_H_
#define SERVICES_CACHE_VALUE_CODEC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace slipstream::cache {

class ValueCodec {
 public:
  // Smaller values are kept as they are: a lookup in them is not worth a decompression.
  static constexpr size_t kMinCompressedBytes = 1024;
  // Compression has to save at least this share of a value.
  static constexpr size_t kMinSavedDivisor = 10;
  // What a frame may say that it holds; more is damage. The largest value a service can be told to
  // take (cache.max_value_bytes).
  static constexpr size_t kMaxValueBytes = size_t{3} << 20;

  ValueCodec();
  ~ValueCodec();

  // Whether `value` is to be kept compressed, as `packed`.
  bool Compress(std::string_view value, std::string* packed) const;

  // Appends the value of a frame to `out`; false, and nothing is appended, when it is damaged.
  bool Decompress(std::string_view packed, std::string* out) const;

  // The value's size as its frame says; 0 when it is damaged.
  static size_t RawSize(std::string_view packed);

 private:
  struct Contexts;
  const std::unique_ptr<Contexts> contexts_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_VALUE_CODEC_H_
