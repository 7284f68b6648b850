#include "libs/redis/sentinel.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/redis/errors.h"

namespace slipstream::redis {

Sentinels::Sentinels(const Url& url, DialSettings dial, const Options& options)
    : master_name_(url.master_name),
      dial_(std::move(dial)),
      user_(options.sentinel_password.empty() ? url.user : options.sentinel_user),
      password_(options.sentinel_password.empty() ? url.password : options.sentinel_password),
      sentinels_(url.hosts) {
  dial_.db = 0;
  dial_.must_be_primary = false;
  dial_.greeting.clear();
  dial_.user.clear();
  dial_.password.clear();
}

Async<absl::StatusOr<Endpoint>> Sentinels::Locate([[maybe_unused]] std::shared_ptr<Sentinels> self,
                                                  Executor strand) {
  std::vector<Endpoint> sentinels;
  {
    sync::MutexLock lock(mutex_);
    sentinels = sentinels_;
  }
  absl::Status last;
  for (const Endpoint& sentinel : sentinels) {
    auto primary = co_await AskOne(strand, sentinel);
    if (primary.ok()) {
      sync::MutexLock lock(mutex_);
      auto it = std::find(sentinels_.begin(), sentinels_.end(), sentinel);
      std::rotate(sentinels_.begin(), it, it + 1);
      co_return primary;
    }
    last = primary.status();
  }
  co_return Unavailable(
      absl::StrCat("no Sentinel names the primary of \"", master_name_, "\" (", WhatOf(last), ")"),
      false);
}

Async<absl::StatusOr<Endpoint>> Sentinels::AskOne(Executor strand, Endpoint sentinel) {
  const std::vector<std::vector<std::string>> question = {
      {"SENTINEL", "get-master-addr-by-name", master_name_}};
  auto replies = co_await Ask(strand, dial_, sentinel, question);
  // The default user of most Sentinels has no password; AUTH would be an error there.
  if (replies.status().code() == absl::StatusCode::kUnauthenticated && !password_.empty()) {
    DialSettings with_password = dial_;
    with_password.user = user_;
    with_password.password = password_;
    replies = co_await Ask(strand, with_password, sentinel, question);
  }
  if (!replies.ok()) co_return replies.status();
  const Value& reply = replies->front();
  if (reply.is_error()) co_return FromErrorReply(reply.text);
  int port = 0;
  if (!reply.is_array() || reply.size() != 2 || !absl::SimpleAtoi(reply[1].text, &port) ||
      port < 1 || port > 65535) {
    co_return Unavailable(
        absl::StrCat(sentinel.ToString(), " watches no primary of that name; check the URL"),
        false);
  }
  co_return Endpoint{reply[0].text, static_cast<uint16_t>(port)};
}

}  // namespace slipstream::redis
