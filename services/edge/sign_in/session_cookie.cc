#include "services/edge/sign_in/session_cookie.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace slipstream::edge {

namespace {

constexpr std::string_view kName = "slipstream_session=";

}  // namespace

std::string SessionCookie(std::string_view token, absl::Duration lifetime, bool secure) {
  const int64_t max_age_s = std::max<int64_t>(0, absl::ToInt64Seconds(lifetime));
  return absl::StrCat(std::string(kName), std::string(token), "; Path=/; Max-Age=", max_age_s,
                      "; HttpOnly; SameSite=Strict", secure ? "; Secure" : "");
}

std::string_view SessionToken(std::string_view cookies) {
  while (!cookies.empty()) {
    std::string_view one = cookies.substr(0, cookies.find(';'));
    cookies.remove_prefix(std::min(one.size() + 1, cookies.size()));
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    if (one.starts_with(kName)) return one.substr(kName.size());
  }
  return "";
}

}  // namespace slipstream::edge
