#include "services/edge/transcoder/route_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/edge/transcoder/percent.h"

namespace slipstream::edge {

namespace {

// A route that ends at a node.
struct Leaf {
  const RouteSpec* spec = nullptr;
};

struct Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> single;  // "*"
  std::unique_ptr<Node> multi;   // "**": always the end
  std::vector<Leaf> leaves;      // by verb and method; few
};

Node* Child(Node* node, const TemplateSegment& segment) {
  std::unique_ptr<Node>* child = nullptr;
  switch (segment.kind) {
    case TemplateSegment::Kind::kLiteral:
      child = &node->literals[segment.literal];
      break;
    case TemplateSegment::Kind::kSingle:
      child = &node->single;
      break;
    case TemplateSegment::Kind::kMulti:
      child = &node->multi;
      break;
  }
  if (*child == nullptr) *child = std::make_unique<Node>();
  return child->get();
}

// The path as the search sees it.
struct Segments {
  std::vector<std::string_view> raw;
  std::vector<std::string> decoded;
};

struct Search {
  std::string_view http_method;
  std::string_view verb;
  const Segments* segments;
  std::set<std::string>* allowed;  // methods of routes that match the path

  const RouteSpec* At(const Node& node) const {
    for (const Leaf& leaf : node.leaves) {
      if (leaf.spec->path.verb != verb) continue;
      if (leaf.spec->http_method == http_method) return leaf.spec;
      allowed->insert(leaf.spec->http_method);
    }
    return nullptr;
  }

  // REQUIRES: `index` segments are consumed. Recursion is bounded by the trie's depth.
  const RouteSpec* From(const Node& node, size_t index) const {
    if (index == segments->decoded.size()) {
      if (const RouteSpec* found = At(node); found != nullptr) return found;
    } else {
      const std::string& segment = segments->decoded[index];
      if (const auto literal = node.literals.find(segment); literal != node.literals.end()) {
        if (const RouteSpec* found = From(*literal->second, index + 1); found != nullptr)
          return found;
      }
      if (node.single != nullptr && !segment.empty()) {
        if (const RouteSpec* found = From(*node.single, index + 1); found != nullptr) return found;
      }
    }
    return node.multi == nullptr ? nullptr : At(*node.multi);
  }
};

// False with the reason in *error when the path may not be looked up at all.
bool Split(std::string_view path, Segments* segments, std::string* error) {
  if (path.size() > kMaxPath_bytes) {
    *error = absl::StrCat("the path is longer than ", kMaxPath_bytes, " bytes");
    return false;
  }
  if (path.empty() || path.front() != '/') {
    *error = "the path must start with `/`";
    return false;
  }
  path.remove_prefix(1);
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view raw = path.substr(0, slash);
    std::string decoded;
    if (!PercentDecode(raw, PercentDecoding::kAll, &decoded)) {
      *error = "the path has an invalid percent escape or is not UTF-8";
      return false;
    }
    if (decoded == "." || decoded == "..") {
      *error = "the path has a `.` or `..` segment: send it resolved";
      return false;
    }
    if (segments->raw.size() == kMaxPathSegment_count) {
      *error = absl::StrCat("the path has more than ", kMaxPathSegment_count, " segments");
      return false;
    }
    segments->raw.push_back(raw);
    segments->decoded.push_back(std::move(decoded));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
    if (path.empty()) {  // "a//": the second slash opens an empty segment
      segments->raw.emplace_back();
      segments->decoded.emplace_back();
    }
  }
  return true;
}

// Takes ":verb" off the last segment. False when there is none.
bool TakeVerb(Segments* segments, std::string* verb) {
  if (segments->raw.empty()) return false;
  std::string_view& last = segments->raw.back();
  const size_t colon = last.rfind(':');  // a "%3A" is data
  if (colon == std::string_view::npos || colon == 0) return false;
  if (!PercentDecode(last.substr(colon + 1), PercentDecoding::kAll, verb) || verb->empty())
    return false;
  last = last.substr(0, colon);
  return PercentDecode(last, PercentDecoding::kAll, &segments->decoded.back());
}

