// What was measured before a change, as it is kept in the table of changes.
//
// Thread safety: pure functions. What cannot be read is empty: then nothing is compared.
#ifndef SERVICES_DATABASE_OPTIMIZER_APPLY_MEASUREMENT_H_
#define SERVICES_DATABASE_OPTIMIZER_APPLY_MEASUREMENT_H_

#include <set>
#include <string>

#include "services/database_optimizer/apply/verification.h"

namespace slipstream::database_optimizer {

struct Measurement {
  Counters counters;
  std::set<std::string> on_table;  // fingerprints
  std::string since;               // CountersReading::since
};

std::string ToJson(const Measurement& measurement);
Measurement MeasurementFromJson(const std::string& text);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_APPLY_MEASUREMENT_H_
