// Numbers with their units, pulled out of sentences. Thread safety: pure functions.
#ifndef SERVICES_WORKER_RFC_DRAFT_FIGURES_H_
#define SERVICES_WORKER_RFC_DRAFT_FIGURES_H_

#include <string>
#include <string_view>
#include <vector>

namespace slipstream::worker::rfc_draft {

struct Figure {
  std::string value;  // as written: "1,200", "99.9", "06:00"
  std::string unit;   // "ms", "requests/s", "EUR"; never empty
};

// Numbers that carry a unit, in order; bare numbers ("step 2") are left out.
std::vector<Figure> FindFigures(std::string_view sentence);

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_FIGURES_H_
