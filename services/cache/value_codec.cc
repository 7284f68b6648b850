#include "services/cache/value_codec.h"

#include <zstd.h>

#include <utility>
#include <vector>

#include "libs/sync/mutex.h"

namespace slipstream::cache {

namespace {

// The fastest: a Set waits for it.
constexpr int kLevel = 1;

// Contexts at rest, each of some hundred KB; as many are made as calls have been at work at once,
// and kept up to this.
constexpr size_t kMaxIdleContextsCount = 16;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

template <class Context>
class Pool {
 public:
  using Owned = std::unique_ptr<Context, FreeContext>;

  // Null when there is none at rest.
  Owned Take() {
    sync::MutexLock lock(mutex_);
    if (idle_.empty()) return nullptr;
    Owned out = std::move(idle_.back());
    idle_.pop_back();
    return out;
  }
  void Give(Owned context) {
    sync::MutexLock lock(mutex_);
    if (idle_.size() < kMaxIdleContextsCount) idle_.push_back(std::move(context));
  }

 private:
  sync::Mutex mutex_;
  std::vector<Owned> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

struct ValueCodec::Contexts {
  Pool<ZSTD_CCtx> compress;
  Pool<ZSTD_DCtx> decompress;
};

ValueCodec::ValueCodec() : contexts_(std::make_unique<Contexts>()) {}
ValueCodec::~ValueCodec() = default;

bool ValueCodec::Compress(std::string_view value, std::string* packed) const {
  if (value.size() < kMinCompressedBytes || value.size() > kMaxValueBytes) return false;
  auto context = contexts_->compress.Take();
  if (context == nullptr) {
    context.reset(ZSTD_createCCtx());
    if (context == nullptr) return false;
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  }
  // No more room than what is worth it: zstd gives up when it does not fit.
  packed->resize(value.size() - value.size() / kMinSavedDivisor);
  const size_t size =
      ZSTD_compress2(context.get(), packed->data(), packed->size(), value.data(), value.size());
  contexts_->compress.Give(std::move(context));
  if (ZSTD_isError(size)) return false;
  packed->resize(size);
  return true;
}

bool ValueCodec::Decompress(std::string_view packed, std::string* out) const {
  const size_t raw_size = RawSize(packed);
  if (raw_size == 0) return false;
  auto context = contexts_->decompress.Take();
  if (context == nullptr) context.reset(ZSTD_createDCtx());
  if (context == nullptr) return false;
  const size_t begin = out->size();
  out->resize(begin + raw_size);
  const size_t size = ZSTD_decompressDCtx(context.get(), out->data() + begin, raw_size,
                                          packed.data(), packed.size());
  contexts_->decompress.Give(std::move(context));
  if (!ZSTD_isError(size) && size == raw_size) return true;
  out->resize(begin);
  return false;
}

size_t ValueCodec::RawSize(std::string_view packed) {
  const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return 0;
  return size <= kMaxValueBytes ? static_cast<size_t>(size) : 0;
}

}  // namespace slipstream::cache
