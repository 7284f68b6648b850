// The catalog of testdata/routes.proto.
#ifndef SERVICES_EDGE_TRANSCODER_TESTDATA_LIBRARY_CATALOG_H_
#define SERVICES_EDGE_TRANSCODER_TESTDATA_LIBRARY_CATALOG_H_

#include <memory>

#include "google/protobuf/descriptor.pb.h"
#include "services/edge/transcoder/method_catalog.h"

namespace slipstream::edge {

google::protobuf::FileDescriptorSet LibraryDescriptors();
std::unique_ptr<MethodCatalog> LibraryCatalog();

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_TESTDATA_LIBRARY_CATALOG_H_
