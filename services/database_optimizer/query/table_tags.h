// Under which tags a cached result goes, so that a write to any table that it depends on finds it.
//
// A statement names tables; a view among them reads others, a partitioned or inherited table is
// written through its parts and its parents, and a foreign key may change or delete rows when the
// table that it refers to is written. The catalog knows all of these, and they become tags too.
// Tables read by functions, and those written by triggers and rules, are not seen: whoever writes
// such names the tables in InvalidateTables.
//
// Thread safety: all methods from any coroutine. The pool outlives it.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_TABLE_TAGS_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_TABLE_TAGS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/postgres/pool.h"
#include "libs/sync/mutex.h"
#include "services/database_optimizer/query/checked_statement.h"

namespace slipstream::database_optimizer {

class TableTags {
 public:
  // How long the catalog's word is kept: a new partition, view or key is seen after this.
  static constexpr absl::Duration kKeep = absl::Seconds(10);
  // Of a result that depends on more tables than an entry can have tags; every invalidation drops
  // these too.
  static constexpr char kManyTables[] = "*";

  TableTags(postgres::Pool& pool, const clock::Clock& clock) : pool_(pool), clock_(clock) {}

  // Tags of a result that reads `tables`, at most `max_count`.
  Async<absl::StatusOr<std::vector<std::string>>> ForRead(const std::vector<TableName>& tables,
                                                          const postgres::Caller& caller,
                                                          size_t max_count);

  // Tags to invalidate when `tables` were written. A table that is gone, or that cannot be looked
  // up, is taken by its name, in schema public when none is given.
  Async<std::vector<std::string>> ForWrite(const std::vector<TableName>& tables,
                                           const postgres::Caller& caller);

 private:
  struct Kept {
    absl::Duration until;
    std::vector<std::string> tags;
  };
  static constexpr size_t kMaxKeptCount = 1000;

  postgres::Pool& pool_;
  const clock::Clock& clock_;
  sync::Mutex mutex_;
  std::map<std::vector<TableName>, Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_TABLE_TAGS_H_
