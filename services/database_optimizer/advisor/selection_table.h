// A problem of index selection in the form that the search reads: what can never be chosen or used
// is gone, and every query has its combinations in the order of their benefit.
//
// Immutable after Build; read it from any thread. Errors: those of index_selection.h.
#ifndef SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_TABLE_H_
#define SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_TABLE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/database_optimizer/advisor/index_selection.h"

namespace slipstream::database_optimizer {

// Everything lies in a few arrays, since the search does little but walk along them; a Range says
// which part of an array belongs to whom.
struct SelectionTable {
  struct Range {
    int begin = 0;
    int end = 0;
  };
  // One way to answer a query; its rank is its place in the query's list.
  struct Way {
    double benefit;  // base cost - cost, always above 0
    int combination;
    Range parts;  // one for each candidate of the combination
  };
  // A candidate's part in one query: all ways that it is needed for, by rank.
  struct Part {
    int query;
    int candidate;
    Range places;
  };
  struct Place {
    int rank;
    int combination;
  };
  struct Candidate {
    int id;  // in the problem
    int64_t size_bytes;
    double write_cost;
    Range combinations;
    Range parts;
  };
  struct Use {
    int query;
    int rank;
  };
  struct Combination {
    int id;  // in the problem
    Range members;
    Range uses;
  };

  static absl::StatusOr<SelectionTable> Build(const SelectionProblem& problem,
                                              int64_t budget_bytes);

  // The same without the candidates for which `keep` is false, and what needs them.
  SelectionTable Without(const std::vector<bool>& keep) const;

  int candidates_count() const { return static_cast<int>(candidates.size()); }
  int combinations_count() const { return static_cast<int>(combinations.size()); }
  int queries_count() const { return static_cast<int>(queries.size()); }
  absl::Span<const Way> Ways(int query) const { return Cut(ways, queries[query]); }
  absl::Span<const int> Members(int combination) const {
    return Cut(members, combinations[combination].members);
  }
  absl::Span<const Use> Uses(int combination) const {
    return Cut(uses, combinations[combination].uses);
  }
  absl::Span<const int> CombinationsOf(int candidate) const {
    return Cut(combinations_of, candidates[candidate].combinations);
  }
  absl::Span<const Part> PartsOf(int candidate) const {
    return Cut(parts, candidates[candidate].parts);
  }
  absl::Span<const Place> Places(const Part& part) const { return Cut(places, part.places); }
  // Places in `parts`.
  absl::Span<const int> PartsOf(const Way& way) const { return Cut(way_parts, way.parts); }

  int64_t budget_bytes = 0;
  double base_cost = 0;  // of all queries
  std::vector<Candidate> candidates;
  std::vector<Combination> combinations;
  std::vector<Range> queries;
  std::vector<Way> ways;  // of each query by benefit, largest first
  std::vector<Part> parts;
  std::vector<Place> places;
  std::vector<Use> uses;
  std::vector<int> members;
  std::vector<int> combinations_of;
  std::vector<int> way_parts;

 private:
  template <class T>
  static absl::Span<const T> Cut(const std::vector<T>& all, Range range) {
    return absl::MakeConstSpan(all).subspan(range.begin, range.end - range.begin);
  }
  void LinkCombinations();
  void LinkParts();
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_TABLE_H_
