#include "libs/metrics/registry.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <map>
#include <sstream>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "libs/sync/mutex.h"

namespace slipstream::metrics {
namespace {

constexpr std::size_t kMaxLabelValueBytes = 128;
constexpr std::string_view kOther = "other";

constexpr CounterDef kOtherLabelSets{
    "slipstream_metrics_other_label_sets_total",
    "Label sets that were counted as \"other\" because their family has its most children.",
    {"family"}};

[[noreturn]] void Die(std::string_view what, std::string_view name) {
  std::fprintf(stderr, "metrics: %.*s: %.*s\n", static_cast<int>(name.size()), name.data(),
               static_cast<int>(what.size()), what.data());
  std::abort();
}

// Values come from outside at times: one that is not UTF-8 would make a scraper refuse the whole
// page, so whatever is not printable ASCII becomes '?'.
std::string CleanValue(std::string_view value) {
  std::string clean(value.substr(0, kMaxLabelValueBytes));
  for (char& c : clean) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return clean;
}

std::vector<std::string> CleanValues(const MetricDef& def,
                                     std::span<const std::string_view> values) {
  if (values.size() != def.label_count) Die("wrong number of label values", def.name);
  std::vector<std::string> clean;
  for (std::string_view value : values) clean.push_back(CleanValue(value));
  return clean;
}

std::vector<std::string> OtherValues(const MetricDef& def) {
  return std::vector<std::string>(def.label_count, std::string(kOther));
}

bool SameDef(const MetricDef& a, const MetricDef& b) {
  return a.type == b.type && a.name == b.name && a.help == b.help && a.labels == b.labels &&
         a.label_count == b.label_count && a.max_children == b.max_children &&
         std::equal(a.buckets.begin(), a.buckets.end(), b.buckets.begin(), b.buckets.end());
}

prometheus::MetricFamily EmptyFamily(const MetricDef& def) {
  prometheus::MetricFamily family;
  family.name = std::string(def.name);
  family.help = std::string(def.help);
  switch (def.type) {
    case MetricType::kCounter:
      family.type = prometheus::MetricType::Counter;
      break;
    case MetricType::kGauge:
      family.type = prometheus::MetricType::Gauge;
      break;
    case MetricType::kHistogram:
      family.type = prometheus::MetricType::Histogram;
      break;
  }
  return family;
}

prometheus::ClientMetric WithLabels(const MetricDef& def, const std::vector<std::string>& values) {
  prometheus::ClientMetric metric;
  for (std::size_t i = 0; i < def.label_count; ++i) {
    metric.label.push_back({std::string(def.labels[i]), values[i]});
  }
  return metric;
}

// A family that collectors filled in during one scrape.
struct Collected {
  const MetricDef* def;
  std::map<std::vector<std::string>, double> values;
};

class SampleSet final : public Samples {
 public:
  void Add(const CounterDef& def, double value, LabelValues labels) override {
    AddValue(def, value, labels);
  }
  void Add(const GaugeDef& def, double value, LabelValues labels) override {
    AddValue(def, value, labels);
  }
  const std::map<std::string_view, Collected>& families() const { return families_; }

 private:
  void AddValue(const MetricDef& def, double value, LabelValues labels) {
    auto [it, added] = families_.try_emplace(def.name, Collected{&def, {}});
    Collected& family = it->second;
    if (!added && !SameDef(*family.def, def)) Die("defined twice, differently", def.name);
    auto key = CleanValues(def, std::span(labels.begin(), labels.size()));
    if (family.values.size() >= def.max_children && !family.values.contains(key)) {
      key = OtherValues(def);
    }
    family.values[std::move(key)] += value;
  }

  std::map<std::string_view, Collected> families_;
};

}  // namespace

namespace internal {

class FamilyState {
 public:
  using Cell = std::variant<CounterCell, GaugeCell, HistogramCell>;

  FamilyState(const MetricDef& def, FamilyState* others) : def_(def), others_(others) {}

  const MetricDef& def() const { return def_; }

