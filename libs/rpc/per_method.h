// What a stage keeps for each method of the process, made once and then found without a lock.
//
// Thread safety: Of from any thread. Bounded by the methods that are linked in.
#ifndef LIBS_RPC_PER_METHOD_H_
#define LIBS_RPC_PER_METHOD_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "libs/rpc/method.h"
#include "libs/sync/mutex.h"

namespace slipstream::rpc {

template <class T>
class PerMethod {
 public:
  // The method's value; the first call makes it by `make(method)`. Methods are told apart by their
  // address, so they must live as long as this. Values do not move.
  template <class Make>
  T& Of(const Method& method, Make make) {
    std::atomic<Node*>& head = heads_[BucketOf(method)];
    if (Node* node = Find(head.load(std::memory_order_acquire), method)) return node->value;
    sync::MutexLock lock(mutex_);
    if (Node* node = Find(head.load(std::memory_order_relaxed), method)) return node->value;
    nodes_.push_back(std::make_unique<Node>(
        Node{&method, head.load(std::memory_order_relaxed), T(make(method))}));
    head.store(nodes_.back().get(), std::memory_order_release);
    return nodes_.back()->value;
  }

 private:
  struct Node {
    const Method* const method;
    Node* const next;  // of the same bucket, older
    T value;
  };
  static constexpr size_t kBucketsCount = 256;

  static size_t BucketOf(const Method& method) {
    // Methods lie far apart and are aligned: the low bits say nothing.
    return (reinterpret_cast<uintptr_t>(&method) / sizeof(Method)) % kBucketsCount;
  }
  static Node* Find(Node* node, const Method& method) {
    while (node != nullptr && node->method != &method) node = node->next;
    return node;
  }

  std::array<std::atomic<Node*>, kBucketsCount> heads_{};
  sync::Mutex mutex_;
  std::vector<std::unique_ptr<Node>> nodes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_PER_METHOD_H_
