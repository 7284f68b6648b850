// Counters, gauges and histograms of one process, and their exposition at /metrics.
//
// One Registry is made by main() and handed around; it outlives all handles. A component registers
// its table once and keeps the handles of its fixed label sets, so that the hot path is one atomic
// addition on a cache line of its own (a histogram: two), with no lock and no lookup:
//
//   metrics::Family<metrics::Counter> submitted = registry.Add(kSubmitted);
//   metrics::Counter pdf = submitted.With({"generate_pdf"});   // once; takes a lock
//   pdf.Increment();                                           // hot
//
// A family keeps at most MetricDef::max_children children. Further label sets all share one child
// whose labels are "other", and slipstream_metrics_other_label_sets_total counts them: an attacker
// who chooses label values cannot grow the process or the scrape.
//
// Everything is thread-safe. Registering the same definition twice gives the same family (modules
// that share a process do); the same name with another definition ends the process with one line,
// as it is a programming error that shows at the first start.
// The data model and the text format are prometheus-cpp's; only the cells are our own, because its
// histogram takes a mutex and its counter is an out-of-line call.
#ifndef SLIPSTREAM_LIBS_METRICS_REGISTRY_H_
#define SLIPSTREAM_LIBS_METRICS_REGISTRY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "libs/metrics/metric_def.h"

namespace slipstream::metrics {

namespace internal {
class FamilyState;

struct alignas(64) CounterCell {
  std::atomic<std::uint64_t> value{0};
};
struct alignas(64) GaugeCell {
  std::atomic<double> value{0};
};
struct alignas(64) HistogramCell {
  std::atomic<double> sum{0};
  Buckets bounds;
  std::atomic<std::uint64_t> counts[kMaxBuckets + 1] = {};  // not cumulative; the last is +Inf
};
}  // namespace internal

// Handles are copied freely; a default-constructed one does nothing.
class Counter {
 public:
  Counter() = default;
  explicit Counter(internal::CounterCell* cell) : cell_(cell) {}
  void Increment(std::uint64_t by = 1) const {
    if (cell_ != nullptr) cell_->value.fetch_add(by, std::memory_order_relaxed);
  }
  std::uint64_t Value() const {
    return cell_ == nullptr ? 0 : cell_->value.load(std::memory_order_relaxed);
  }

 private:
  internal::CounterCell* cell_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(internal::GaugeCell* cell) : cell_(cell) {}
  void Set(double value) const {
    if (cell_ != nullptr) cell_->value.store(value, std::memory_order_relaxed);
  }
  void Add(double by) const {
    if (cell_ != nullptr) cell_->value.fetch_add(by, std::memory_order_relaxed);
  }
  double Value() const {
    return cell_ == nullptr ? 0 : cell_->value.load(std::memory_order_relaxed);
  }

 private:
  internal::GaugeCell* cell_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(internal::HistogramCell* cell) : cell_(cell) {}
  void Observe(double value) const {
    if (cell_ == nullptr) return;
    std::size_t i = 0;
    while (i < cell_->bounds.size() && value > cell_->bounds[i]) ++i;
    cell_->counts[i].fetch_add(1, std::memory_order_relaxed);
    cell_->sum.fetch_add(value, std::memory_order_relaxed);
  }
  std::uint64_t Count() const;

 private:
  internal::HistogramCell* cell_ = nullptr;
};

using LabelValues = std::initializer_list<std::string_view>;

// A name with its children. T is Counter, Gauge or Histogram.
template <typename T>
class Family {
 public:
  Family() = default;
  explicit Family(internal::FamilyState* state) : state_(state) {}
  // The child with these label values, in the order of the definition. Makes it when it is new.
  // Takes a lock: resolve once and keep the handle. REQUIRES: as many values as labels.
  T With(LabelValues values) const { return With(std::span(values.begin(), values.size())); }
  T With(std::span<const std::string_view> values) const;

 private:
  internal::FamilyState* state_ = nullptr;  // null: handles that do nothing
};

template <>
Counter Family<Counter>::With(std::span<const std::string_view> values) const;
template <>
Gauge Family<Gauge>::With(std::span<const std::string_view> values) const;
template <>
Histogram Family<Histogram>::With(std::span<const std::string_view> values) const;

// What a collector fills in. Definitions and label values as above; the bound on children holds.
class Samples {
 public:
  virtual ~Samples() = default;
  virtual void Add(const CounterDef& def, double value, LabelValues labels = {}) = 0;
  virtual void Add(const GaugeDef& def, double value, LabelValues labels = {}) = 0;
};

class Registry {
 public:
  using Collector = std::function<void(Samples&)>;

  Registry();
  ~Registry();  // REQUIRES: every Registration is gone
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Family<Counter> Add(const CounterDef& def);
  Family<Gauge> Add(const GaugeDef& def);
  Family<Histogram> Add(const HistogramDef& def);

  // Ends the collector; when the destructor returns it neither runs nor will run again.
  class [[nodiscard]] Registration {
   public:
    Registration() = default;
    Registration(Registration&& other) noexcept;
    Registration& operator=(Registration&& other) noexcept;
    ~Registration();

   private:
    friend class Registry;
    struct Entry;
    explicit Registration(std::shared_ptr<Entry> entry);
    std::shared_ptr<Entry> entry_;
  };

  // `collector` runs on the scraping thread at each Expose(), one call at a time and under no lock;
  // it must not block. For figures that are read when asked for, such as a queue's depth.
  Registration AddCollector(Collector collector);

  // All series in the Prometheus text format 0.0.4, sorted by name.
  std::string Expose() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// For tests: the value of the series written as in the exposition, `name{label="value"}`; 0 when
// there is none.
double ValueOf(const Registry& registry, std::string_view series);

}  // namespace slipstream::metrics

#endif  // SLIPSTREAM_LIBS_METRICS_REGISTRY_H_