  template <typename T>
  T* Child(std::span<const std::string_view> values) {
    std::vector<std::string> key = CleanValues(def_, values);
    bool other = false;
    T* cell = nullptr;
    {
      sync::MutexLock lock(mutex_);
      auto it = children_.find(key);
      if (it == children_.end() && children_.size() >= def_.max_children) {
        other = true;
        key = OtherValues(def_);
        it = children_.find(key);
      }
      if (it == children_.end()) {
        Cell& made = cells_.emplace_back(std::in_place_type<T>);
        if constexpr (std::is_same_v<T, HistogramCell>) std::get<T>(made).bounds = def_.buckets;
        it = children_.emplace(std::move(key), &made).first;
      }
      cell = &std::get<T>(*it->second);
    }
    if (other && others_ != nullptr) {
      const std::string_view family[] = {def_.name};
      others_->Child<CounterCell>(family)->value.fetch_add(1, std::memory_order_relaxed);
    }
    return cell;
  }

  prometheus::MetricFamily Collect() const {
    prometheus::MetricFamily family = EmptyFamily(def_);
    sync::MutexLock lock(mutex_);
    for (const auto& [values, cell] : children_) {
      prometheus::ClientMetric metric = WithLabels(def_, values);
      if (const auto* counter = std::get_if<CounterCell>(cell)) {
        metric.counter.value = static_cast<double>(counter->value.load(std::memory_order_relaxed));
      } else if (const auto* gauge = std::get_if<GaugeCell>(cell)) {
        metric.gauge.value = gauge->value.load(std::memory_order_relaxed);
      } else {
        FillHistogram(std::get<HistogramCell>(*cell), &metric.histogram);
      }
      family.metric.push_back(std::move(metric));
    }
    return family;
  }

 private:
  // The count is that of the buckets read, so that a scrape during an Observe() still adds up.
  static void FillHistogram(const HistogramCell& cell,
                            prometheus::ClientMetric::Histogram* histogram) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i <= cell.bounds.size(); ++i) {
      count += cell.counts[i].load(std::memory_order_relaxed);
      const double bound =
          i < cell.bounds.size() ? cell.bounds[i] : std::numeric_limits<double>::infinity();
      histogram->bucket.push_back({count, bound});
    }
    histogram->sample_count = count;
    histogram->sample_sum = cell.sum.load(std::memory_order_relaxed);
  }

  const MetricDef def_;
  FamilyState* const others_;  // null in the family that counts them
  mutable sync::Mutex mutex_;
  std::deque<Cell> cells_ ABSL_GUARDED_BY(mutex_);  // a deque: cells never move
  std::map<std::vector<std::string>, Cell*> children_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace internal

std::uint64_t Histogram::Count() const {
  if (cell_ == nullptr) return 0;
  std::uint64_t count = 0;
  for (const auto& bucket : cell_->counts) count += bucket.load(std::memory_order_relaxed);
  return count;
}

template <>
Counter Family<Counter>::With(std::span<const std::string_view> values) const {
  return state_ == nullptr ? Counter() : Counter(state_->Child<internal::CounterCell>(values));
}
template <>
Gauge Family<Gauge>::With(std::span<const std::string_view> values) const {
  return state_ == nullptr ? Gauge() : Gauge(state_->Child<internal::GaugeCell>(values));
}
template <>
Histogram Family<Histogram>::With(std::span<const std::string_view> values) const {
  return state_ == nullptr ? Histogram()
                           : Histogram(state_->Child<internal::HistogramCell>(values));
}

struct Registry::Registration::Entry {
  explicit Entry(Collector c) : collector(std::move(c)) {}

  void Run(Samples& samples) {
    {
      sync::MutexLock lock(mutex);
      while (running) idle.Wait(mutex);
      if (ended) return;
      running = true;
    }
    collector(samples);
    sync::MutexLock lock(mutex);
    running = false;
    idle.SignalAll();
  }

  void End() {
    sync::MutexLock lock(mutex);
    ended = true;
    while (running) idle.Wait(mutex);
  }

  bool HasEnded() {
    sync::MutexLock lock(mutex);
    return ended;
  }

