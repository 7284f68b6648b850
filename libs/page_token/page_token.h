// Page tokens: where a listing goes on, handed to the client as text it cannot read into or forge.
//
// A token is base64url (RFC 4648, section 5, no padding) of
//   1 byte version | 16 bytes filter hash | position | 32 bytes HMAC-SHA256 of all before it
// The position is not encrypted: put no secret into it. The filter hash (SHA-256, cut to 16 bytes)
// ties a token to the one listing it came from.
//
// Thread safety: immutable after construction; all methods may be called from any thread.
#ifndef SLIPSTREAM_LIBS_PAGE_TOKEN_PAGE_TOKEN_H_
#define SLIPSTREAM_LIBS_PAGE_TOKEN_PAGE_TOKEN_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace slipstream::page_token {

inline constexpr size_t kMinSecretBytes = 16;
inline constexpr size_t kMaxPositionBytes = 512;

class PageTokens {
 public:
  // `secret` is shared by all replicas of the service, so that any of them can continue a listing.
  // INVALID_ARGUMENT when it is shorter than kMinSecretBytes.
  static absl::StatusOr<PageTokens> Create(std::string secret);

  // The token for the page that starts after `position` (the sort key of the last item given out).
  // `filter` is all that decides what the listing holds, in one canonical text: method, caller,
  // parent, filters, order; not the page size. An empty position gives "", AIP-158's "no more
  // pages". INTERNAL when the position is longer than kMaxPositionBytes.
  absl::StatusOr<std::string> Encode(absl::string_view position, absl::string_view filter) const;

  // The position inside `token`; "" for "", the first page. FieldError("page_token", ...) when the
  // token was not made by Encode with this secret, or for another filter.
  absl::StatusOr<std::string> Decode(absl::string_view token, absl::string_view filter) const;

 private:
  explicit PageTokens(std::string secret) : secret_(std::move(secret)) {}

  std::string secret_;
};

}  // namespace slipstream::page_token

#endif  // SLIPSTREAM_LIBS_PAGE_TOKEN_PAGE_TOKEN_H_