// The values of the variables of a matched template; the path was checked by Split.
std::vector<PathVariable> Capture(const PathTemplate& path, const Segments& segments) {
  std::vector<PathVariable> variables;
  variables.reserve(path.variables.size());
  for (const TemplateVariable& variable : path.variables) {
    PathVariable captured{variable.field_path, ""};
    if (variable.single) {
      captured.value = segments.decoded[variable.first];
    } else {
      const bool to_end = variable.first + variable.count == path.segments.size();
      const size_t end = to_end ? segments.raw.size() : variable.first + variable.count;
      for (size_t i = variable.first; i < end; ++i) {
        std::string part;
        PercentDecode(segments.raw[i], PercentDecoding::kKeepSlash, &part);
        absl::StrAppend(&captured.value, i == variable.first ? "" : "/", part);
      }
    }
    variables.push_back(std::move(captured));
  }
  return variables;
}

}  // namespace

struct RouteTable::Impl {
  std::vector<std::unique_ptr<RouteSpec>> specs;
  std::set<std::string, std::less<>> verbs;
  Node root;

  // Fills *match when a route of the method matches; otherwise adds to *allowed.
  bool Match(std::string_view http_method, std::string_view verb, const Segments& segments,
             std::set<std::string>* allowed, RouteMatch* match) const {
    const RouteSpec* spec = Search{http_method, verb, &segments, allowed}.From(root, 0);
    if (spec == nullptr) return false;
    match->outcome = RouteMatch::Outcome::kFound;
    match->target = spec->target;
    match->variables = Capture(spec->path, segments);
    return true;
  }
};

RouteTable::RouteTable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RouteTable::RouteTable(RouteTable&&) noexcept = default;
RouteTable& RouteTable::operator=(RouteTable&&) noexcept = default;
RouteTable::~RouteTable() = default;

absl::StatusOr<RouteTable> RouteTable::Build(const std::vector<RouteSpec>& routes) {
  auto impl = std::make_unique<Impl>();
  for (const RouteSpec& route : routes) {
    if (route.path.segments.size() > kMaxPathSegment_count) {
      return absl::InvalidArgumentError(absl::StrCat("path template \"", route.path.text, "\" of ",
                                                     route.owner, " has too many segments"));
    }
    impl->specs.push_back(std::make_unique<RouteSpec>(route));
    const RouteSpec* spec = impl->specs.back().get();
    Node* node = &impl->root;
    for (const TemplateSegment& segment : spec->path.segments) node = Child(node, segment);
    for (const Leaf& other : node->leaves) {
      if (other.spec->http_method == spec->http_method &&
          other.spec->path.verb == spec->path.verb) {
        return absl::AlreadyExistsError(
            absl::StrCat(spec->http_method, " \"", spec->path.text, "\" of ", spec->owner,
                         " matches the same paths as \"", other.spec->path.text, "\" of ",
                         other.spec->owner, ": change one of the two"));
      }
    }
    node->leaves.push_back(Leaf{spec});
    if (!spec->path.verb.empty()) impl->verbs.insert(spec->path.verb);
  }
  return RouteTable(std::move(impl));
}

RouteMatch RouteTable::Find(std::string_view http_method, std::string_view path) const {
  RouteMatch match;
  Segments segments;
  if (!Split(path, &segments, &match.error)) {
    match.outcome = RouteMatch::Outcome::kBadPath;
    return match;
  }
  std::set<std::string> allowed;
  Segments without_verb;
  std::string verb;
  bool has_verb = !segments.raw.empty() && segments.raw.back().find(':') != std::string_view::npos;
  if (has_verb) {
    without_verb = segments;
    has_verb = TakeVerb(&without_verb, &verb) && impl_->verbs.contains(verb);
  }
  const auto find = [&](std::string_view method) {
    if (has_verb && impl_->Match(method, verb, without_verb, &allowed, &match)) return true;
    return impl_->Match(method, "", segments, &allowed, &match);
  };
  if (find(http_method)) return match;
  if (http_method == "HEAD" && find("GET")) {
    match.head_of_get = true;
    return match;
  }
  if (allowed.empty()) return match;
  if (allowed.contains("GET")) allowed.insert("HEAD");
  match.outcome = RouteMatch::Outcome::kMethodNotAllowed;
  for (const std::string& method : allowed) {
    absl::StrAppend(&match.allow, match.allow.empty() ? "" : ", ", method);
  }
  return match;
}

}  // namespace slipstream::edge
