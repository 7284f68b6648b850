// An object and some bytes behind it in one allocation, as std::make_shared does it for an object
// and its count: one look into memory less for each read.
//
// Thread safety: free functions.
#ifndef SERVICES_CACHE_ENTRY_MEMORY_H_
#define SERVICES_CACHE_ENTRY_MEMORY_H_

#include <cstring>
#include <memory>
#include <new>
#include <string_view>

namespace slipstream::cache {

namespace internal {

struct TrailingBytes {
  size_t size = 0;
  char* at = nullptr;  // set by the one allocation
};

template <class T>
struct TrailingAllocator {
  using value_type = T;

  explicit TrailingAllocator(TrailingBytes* bytes) : trailing(bytes) {}
  template <class U>
  explicit TrailingAllocator(const TrailingAllocator<U>& other) : trailing(other.trailing) {}

  T* allocate(size_t count) {
    void* const memory = ::operator new(count * sizeof(T) + trailing->size);
    trailing->at = static_cast<char*>(memory) + count * sizeof(T);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { ::operator delete(memory); }
  template <class U>
  bool operator==(const TrailingAllocator<U>&) const {
    return true;
  }

  TrailingBytes* trailing;  // gone once it has allocated
};

}  // namespace internal

// A T, which is an Entry, with its id, the caller's key and the value.
template <class T>
std::shared_ptr<T> MakeEntry(std::string_view id, std::string_view user_key,
                             std::string_view value) {
  internal::TrailingBytes bytes{.size = id.size() + user_key.size() + value.size()};
  auto out = std::allocate_shared<T>(internal::TrailingAllocator<T>(&bytes));
  char* at = bytes.at;
  for (const std::string_view part : {id, user_key, value}) {
    std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  out->SetBytes(bytes.at, id.size(), user_key.size(), value.size());
  return out;
}

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_ENTRY_MEMORY_H_
