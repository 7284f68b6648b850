// Checked statements by their text, the latest used of them: services run the same few texts.
//
// Thread safety: all methods from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_STATEMENT_CACHE_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_STATEMENT_CACHE_H_

#include <list>
#include <memory>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "libs/sync/mutex.h"
#include "libs/sync/short_mutex_lock.h"
#include "services/database_optimizer/query/checked_statement.h"

namespace slipstream::database_optimizer {

class StatementCache {
 public:
  using Entry = std::shared_ptr<const CheckedStatement>;

  StatementCache(size_t max_count, size_t max_bytes)
      : max_count_(max_count), max_bytes_(max_bytes) {}

  // Checks `sql` unless that was done lately.
  Entry Get(std::string_view sql) {
    {
      sync::ShortMutexLock lock(mutex_);
      const auto found = by_text_.find(sql);
      if (found != by_text_.end()) {
        entries_.splice(entries_.begin(), entries_, found->second);
        return *found->second;
      }
    }
    auto entry = std::make_shared<const CheckedStatement>(CheckStatement(sql));
    sync::MutexLock lock(mutex_);
    if (by_text_.contains(*entry->sql)) return entry;  // another thread did the same
    entries_.push_front(entry);
    by_text_[*entry->sql] = entries_.begin();
    bytes_count_ += entry->sql->size();
    while (entries_.size() > max_count_ || (bytes_count_ > max_bytes_ && entries_.size() > 1)) {
      bytes_count_ -= entries_.back()->sql->size();
      by_text_.erase(*entries_.back()->sql);
      entries_.pop_back();
    }
    return entry;
  }

  size_t count() const {
    sync::MutexLock lock(mutex_);
    return entries_.size();
  }

 private:
  const size_t max_count_;
  const size_t max_bytes_;  // of texts
  mutable sync::Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // the latest used first
  absl::flat_hash_map<std::string_view, std::list<Entry>::iterator> by_text_
      ABSL_GUARDED_BY(mutex_);
  size_t bytes_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_STATEMENT_CACHE_H_
