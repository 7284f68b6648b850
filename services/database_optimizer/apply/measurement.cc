#include "services/database_optimizer/apply/measurement.h"

#include <nlohmann/json.hpp>

namespace slipstream::database_optimizer {

using nlohmann::json;

std::string ToJson(const Measurement& measurement) {
  json counters = json::object();
  for (const auto& [fingerprint, c] : measurement.counters) {
    counters[fingerprint] = {c.calls_count, c.total_ms, c.squares_ms2, c.blocks_count,
                             c.wal_records_count};
  }
  return json{{"since", measurement.since},
              {"on_table", measurement.on_table},
              {"counters", std::move(counters)}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Measurement MeasurementFromJson(const std::string& text) {
  Measurement out;
  const json tree = json::parse(text, nullptr, false);
  if (!tree.is_object()) return out;
  if (const auto since = tree.find("since"); since != tree.end() && since->is_string()) {
    out.since = since->get<std::string>();
  }
  if (const auto list = tree.find("on_table"); list != tree.end() && list->is_array()) {
    for (const json& item : *list) {
      if (item.is_string()) out.on_table.insert(item.get<std::string>());
    }
  }
  const auto counters = tree.find("counters");
  if (counters == tree.end() || !counters->is_object()) return out;
  for (const auto& [fingerprint, values] : counters->items()) {
    if (!values.is_array() || values.size() != 5) continue;
    double numbers[5];
    for (size_t i = 0; i < 5; ++i) {
      numbers[i] = values[i].is_number() ? values[i].get<double>() : 0;
    }
    out.counters[fingerprint] = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
  }
  return out;
}

}  // namespace slipstream::database_optimizer
