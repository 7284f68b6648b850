// Reads a task's arguments from a protobuf Struct, naming the field in every complaint.
//
// Thread safety: belongs to one thread; the Struct must outlive it.
#ifndef SERVICES_WORKER_HANDLERS_ARGS_READER_H_
#define SERVICES_WORKER_HANDLERS_ARGS_READER_H_

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/struct.pb.h"
#include "libs/status/status.h"

namespace slipstream::worker {

class ArgsReader {
 public:
  explicit ArgsReader(const google::protobuf::Struct& args) : args_(args) {}

  // The string, or "" when it is absent or null. A wrong type or more than `max_bytes` is noted.
  std::string String(const std::string& field, size_t max_bytes);
  bool Has(const std::string& field) const;
  void Complain(const std::string& field, const std::string& message);

  // All complaints, unknown fields among them; OK when there are none. Call last.
  absl::Status Finish();

 private:
  const google::protobuf::Struct& args_;
  std::set<std::string> known_;
  std::vector<status::FieldViolation> violations_;
};

// A file name for people out of a title: "RFC: Größe!" -> "rfc-größe" + extension.
std::string FileNameFor(const std::string& title, const std::string& extension);

// "" when `name` may be a file name, otherwise what is wrong with it.
std::string FileNameProblem(const std::string& name);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_HANDLERS_ARGS_READER_H_
