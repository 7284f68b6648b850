// The messages of Get and GetMany between the wire and the engine, without protobuf's objects in
// between: those cost more than a read does. Requests are read where they lie, answers written
// where they are sent from, byte for byte what protobuf would write.
//
// Thread safety: free functions.
#ifndef SERVICES_CACHE_CACHE_WIRE_H_
#define SERVICES_CACHE_CACHE_WIRE_H_

#include <cstddef>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "services/cache/cache_engine.h"
#include "services/cache/cache_key.h"

namespace slipstream::cache::wire {

using Keys = absl::InlinedVector<KeyParts, 1>;

// The key of a serialized GetRequest; the parts are views into it. False: malformed, or in a form
// that our clients do not write (fields of another version, a field twice), which is then for
// protobuf to read.
bool ReadGetRequest(std::string_view bytes, KeyParts* key);
// The same of a GetManyRequest; reads at most one key more than `max_count`.
bool ReadGetManyRequest(std::string_view bytes, size_t max_count, Keys* keys);

// The size of a serialized GetResponse with what was found.
size_t GetResponseBytes(const Found& found);
// Writes it; returns where it ends. REQUIRES: GetResponseBytes of room.
char* WriteGetResponse(const Found& found, char* at);

// The same of a GetManyResponse. REQUIRES: `room_bytes` is GetManyResponseBytes.
size_t GetManyResponseBytes(absl::Span<const Found> found);
char* WriteGetManyResponse(absl::Span<const Found> found, size_t room_bytes, char* at);

}  // namespace slipstream::cache::wire

#endif  // SERVICES_CACHE_CACHE_WIRE_H_
