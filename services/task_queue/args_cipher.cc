#include "services/task_queue/args_cipher.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/submit_check.h"

namespace slipstream::task_queue {

namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kKeyIdBytes = 8;  // as hexadecimal digits
constexpr int kMaxDepth = 100;     // as deep as protobuf parses

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* Data(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Data(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
int Size(std::string_view text) { return static_cast<int>(text.size()); }

// Lengths first, so that no two owners give the same text.
std::string AadOf(const ArgsOwner& owner) {
  std::string aad;
  for (const std::string_view part : {owner.user, owner.tenant, owner.task_type}) {
    aad.append(std::to_string(part.size())).append(":").append(part);
  }
  return aad;
}

absl::Status CipherFailed() {
  return status::Error(
      absl::StatusCode::kInternal, "CIPHER_FAILED",
      "an argument could not be encrypted, so the task is not accepted; try again");
}

absl::Status NotReadable() {
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kArgsNotReadable,
      "its sensitive arguments were encrypted with a key that this server does not "
      "have; set task_queue.sensitive_args_old_key to it, or submit the task again");
}

absl::StatusOr<std::string> Encrypt(const std::string& key, const std::string& nonce,
                                    std::string_view aad, std::string_view text) {
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string out(text.size() + kTagBytes, '\0');
  int size = 0;
  const bool done =
      context != nullptr &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Data(key), Data(nonce)) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &size, Data(aad), Size(aad)) == 1 &&
      EVP_EncryptUpdate(context.get(), Data(out), &size, Data(text), Size(text)) == 1 &&
      EVP_EncryptFinal_ex(context.get(), Data(out) + size, &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                          Data(out) + text.size()) == 1;
  if (!done) return CipherFailed();
  return out;
}

absl::StatusOr<std::string> Decrypt(const std::string& key, std::string_view sealed,
                                    std::string_view aad) {
  if (sealed.size() < kNonceBytes + kTagBytes) return NotReadable();
  const std::string_view nonce = sealed.substr(0, kNonceBytes);
  const std::string_view text = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string out(text.size() + 1, '\0');
  int size = 0;
  const bool done =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Data(key), Data(nonce)) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &size, Data(aad), Size(aad)) == 1 &&
      EVP_DecryptUpdate(context.get(), Data(out), &size, Data(text), Size(text)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes),
                          Data(tag)) == 1 &&
      EVP_DecryptFinal_ex(context.get(), Data(out) + size, &size) == 1;
  if (!done) return NotReadable();
  out.resize(text.size());
  return out;
}

bool NamesSealedField(const Value& value, int depth) {
  if (depth > kMaxDepth) return true;
  for (const auto& [name, inner] : value.struct_value().fields()) {
    if (name == kSealedField || NamesSealedField(inner, depth + 1)) return true;
  }
  for (const Value& inner : value.list_value().values()) {
    if (NamesSealedField(inner, depth + 1)) return true;
  }
  return false;
}

}  // namespace

bool UsesSealedField(const Struct& args, std::string_view serialized) {
  if (serialized.find(kSealedField) == std::string_view::npos) return false;
  Value value;
  *value.mutable_struct_value() = args;
  return NamesSealedField(value, 0);
}

ArgsCipher::Key ArgsCipher::MakeKey(std::string bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  const std::string named = "slipstream key id:" + bytes;
  SHA256(Data(std::string_view(named)), named.size(), digest.data());
  const std::string hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), kKeyIdBytes / 2));
  return {hex, std::move(bytes)};
}

absl::StatusOr<std::unique_ptr<ArgsCipher>> ArgsCipher::Create(std::string_view key,
                                                               std::string_view old_key,
                                                               random::Random& random) {
  std::vector<Key> keys;
  for (const auto& [name, text] : {std::pair("task_queue.sensitive_args_key", key),
                                   std::pair("task_queue.sensitive_args_old_key", old_key)}) {
    if (text.empty() && !keys.empty()) continue;
    std::string bytes;
    if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes) ||
        bytes.size() != kKeyBytes) {
      return status::FieldError(
          name, "must be 32 random bytes in base64, as `openssl rand -base64 32` prints them");
    }
    keys.push_back(MakeKey(std::move(bytes)));
  }
  return std::unique_ptr<ArgsCipher>(new ArgsCipher(std::move(keys), random));
}

std::unique_ptr<ArgsCipher> ArgsCipher::CreateForMemory(random::Random& random) {
  return std::unique_ptr<ArgsCipher>(new ArgsCipher({MakeKey(random.Bytes(kKeyBytes))}, random));
}

absl::Status ArgsCipher::Seal(const JsonSchema& schema, const ArgsOwner& owner,
                              Struct& args) const {
  const std::string aad = AadOf(owner);
  absl::Status result;
  schema.VisitSensitive(args, [&](Value& value) {
    const std::string nonce = random_.Bytes(kNonceBytes);
    auto sealed = Encrypt(keys_[0].bytes, nonce, aad, SerializeDeterministically(value));
    if (!sealed.ok()) {
      result = sealed.status();
      value.set_string_value("***");
      return;
    }
    Value marked;
    (*marked.mutable_struct_value()->mutable_fields())[kSealedField].set_string_value(
        absl::StrCat(keys_[0].id, ":", absl::Base64Escape(nonce + *sealed)));
    value = std::move(marked);
  });
  return result;
}

absl::Status ArgsCipher::OpenValue(const ArgsCipher* cipher_or_null, const std::string& aad,
                                   int depth, Value& value) {
  if (depth > kMaxDepth) return NotReadable();
  if (IsSealed(value)) {
    if (cipher_or_null == nullptr) return NotReadable();
    const std::string text = value.struct_value().fields().begin()->second.string_value();
    const size_t colon = text.find(':');
    std::string sealed;
    if (colon == text.npos || !absl::Base64Unescape(text.substr(colon + 1), &sealed)) {
      return NotReadable();
    }
    for (const Key& key : cipher_or_null->keys_) {
      if (text.compare(0, colon, key.id) != 0) continue;
      auto opened = Decrypt(key.bytes, sealed, aad);
      if (!opened.ok()) return opened.status();
      return value.ParseFromString(*opened) ? absl::OkStatus() : NotReadable();
    }
    return NotReadable();
  }
  absl::Status result;
  if (value.has_struct_value()) {
    for (auto& [name, inner] : *value.mutable_struct_value()->mutable_fields()) {
      if (result.ok()) result = OpenValue(cipher_or_null, aad, depth + 1, inner);
    }
  }
  if (value.has_list_value()) {
    for (Value& inner : *value.mutable_list_value()->mutable_values()) {
      if (result.ok()) result = OpenValue(cipher_or_null, aad, depth + 1, inner);
    }
  }
  return result;
}

absl::StatusOr<Bytes> ArgsCipher::Open(const ArgsCipher* cipher_or_null, const Bytes& args,
                                       const ArgsOwner& owner) {
  if (!SealedArgs(args)) return args;
  Value value;
  if (!value.mutable_struct_value()->ParseFromString(*args)) return args;
  if (absl::Status opened = OpenValue(cipher_or_null, AadOf(owner), 0, value); !opened.ok())
    return opened;
  return MakeBytes(SerializeDeterministically(value.struct_value()));
}

std::string ArgsCipher::Keyed(std::string_view fingerprint) const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned int size = 0;
  const std::string& key = keys_[0].bytes;
  HMAC(EVP_sha256(), key.data(), Size(key), Data(fingerprint), fingerprint.size(), mac.data(),
       &size);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(mac.data()), size / 2));
}

}  // namespace slipstream::task_queue
