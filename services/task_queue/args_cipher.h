// ArgsCipher: keeps the sensitive arguments of tasks unreadable wherever they are stored.
//
// Each value of a property that its type's schema marks `"sensitive": true` is replaced by a sealed
// one, {"$slipstream_sealed": "KEY_ID:BASE64"}: AES-256-GCM (NIST SP 800-38D) over the serialized
// google.protobuf.Value with a random 96-bit nonce, bound to owner, tenant and type, so that it
// opens for nobody else. Only a worker's assignment holds it opened again.
//
// Thread safety: immutable; all methods from any thread.
#ifndef SERVICES_TASK_QUEUE_ARGS_CIPHER_H_
#define SERVICES_TASK_QUEUE_ARGS_CIPHER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"
#include "libs/random/random.h"
#include "services/task_queue/json_schema.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue {

inline constexpr char kArgsNotReadable[] = "ARGS_NOT_READABLE";
inline constexpr char kSensitiveKeyMissing[] = "SENSITIVE_KEY_MISSING";

// Whose arguments they are.
struct ArgsOwner {
  std::string_view user, tenant, task_type;
};

class ArgsCipher {
 public:
  static constexpr size_t kKeyBytes = 32;

  // Keys of 32 bytes in base64; the old one (may be empty) opens only. INVALID_ARGUMENT naming
  // the setting that is wrong.
  static absl::StatusOr<std::unique_ptr<ArgsCipher>> Create(std::string_view key,
                                                            std::string_view old_key,
                                                            random::Random& random);
  // With a key that ends with the process, as tasks in memory do.
  static std::unique_ptr<ArgsCipher> CreateForMemory(random::Random& random);

  absl::Status Seal(const JsonSchema& schema, const ArgsOwner& owner,
                    google::protobuf::Struct& args) const;
  // Serialized arguments, opened; the same bytes when nothing in them is sealed.
  // FAILED_PRECONDITION, ARGS_NOT_READABLE, when no key opens them, or there is none at all.
  absl::StatusOr<Bytes> Open(const Bytes& args, const ArgsOwner& owner) const {
    return Open(this, args, owner);
  }
  static absl::StatusOr<Bytes> Open(const ArgsCipher* cipher_or_null, const Bytes& args,
                                    const ArgsOwner& owner);

  // In place of a fingerprint of content with secrets, from which they could be guessed.
  std::string Keyed(std::string_view fingerprint) const;

 private:
  struct Key {
    std::string id;
    std::string bytes;
  };
  ArgsCipher(std::vector<Key> keys, random::Random& random)
      : keys_(std::move(keys)), random_(random) {}
  static Key MakeKey(std::string bytes);
  static absl::Status OpenValue(const ArgsCipher* cipher_or_null, const std::string& aad, int depth,
                                google::protobuf::Value& value);

  const std::vector<Key> keys_;  // the first one seals
  random::Random& random_;
};

// Whether serialized arguments may hold a sealed value: cheap, and true too often rather than too
// seldom.
inline bool SealedArgs(const Bytes& args) {
  return args != nullptr && args->find(kSealedField) != std::string::npos;
}
// Whether the arguments name the field that marks a sealed value, which is not for users.
bool UsesSealedField(const google::protobuf::Struct& args, std::string_view serialized);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_ARGS_CIPHER_H_
