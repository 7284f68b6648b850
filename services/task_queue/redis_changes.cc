#include "services/task_queue/redis_changes.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::task_queue {

namespace {

// Lua's unpack takes some thousand values; a longer command is cut into several.
constexpr size_t kMaxMembersCount = 2'000;

void Append(std::vector<std::string>& out, size_t count) { out.push_back(absl::StrCat(count)); }

}  // namespace

void Changes::RequireRange(std::string key, size_t first, size_t last, std::string value) {
  ++conditions_count_;
  conditions_.insert(conditions_.end(), {"R", std::move(key), absl::StrCat(first),
                                         absl::StrCat(last), std::move(value)});
}

void Changes::RequireValue(std::string key, std::string value) {
  ++conditions_count_;
  conditions_.insert(conditions_.end(), {"V", std::move(key), std::move(value)});
}

void Changes::RequireRoom(std::string counter, int64_t delta, int64_t limit) {
  ++conditions_count_;
  conditions_.insert(conditions_.end(),
                     {"C", std::move(counter), absl::StrCat(delta), absl::StrCat(limit)});
}

void Changes::RequireHead(std::string list, std::string element) {
  ++conditions_count_;
  conditions_.insert(conditions_.end(), {"H", std::move(list), std::move(element)});
}

void Changes::RequireScore(std::string set, std::string member, std::string score) {
  ++conditions_count_;
  conditions_.insert(conditions_.end(), {"Z", std::move(set), std::move(member), std::move(score)});
}

void Changes::Add(std::string_view command, std::string_view key, std::string member) {
  constexpr size_t kLookBackCount = 16;
  const size_t count = groups_.size();
  for (size_t i = 0; i < std::min(count, kLookBackCount); ++i) {
    Group& group = groups_[count - 1 - i];
    if (group.key == key && group.command == command) {
      group.members.push_back(std::move(member));
      return;
    }
  }
  Group& group = groups_.emplace_back(Group{command, std::string(key), {}});
  group.members.push_back(std::move(member));
}

void Changes::Count(std::string_view field, int64_t delta) {
  auto it = counts_.find(field);
  if (it == counts_.end()) it = counts_.emplace(std::string(field), 0).first;
  it->second += delta;
}

void Changes::Join(std::string_view ring, std::string_view tenant) {
  if (!joins_.empty() && joins_.back().first == ring && joins_.back().second == tenant) return;
  joins_.emplace_back(std::string(ring), std::string(tenant));
}

void Changes::SortedAdd(std::string key, int64_t score, std::string member) {
  commands_.push_back({"ZADD", std::move(key), absl::StrCat(score), std::move(member)});
}

template <class Take>
void Changes::EachCommand(const Take& take) {
  // `command [key] words...`, cut where it is too long.
  const auto cut = [&](std::vector<std::string> head, std::vector<std::string> words) {
    for (size_t i = 0; i < words.size(); i += kMaxMembersCount) {
      std::vector<std::string> command = head;
      const size_t end = std::min(words.size(), i + kMaxMembersCount);
      command.reserve(head.size() + end - i);
      std::move(words.begin() + static_cast<std::ptrdiff_t>(i),
                words.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(command));
      take(std::move(command));
    }
  };
  std::vector<std::string> pairs;
  pairs.reserve(2 * sets_.size());
  for (auto& [key, value] : sets_) {
    pairs.push_back(std::move(key));
    pairs.push_back(std::move(value));
  }
  cut({"MSET"}, std::move(pairs));
  cut({"UNLINK"}, std::move(deletes_));
  for (auto& [command, key, members] : groups_) {
    cut({std::string(command), std::move(key)}, std::move(members));
  }
  for (auto& command : commands_) take(std::move(command));
}

std::vector<std::string> Changes::Encode(const std::string& counters) && {
  std::vector<std::string> out;
  out.reserve(2 + conditions_.size() + 3 * sets_.size() + 8 * groups_.size());
  Append(out, static_cast<size_t>(conditions_count_));
  std::move(conditions_.begin(), conditions_.end(), std::back_inserter(out));
  EachCommand([&out](std::vector<std::string> command) {
    Append(out, command.size());
    std::move(command.begin(), command.end(), std::back_inserter(out));
  });
  for (const auto& [ring, tenant] : joins_) {
    out.insert(out.end(), {"3", "JOIN", ring, tenant});
  }
  for (const auto& [field, delta] : counts_) {
    if (delta == 0) continue;
    out.insert(out.end(), {"4", "HINCRBY", counters, field, absl::StrCat(delta)});
  }
  return out;
}

std::vector<std::vector<std::string>> Changes::EncodeCommands(const std::string& counters) && {
  std::vector<std::vector<std::string>> out;
  for (const auto& [ring, tenant] : joins_) out.push_back({"ZADD", ring, "NX", "0", tenant});
  EachCommand([&out](std::vector<std::string> command) { out.push_back(std::move(command)); });
  for (const auto& [field, delta] : counts_) {
    if (delta != 0) out.push_back({"HINCRBY", counters, field, absl::StrCat(delta)});
  }
  return out;
}

}  // namespace slipstream::task_queue
