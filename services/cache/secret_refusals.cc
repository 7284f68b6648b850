#include "services/cache/secret_refusals.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/status/status.h"
#include "services/cache/secrets/secret_guard.h"

namespace slipstream::cache {

absl::Status SecretRefusals::Check(std::string_view bytes, const FieldPath& field,
                                   std::string_view leaf) {
  const auto found = secrets::FindSecret(bytes);
  if (!found) return absl::OkStatus();
  counts_[static_cast<size_t>(found->kind)].fetch_add(1, std::memory_order_relaxed);
  const std::string kind(secrets::NameOf(found->kind));
  const std::string where = field.At(leaf);
  const std::string message =
      found->kind == secrets::Kind::kOverEncoded
          ? absl::StrCat(where,
                         " is encoded too often to be searched for secrets; store it decoded")
          : absl::StrCat(where, " carries what looks like a ",
                         absl::StrReplaceAll(kind, {{"_", " "}}), " at byte ", found->at,
                         "; the cache keeps no secrets: leave it out, or keep a reference to it");
  return status::Error(
      absl::StatusCode::kFailedPrecondition, {kSecretRefused.data(), kSecretRefused.size()},
      message, {{"kind", kind}, {"field", where}, {"offset_bytes", absl::StrCat(found->at)}});
}

SecretRefusals::Counts SecretRefusals::counts() const {
  Counts out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = counts_[i].load(std::memory_order_relaxed);
  return out;
}

}  // namespace slipstream::cache
