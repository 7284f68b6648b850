// Refuses what carries a secret, and counts what was refused.
//
// Thread safety: all methods, from any thread. Errors: FAILED_PRECONDITION (SECRET_REFUSED;
// metadata `kind`, `field` and `offset_bytes`, never a byte of the secret).
#ifndef SERVICES_CACHE_SECRET_REFUSALS_H_
#define SERVICES_CACHE_SECRET_REFUSALS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "services/cache/cache_key.h"
#include "services/cache/secrets/finding.h"

namespace slipstream::cache {

inline constexpr std::string_view kSecretRefused = "SECRET_REFUSED";

class SecretRefusals {
 public:
  using Counts = std::array<int64_t, secrets::kKindCount>;

  // `leaf` names the bytes' field within `field`, for the error.
  absl::Status Check(std::string_view bytes, const FieldPath& field, std::string_view leaf);

  // By kind.
  Counts counts() const;

 private:
  std::array<std::atomic<int64_t>, secrets::kKindCount> counts_{};
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_SECRET_REFUSALS_H_
