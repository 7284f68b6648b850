#include "services/edge/transcoder/fuzz_targets.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "kinds.pb.h"
#include "libs/utf8/utf8.h"
#include "services/edge/transcoder/http_rule.h"
#include "services/edge/transcoder/json_lexer.h"
#include "services/edge/transcoder/json_reader.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/query_binding.h"
#include "services/edge/transcoder/route_table.h"

namespace slipstream::edge {

namespace {

using testdata::Kinds;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

RouteTable Routes() {
  std::vector<RouteSpec> specs;
  for (const char* path : {"/a/{a_string}", "/a/{a_string}:verb", "/{a_string=b/*/c/**}", "/a/b",
                           "/{a_string}/c", "/d/*/{a_string}/e", "/**"}) {
    specs.push_back({"GET", *ParsePathTemplate(path), path, specs.size()});
  }
  return *RouteTable::Build(specs);
}

}  // namespace

void FuzzJsonReader(std::string_view text) {
  const bool well_formed = CheckJson(text).ok();
  Kinds first;
  if (!ReadJson(text, &first).ok()) return;
  Require(well_formed, "the reader accepts what is not JSON");
  const std::string bytes = Bytes(first);
  Kinds parsed;
  Require(parsed.ParseFromString(bytes), "an accepted message does not parse from the wire");
  std::string json;
  Require(WriteJson(first, &json).ok(), "an accepted message has no JSON form");
  Require(CheckJson(json).ok(), "the writer's text is not JSON");
  Kinds second;
  Require(ReadJson(json, &second).ok(), "the writer's text is not read back");
  Require(Bytes(second) == bytes, "the message changed on its way through JSON");
}

void FuzzRoutes(std::string_view target) {
  static const RouteTable routes = Routes();
  static const std::vector<std::string> names = QueryNames(*Kinds::descriptor(), {"a_string"});
  const size_t question = target.find('?');
  const RouteMatch match = routes.Find("GET", target.substr(0, question));
  for (const PathVariable& variable : match.variables) {
    Require(utf8::IsValid(variable.value), "a path variable is not UTF-8");
    Require(variable.value != "..", "a path variable leads upwards");
  }
  if (question == std::string_view::npos) return;
  Kinds request;
  if (!BindQueryParameters(target.substr(question + 1), names, &request).ok()) return;
  std::string json;
  Require(WriteJson(request, &json).ok() && CheckJson(json).ok(), "a bound query has no JSON form");
}

}  // namespace slipstream::edge
