#include "services/edge/transcoder/openapi.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/edge/transcoder/field_path.h"
#include "services/edge/transcoder/openapi_schema.h"
#include "slipstream/api/v1/policy.pb.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr char kProblemSchema[] = "Problem";

bool IsHttpBody(const Descriptor* type) {
  return type != nullptr && type->full_name() == "google.api.HttpBody";
}

// What problem.cc prints.
OrderedJson ProblemSchema() {
  return OrderedJson::parse(R"({
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
      "type": {"type": "string"},
      "title": {"type": "string"},
      "status": {"type": "integer", "description": "The HTTP status."},
      "detail": {"type": "string", "description": "What happened and what to do next."},
      "code": {"type": "string", "description": "The gRPC code, such as INVALID_ARGUMENT."},
      "reason": {"type": "string", "description": "A stable UPPER_SNAKE_CASE reason."},
      "errors": {"type": "array", "items": {"type": "object", "properties": {
        "field": {"type": "string"}, "message": {"type": "string"}}}},
      "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
      "correlation_id": {"type": "string"},
      "retry_after_s": {"type": "integer"}
    },
    "required": ["type", "title", "status", "code"]
  })");
}

// Comments are wrapped anywhere, so a line of one says little by itself.
std::string FirstSentence(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  const size_t end = text.find(". ");
  return end == std::string::npos ? text : text.substr(0, end + 1);
}

class DocumentBuilder {
 public:
  explicit DocumentBuilder(const OpenApiInfo& info) {
    document_ = {{"openapi", "3.1.0"},
                 {"info", {{"title", info.title}, {"version", info.version}}},
                 {"servers", {{{"url", info.server_url}}}},
                 {"security", {{{"bearer", OrderedJson::array()}}}},
                 {"tags", OrderedJson::array()},
                 {"paths", OrderedJson::object()}};
    if (!info.description.empty()) document_["info"]["description"] = info.description;
    if (!info.own_paths_json.empty()) {
      document_["paths"] = OrderedJson::parse(info.own_paths_json);
      document_["tags"].push_back(
          {{"name", "Edge"}, {"description", "What the edge itself does."}});
    }
  }

  void Add(const MethodCatalog& catalog) {
    for (const Endpoint& endpoint : catalog.endpoints()) {
      const CatalogMethod& method = catalog.methods()[endpoint.method];
      const HttpBinding& binding = method.bindings[endpoint.binding];
      const std::string verb = absl::AsciiStrToLower(binding.http_method);
      OrderedJson& path = document_["paths"][binding.path.OpenApiPath()];
      if (path.contains(verb)) continue;
      path[verb] = Operation(method, binding, endpoint, verb);
    }
  }