  const Collector collector;
  sync::Mutex mutex;
  sync::CondVar idle;
  bool running ABSL_GUARDED_BY(mutex) = false;
  bool ended ABSL_GUARDED_BY(mutex) = false;
};

Registry::Registration::Registration(std::shared_ptr<Entry> entry) : entry_(std::move(entry)) {}
Registry::Registration::Registration(Registration&& other) noexcept = default;
Registry::Registration& Registry::Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    if (entry_ != nullptr) entry_->End();
    entry_ = std::move(other.entry_);
  }
  return *this;
}
Registry::Registration::~Registration() {
  if (entry_ != nullptr) entry_->End();
}

class Registry::Impl {
 public:
  Impl() { others_ = Add(kOtherLabelSets); }

  internal::FamilyState* Add(const MetricDef& def) {
    sync::MutexLock lock(mutex_);
    auto& state = families_[std::string(def.name)];
    if (state == nullptr) {
      state = std::make_unique<internal::FamilyState>(def, others_);
      // A family without labels is one series, there from the start.
      if (def.label_count == 0) Touch(*state);
    } else if (!SameDef(state->def(), def)) {
      Die("defined twice, differently", def.name);
    }
    return state.get();
  }

  void AddCollector(std::shared_ptr<Registration::Entry> entry) {
    sync::MutexLock lock(mutex_);
    std::erase_if(collectors_, [](const auto& e) { return e->HasEnded(); });
    collectors_.push_back(std::move(entry));
  }

  std::string Expose() const {
    std::vector<std::shared_ptr<Registration::Entry>> collectors;
    {
      sync::MutexLock lock(mutex_);
      collectors = collectors_;
    }
    SampleSet samples;
    for (const auto& collector : collectors) collector->Run(samples);

    std::map<std::string, prometheus::MetricFamily> families;
    {
      sync::MutexLock lock(mutex_);
      for (const auto& [name, state] : families_) families[name] = state->Collect();
    }
    for (const auto& [name, collected] : samples.families()) {
      auto [it, added] = families.try_emplace(std::string(name), EmptyFamily(*collected.def));
      if (!added) Die("both registered and collected", name);
      for (const auto& [values, value] : collected.values) {
        prometheus::ClientMetric metric = WithLabels(*collected.def, values);
        (collected.def->type == MetricType::kCounter ? metric.counter.value : metric.gauge.value) =
            value;
        it->second.metric.push_back(std::move(metric));
      }
    }
    std::vector<prometheus::MetricFamily> sorted;
    for (auto& [name, family] : families) sorted.push_back(std::move(family));
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, sorted);
    return std::move(out).str();
  }

 private:
  static void Touch(internal::FamilyState& state) {
    switch (state.def().type) {
      case MetricType::kCounter:
        state.Child<internal::CounterCell>({});
        break;
      case MetricType::kGauge:
        state.Child<internal::GaugeCell>({});
        break;
      case MetricType::kHistogram:
        state.Child<internal::HistogramCell>({});
        break;
    }
  }

  internal::FamilyState* others_ = nullptr;
  mutable sync::Mutex mutex_;
  std::map<std::string, std::unique_ptr<internal::FamilyState>> families_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Registration::Entry>> collectors_ ABSL_GUARDED_BY(mutex_);
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Family<Counter> Registry::Add(const CounterDef& def) { return Family<Counter>(impl_->Add(def)); }
Family<Gauge> Registry::Add(const GaugeDef& def) { return Family<Gauge>(impl_->Add(def)); }
Family<Histogram> Registry::Add(const HistogramDef& def) {
  return Family<Histogram>(impl_->Add(def));
}

Registry::Registration Registry::AddCollector(Collector collector) {
  auto entry = std::make_shared<Registration::Entry>(std::move(collector));
  impl_->AddCollector(entry);
  return Registration(std::move(entry));
}

std::string Registry::Expose() const { return impl_->Expose(); }

double ValueOf(const Registry& registry, std::string_view series) {
  const std::string text = "\n" + registry.Expose();
  const std::string start = "\n" + std::string(series) + " ";
  const std::size_t at = text.find(start);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + start.size(), nullptr);
}

}  // namespace slipstream::metrics
