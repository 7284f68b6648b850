#include "services/database_optimizer/apply/auto_apply_policy.h"

#include <algorithm>
#include <cctype>

namespace slipstream::database_optimizer {

namespace {

// "HH:MM"; -1 when it is none.
int MinuteOf(const std::string& text) {
  if (text.size() != 5 || text[2] != ':') return -1;
  for (const size_t i : {0, 1, 3, 4}) {
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0) return -1;
  }
  const int hour = (text[0] - '0') * 10 + text[1] - '0';
  const int minute = (text[3] - '0') * 10 + text[4] - '0';
  return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

}  // namespace

absl::StatusOr<DailyWindow> DailyWindow::Parse(const std::string& text) {
  if (text.empty()) return DailyWindow{};
  DailyWindow out;
  if (text.size() == 11 && text[5] == '-') {
    out.begin_minute = MinuteOf(text.substr(0, 5));
    out.end_minute = MinuteOf(text.substr(6));
    if (out.begin_minute >= 0 && out.end_minute >= 0) return out;
  }
  return absl::InvalidArgumentError("must be HH:MM-HH:MM, such as 02:00-04:00 or 22:00-02:00");
}

bool DailyWindow::Contains(absl::Time time) const {
  const absl::CivilMinute civil = absl::ToCivilMinute(time, absl::UTCTimeZone());
  const int minute = civil.hour() * 60 + civil.minute();
  if (begin_minute == end_minute) return true;
  if (begin_minute < end_minute) return minute >= begin_minute && minute < end_minute;
  return minute >= begin_minute || minute < end_minute;
}

bool AutoApplyPolicy::MayBegin(absl::Time now,
                               const RecommendationStore::AutomaticFigures& figures) const {
  return enabled && window.Contains(now) && figures.changes_count < max_changes_per_day_count &&
         figures.bytes < max_bytes;
}

const StoredRecommendation* AutoApplyPolicy::Choose(
    const std::vector<StoredRecommendation>& proposals,
    const RecommendationStore::AutomaticFigures& figures) const {
  for (const auto& proposal : proposals) {
    const auto& r = proposal.recommendation;
    const bool allowed =
        r.kind() == v1::Recommendation::CREATE_INDEX &&
        r.status() == v1::Recommendation::PROPOSED && proposal.gain >= min_gain_percent &&
        r.evidence().size_bytes() <= max_bytes - figures.bytes &&
        (tables.empty() || std::find(tables.begin(), tables.end(), r.table()) != tables.end());
    if (allowed) return &proposal;
  }
  return nullptr;
}

}  // namespace slipstream::database_optimizer
