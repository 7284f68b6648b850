#include "libs/redis/script.h"

#include <openssl/evp.h>

#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace slipstream::redis {

Script::Script(std::string source, bool commits) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(source.data(), source.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::string sha1 =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
  data_ = std::make_shared<const Data>(Data{std::move(source), std::move(sha1), commits});
}

}  // namespace slipstream::redis
