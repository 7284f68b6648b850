// FNV-1a of 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): the same in every process, build
// and release, which std::hash need not be. For names and places that others must find again; not
// where somebody could choose the text to make values collide.
//
// Thread safety: a pure function.
#ifndef LIBS_HASH_FNV1A_H_
#define LIBS_HASH_FNV1A_H_

#include <cstdint>
#include <string_view>

namespace slipstream::hash {

constexpr uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

// Of the reference's own table (fnv/test_fnv.c).
static_assert(Fnv1a("") == 0xcbf29ce484222325);
static_assert(Fnv1a("a") == 0xaf63dc4c8601ec8c);
static_assert(Fnv1a("foobar") == 0x85944171f73967e8);

}  // namespace slipstream::hash

#endif  // LIBS_HASH_FNV1A_H_
