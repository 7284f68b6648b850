#include "services/edge/transcoder/testdata/library_catalog.h"

#include <fstream>
#include <utility>

#include "gtest/gtest.h"

namespace slipstream::edge {

google::protobuf::FileDescriptorSet LibraryDescriptors() {
  google::protobuf::FileDescriptorSet files;
  std::ifstream in("services/edge/transcoder/testdata/routes.pb", std::ios::binary);
  EXPECT_TRUE(files.ParseFromIstream(&in)) << "testdata/routes.pb is not among the test's data";
  return files;
}

std::unique_ptr<MethodCatalog> LibraryCatalog() {
  auto catalog = MethodCatalog::Create(LibraryDescriptors());
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return catalog.ok() ? *std::move(catalog) : nullptr;
}

}  // namespace slipstream::edge
