#include "libs/audit/audit_ring.h"

#include <algorithm>
#include <utility>

namespace slipstream::audit {
namespace {

bool Matches(const AuditEntry& entry, const AuditQuery& query) {
  const auto fits = [](const std::string& wanted, const std::string& value) {
    return wanted.empty() || wanted == value;
  };
  return fits(query.user, entry.user) && fits(query.tenant, entry.tenant) &&
         fits(query.action, entry.action) && fits(query.correlation_id, entry.correlation_id) &&
         (!query.result || *query.result == entry.result) &&
         entry.occurred_at >= query.start_time && entry.occurred_at < query.end_time;
}

}  // namespace

AuditRing::AuditRing(size_t max_entry_count)
    : max_entry_count_(std::max<size_t>(max_entry_count, 1)) {}

bool AuditRing::Add(AuditEntry entry) {
  if (!ids_.insert(entry.entry_id).second) return false;
  if (entries_.size() >= max_entry_count_) {
    ids_.erase(entries_.front().entry_id);
    entries_.pop_front();
    ++first_sequence_;
  }
  entries_.push_back(std::move(entry));
  return true;
}

AuditPage AuditRing::List(const AuditQuery& query) const {
  const size_t wanted = std::clamp<size_t>(query.max_entry_count, 1, kMaxPageEntryCount);
  const uint64_t end_sequence = first_sequence_ + entries_.size();
  uint64_t sequence =
      query.before_sequence == 0 ? end_sequence : std::min(query.before_sequence, end_sequence);
  AuditPage page;
  while (sequence > first_sequence_) {
    // Everything from `sequence` on has been looked at.
    const AuditEntry& entry = entries_[sequence - 1 - first_sequence_];
    if (Matches(entry, query)) {
      if (page.entries.size() == wanted) {
        page.next_before_sequence = sequence;  // so that this entry comes next
        break;
      }
      page.entries.push_back(entry);
    }
    --sequence;
  }
  return page;
}

}  // namespace slipstream::audit
