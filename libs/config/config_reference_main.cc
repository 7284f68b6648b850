// config_reference DESCRIPTOR_SET: writes REFERENCE.md to standard output.
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/config/config_file.h"
#include "libs/config/reference.h"

namespace {

constexpr std::size_t kMaxDescriptorSetBytes = 16 << 20;

int Fail(const std::string& why) {
  std::fprintf(stderr, "config_reference: %s\n", why.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return Fail("give the file of //protos:descriptor_set");
  const auto set = slipstream::config::ReadFile(argv[1], kMaxDescriptorSetBytes);
  if (!set.ok()) return Fail(std::string(set.status().message()));
  const auto text = slipstream::config::Reference(*set);
  if (!text.ok()) return Fail(std::string(text.status().message()));
  return std::fwrite(text->data(), 1, text->size(), stdout) == text->size() ? 0 : 1;
}
