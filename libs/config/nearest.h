// "Did you mean ...?" for a misspelt name.
#ifndef SLIPSTREAM_LIBS_CONFIG_NEAREST_H_
#define SLIPSTREAM_LIBS_CONFIG_NEAREST_H_

#include <string>
#include <string_view>
#include <vector>

namespace slipstream::config {

// The candidate with the least Levenshtein distance to `name`, the first of several; "" when none
// is closer than half of the longer name.
std::string Nearest(std::string_view name, const std::vector<std::string>& candidates);

// "; did you mean X?" or "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_NEAREST_H_
