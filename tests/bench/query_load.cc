// Load of Query on the database optimizer.
//   query_load --address=... --token=... --sql="SELECT ... $1" [--trace --timeout_s=S]
// Each call has another whole number of 1 to --keys as its parameter. Prints what ClosedLoop
// measures.
#include <grpcpp/grpcpp.h>

#include "absl/flags/flag.h"
#include "libs/rpc/channel.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"
#include "tests/bench/unary_load.h"

ABSL_DECLARE_FLAG(int, channels);
ABSL_FLAG(std::string, sql, "SELECT $1::int", "the statement");
ABSL_FLAG(int, keys, 10000, "parameters are 1 to this");
ABSL_FLAG(int, columns, 1, "columns of the one row of each answer");

namespace slipstream::bench {
namespace {

using database_optimizer::v1::DatabaseOptimizerService;
using database_optimizer::v1::QueryRequest;
using database_optimizer::v1::QueryResponse;

int Main() {
  std::vector<std::unique_ptr<DatabaseOptimizerService::Stub>> stubs;
  for (int i = 0; i < absl::GetFlag(FLAGS_channels); ++i) {
    // The peer's client does not try again either.
    stubs.push_back(DatabaseOptimizerService::NewStub(
        rpc::MakeChannel(absl::GetFlag(FLAGS_address), {.retries = false})));
  }
  const int keys = absl::GetFlag(FLAGS_keys);
  const int columns = absl::GetFlag(FLAGS_columns);
  QueryRequest sample;
  sample.set_statement(absl::GetFlag(FLAGS_sql));
  sample.add_parameters()->set_number_value(1);
  UnaryLoad<QueryRequest, QueryResponse> load(
      sample,
      [keys](int64_t number, QueryRequest* request) {
        request->mutable_parameters(0)->set_number_value(
            static_cast<double>(number * 7919 % keys + 1));
      },
      [&](int64_t number, auto* context, auto* request, auto* response, auto done) {
        stubs[static_cast<size_t>(number) % stubs.size()]->async()->Query(
            context, request, response, std::move(done));
      },
      [columns](int64_t, const QueryResponse& response) {
        return response.rows_size() == 1 && response.rows(0).values_size() == columns;
      });
  nlohmann::json out;
  load.Run(&out);
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
