// What an entry carries for the eviction policy, and a list of such: 32 bytes an entry.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_ENTRY_LINK_H_
#define SERVICES_CACHE_EVICTION_ENTRY_LINK_H_

#include <cstddef>
#include <cstdint>

namespace slipstream::cache {

struct EntryLink {
  EntryLink* newer = nullptr;
  EntryLink* older = nullptr;
  uint64_t hash = 0;  // of the key; set before it is inserted, as is the weight
  uint32_t weight_bytes = 0;
  uint8_t reads = 0;   // EvictionQueues: since it was queued or passed by
  uint8_t tag = 0;     // says in which list it is
  uint16_t stamp = 0;  // EvictionQueues: when it was last read, for LIRS
};

struct EntryList {
  EntryLink* newest = nullptr;
  EntryLink* oldest = nullptr;
  int64_t bytes = 0;
  size_t count = 0;

  void Push(EntryLink* link) {
    link->newer = nullptr;
    link->older = newest;
    (newest != nullptr ? newest->newer : oldest) = link;
    newest = link;
    bytes += link->weight_bytes;
    ++count;
  }
  void Unlink(EntryLink* link) {
    (link->newer != nullptr ? link->newer->older : newest) = link->older;
    (link->older != nullptr ? link->older->newer : oldest) = link->newer;
    bytes -= link->weight_bytes;
    --count;
  }
  // `next` takes the place of `link`.
  void Replace(EntryLink* link, EntryLink* next) {
    next->newer = link->newer;
    next->older = link->older;
    (next->newer != nullptr ? next->newer->older : newest) = next;
    (next->older != nullptr ? next->older->newer : oldest) = next;
    bytes += int64_t{next->weight_bytes} - int64_t{link->weight_bytes};
    link->newer = link->older = nullptr;
  }
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_ENTRY_LINK_H_