  std::string Finish() {
    OrderedJson schemas = OrderedJson::object();
    for (const auto& [name, schema] : schemas_.components()) schemas[name] = schema;
    schemas[kProblemSchema] = ProblemSchema();
    document_["components"] = {
        {"schemas", std::move(schemas)},
        {"responses",
         {{"Problem",
           {{"description", "The request failed; the body says why and what to do."},
            {"content",
             {{"application/problem+json",
               {{"schema",
                 {{"$ref", absl::StrCat("#/components/schemas/", kProblemSchema)}}}}}}}}}}},
        {"securitySchemes",
         {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}},
          {"session",
           {{"type", "apiKey"},
            {"in", "cookie"},
            {"name", "slipstream_session"},
            {"description", "Of POST /api/v1/session; for GETs that stream."}}}}}};
    return document_.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  }

 private:
  OrderedJson Operation(const CatalogMethod& method, const HttpBinding& binding,
                        const Endpoint& endpoint, const std::string& verb) {
    const std::string service = method.descriptor->service()->name();
    if (tags_.insert(service).second) {
      OrderedJson tag = {{"name", service}};
      if (std::string text = CommentOf(*method.descriptor->service()); !text.empty()) {
        tag["description"] = text;
      }
      document_["tags"].push_back(std::move(tag));
    }
    OrderedJson operation = {
        {"operationId",
         absl::StrCat(service, "_", method.descriptor->name(),
                      endpoint.binding == 0 ? "" : absl::StrCat("_", endpoint.binding + 1))},
        {"tags", {service}}};
    if (std::string text = CommentOf(*method.descriptor); !text.empty()) {
      operation["summary"] = FirstSentence(text);
      operation["description"] = text;
    }
    if (method.open) {
      operation["security"] = OrderedJson::array();
    } else if (verb == "get" && method.streaming == StreamingKind::kServer) {
      // A browser's EventSource has nothing but cookies.
      operation["security"] = {{{"bearer", OrderedJson::array()}},
                               {{"session", OrderedJson::array()}}};
    }
    if (!method.permission.empty()) operation["x-permission"] = method.permission;
    operation["x-grpc-method"] = method.name;
    OrderedJson parameters = Parameters(method, binding, endpoint.binder);
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    if (OrderedJson body = Body(*method.descriptor->input_type(), binding); !body.is_null()) {
      operation["requestBody"] = std::move(body);
    }
    operation["responses"] = {{absl::StrCat(method.success_status), Success(method, binding)},
                              {"default", {{"$ref", "#/components/responses/Problem"}}}};
    return operation;
  }

  OrderedJson Parameter(const Descriptor& input, const std::string& name, const char* in) {
    const FieldPath path = ResolveFieldPath(input, name);
    OrderedJson parameter = {{"name", name}, {"in", in}};
    if (std::string(in) == "path") parameter["required"] = true;
    OrderedJson schema = schemas_.OfField(*path.back());
    if (schema.contains("description")) {
      parameter["description"] = schema["description"];
      schema.erase("description");
    }
    schema.erase("readOnly");
    schema.erase("writeOnly");
    parameter["schema"] = std::move(schema);
    return parameter;
  }

  OrderedJson Parameters(const CatalogMethod& method, const HttpBinding& binding,
                         const RequestBinder& binder) {
    const Descriptor& input = *method.descriptor->input_type();
    OrderedJson parameters = OrderedJson::array();
    for (const auto& variable : binding.path.variables) {
      parameters.push_back(Parameter(input, variable.field_path, "path"));
    }
    for (const std::string& name : binder.query_names()) {
      parameters.push_back(Parameter(input, name, "query"));
    }
    for (int i = 0; i < input.field_count(); ++i) {
      const auto& header =
          input.field(i)->options().GetExtension(slipstream::api::v1::field).http_header();
      if (header.empty()) continue;
      OrderedJson parameter = Parameter(input, input.field(i)->name(), "header");
      parameter["name"] = header;
      parameters.push_back(std::move(parameter));
    }
    return parameters;
  }

  // The request body's media types, or null when the route takes none.
  OrderedJson Body(const Descriptor& input, const HttpBinding& binding) {
    if (binding.body.empty()) return nullptr;
    if (binding.body != "*") {
      const FieldDescriptor& field = *input.FindFieldByName(binding.body);
      return {{"required", true}, {"content", Content(field)}};
    }
    if (IsHttpBody(&input)) return {{"required", true}, {"content", RawContent()}};
    return {{"content", {{"application/json", {{"schema", BodySchema(input, binding)}}}}}};
  }

  // With body "*" the fields that the path binds need not be in the body.
  OrderedJson BodySchema(const Descriptor& input, const HttpBinding& binding) {
    OrderedJson schema = schemas_.OfMessage(input);
    if (binding.path.variables.empty() || !schemas_.components().contains(input.full_name())) {
      return schema;
    }
    schema = schemas_.components().at(input.full_name());
    for (const auto& variable : binding.path.variables) {
      schema["properties"].erase(variable.field_path);
      if (!schema.contains("required")) continue;
      OrderedJson required = OrderedJson::array();
      for (const auto& name : schema["required"]) {
        if (name != variable.field_path) required.push_back(name);
      }
      schema["required"] = std::move(required);
    }
    if (schema.contains("required") && schema["required"].empty()) schema.erase("required");
    return schema;
  }

  static OrderedJson RawContent() { return {{"*/*", {{"schema", OrderedJson::object()}}}}; }

  OrderedJson Content(const FieldDescriptor& field) {
    if (!field.is_repeated() && IsHttpBody(field.message_type())) return RawContent();
    return {{"application/json", {{"schema", schemas_.OfField(field)}}}};
  }

  OrderedJson Success(const CatalogMethod& method, const HttpBinding& binding) {
    const Descriptor& output = *method.descriptor->output_type();
    OrderedJson response = {{"description", "Success."}};
    if (method.success_status == 204) return response;
    if (!binding.response_body.empty()) {
      response["content"] = Content(*output.FindFieldByName(binding.response_body));
    } else if (IsHttpBody(&output)) {
      response["content"] = RawContent();
    } else {
      OrderedJson schema = {{"schema", schemas_.OfMessage(output)}};
      if (method.streaming == StreamingKind::kServer || method.streaming == StreamingKind::kBidi) {
        response["description"] = "A stream of messages, until it ends or the client leaves.";
        response["content"] = {{"text/event-stream", schema}, {"application/x-ndjson", schema}};
      } else {
        response["content"] = {{"application/json", schema}};
      }
    }
    return response;
  }

  OrderedJson document_;
  SchemaCollection schemas_;
  std::set<std::string> tags_;
};

}  // namespace

std::string MakeOpenApi(const std::vector<const MethodCatalog*>& catalogs,
                        const OpenApiInfo& info) {
  DocumentBuilder builder(info);
  for (const MethodCatalog* catalog : catalogs) builder.Add(*catalog);
  return builder.Finish();
}

}  // namespace slipstream::edge
