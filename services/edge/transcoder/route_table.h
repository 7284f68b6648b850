// (HTTP method, path) -> route, by a trie of path segments.
//
// A literal segment wins over "*", "*" over "**", from left to right, among the routes of the asked
// method; one trailing slash equals none; an empty segment ("//") matches nothing. A ":verb" is
// tried before the colon is taken as data. HEAD falls back to GET. Path segments are
// percent-decoded one by one, so "%2F" in a single-segment variable is data; in a variable of
// several segments it stays "%2F", so that the parts can still be told apart.
//
// Thread safety: immutable after Build; Find may run from any thread. Cost of Find: O(segments),
// each trie node visited at most once.
#ifndef SERVICES_EDGE_TRANSCODER_ROUTE_TABLE_H_
#define SERVICES_EDGE_TRANSCODER_ROUTE_TABLE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/edge/transcoder/http_rule.h"

namespace slipstream::edge {

inline constexpr size_t kMaxPath_bytes = 4096;
inline constexpr size_t kMaxPathSegment_count = 64;

struct PathVariable {
  std::string field_path;
  std::string value;  // decoded, valid UTF-8, never empty for a single segment
};

// What a route leads to: `target` is the caller's index (of a binding, an upstream ...).
struct RouteSpec {
  std::string http_method;
  PathTemplate path;
  std::string owner;  // named in conflicts: "slipstream.task_queue.v1.TaskQueueService.SubmitTask"
  size_t target = 0;
};

struct RouteMatch {
  enum class Outcome {
    kFound,
    kNotFound,          // 404
    kMethodNotAllowed,  // 405 with `allow`
    kBadPath,           // 400 with `error`
  };
  Outcome outcome = Outcome::kNotFound;
  size_t target = 0;                    // of kFound
  bool head_of_get = false;             // HEAD answered by a GET route: send no body
  std::vector<PathVariable> variables;  // of kFound, in template order
  std::string allow;                    // of kMethodNotAllowed: "DELETE, GET, HEAD"
  std::string error;                    // of kBadPath: what is wrong, for a person

  bool found() const { return outcome == Outcome::kFound; }
};

class RouteTable {
 public:
  // ALREADY_EXISTS, with both owners and templates, when two routes of one method match the same
  // paths.
  static absl::StatusOr<RouteTable> Build(const std::vector<RouteSpec>& routes);

  RouteTable(RouteTable&&) noexcept;
  RouteTable& operator=(RouteTable&&) noexcept;
  ~RouteTable();

  // `path` is the raw path of the request line, without "?query".
  RouteMatch Find(std::string_view http_method, std::string_view path) const;

 private:
  struct Impl;
  explicit RouteTable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_ROUTE_TABLE_H_
