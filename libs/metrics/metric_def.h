// What a series is called, as a compile-time table. Each component has ONE such table, in its
// `*_metrics.h`:
//
//   inline constexpr CounterDef kSubmitted{"slipstream_task_queue_submitted_total",
//                                          "Tasks accepted.", {"task_type"}};
//   inline constexpr HistogramDef kWait{"slipstream_task_queue_wait_seconds",
//                                       "Time from due to leased.", {"priority"}, kLatencySeconds};
//
// A wrong name does not compile: names start with slipstream_ or are one of the five
// go-grpc-prometheus names; counters end in _total; labels are lower-case words.
#ifndef SLIPSTREAM_LIBS_METRICS_METRIC_DEF_H_
#define SLIPSTREAM_LIBS_METRICS_METRIC_DEF_H_

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>

namespace slipstream::metrics {

inline constexpr std::size_t kMaxLabels = 6;
inline constexpr std::size_t kMaxBuckets = 24;
// Children of one family, unless its definition says otherwise.
inline constexpr std::size_t kDefaultMaxChildren = 200;

enum class MetricType { kCounter, kGauge, kHistogram };

// Upper bounds, ascending; +Inf is added by itself.
using Buckets = std::span<const double>;
// Calls: 1 ms to 60 s.
inline constexpr std::array<double, 15> kLatencySeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60};
// Jobs: 0.1 s to an hour.
inline constexpr std::array<double, 12> kJobSeconds = {0.1, 0.5, 1,   5,   10,   30,
                                                       60,  120, 300, 600, 1800, 3600};
inline constexpr std::array<double, 9> kSizeBytes = {64,     256,     1024,     4096,     16384,
                                                     65536., 262144., 1048576., 16777216.};

constexpr bool IsValidLabelName(std::string_view name) {
  if (name.empty() || name.starts_with("__") || name == "le") return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool digit = c >= '0' && c <= '9';
    if (!(c >= 'a' && c <= 'z') && c != '_' && !(digit && i > 0)) return false;
  }
  return true;
}

constexpr bool IsGoGrpcName(std::string_view name) {
  return name == "grpc_server_started_total" || name == "grpc_server_handled_total" ||
         name == "grpc_server_msg_received_total" || name == "grpc_server_msg_sent_total" ||
         name == "grpc_server_handling_seconds";
}

constexpr bool IsValidMetricName(std::string_view name, MetricType type) {
  constexpr std::string_view kPrefix = "slipstream_";
  if (!IsValidLabelName(name)) return false;
  if ((type == MetricType::kCounter) != name.ends_with("_total")) return false;
  // These endings belong to a histogram's own series.
  if (name.ends_with("_bucket") || name.ends_with("_sum") || name.ends_with("_count")) {
    return type != MetricType::kHistogram && name.starts_with(kPrefix);
  }
  return IsGoGrpcName(name) || (name.starts_with(kPrefix) && name.size() > kPrefix.size());
}

struct MetricDef {
  MetricType type;
  std::string_view name;
  std::string_view help;
  std::array<std::string_view, kMaxLabels> labels{};
  std::size_t label_count = 0;
  Buckets buckets{};
  std::size_t max_children = kDefaultMaxChildren;

 protected:
  consteval MetricDef(MetricType t, std::string_view n, std::string_view h,
                      std::initializer_list<std::string_view> label_names, Buckets b,
                      std::size_t max)
      : type(t), name(n), help(h), buckets(b), max_children(max) {
    if (!IsValidMetricName(n, t)) throw "metric name: slipstream_ prefix, _total for counters only";
    if (h.empty()) throw "a metric needs a help text";
    if (label_names.size() > kMaxLabels) throw "too many labels";
    if (max == 0) throw "max_children must be at least 1";
    for (std::string_view label : label_names) {
      if (!IsValidLabelName(label)) throw "label names are lower-case words";
      labels[label_count++] = label;
    }
    if ((t == MetricType::kHistogram) == b.empty()) throw "histograms, and only they, have buckets";
    if (b.size() > kMaxBuckets) throw "too many buckets";
    for (std::size_t i = 1; i < b.size(); ++i) {
      if (b[i] <= b[i - 1]) throw "buckets must ascend";
    }
  }
};

struct CounterDef : MetricDef {
  consteval CounterDef(std::string_view name, std::string_view help,
                       std::initializer_list<std::string_view> labels = {},
                       std::size_t max_children = kDefaultMaxChildren)
      : MetricDef(MetricType::kCounter, name, help, labels, {}, max_children) {}
};

struct GaugeDef : MetricDef {
  consteval GaugeDef(std::string_view name, std::string_view help,
                     std::initializer_list<std::string_view> labels = {},
                     std::size_t max_children = kDefaultMaxChildren)
      : MetricDef(MetricType::kGauge, name, help, labels, {}, max_children) {}
};

struct HistogramDef : MetricDef {
  consteval HistogramDef(std::string_view name, std::string_view help,
                         std::initializer_list<std::string_view> labels, Buckets buckets,
                         std::size_t max_children = kDefaultMaxChildren)
      : MetricDef(MetricType::kHistogram, name, help, labels, buckets, max_children) {}
};

}  // namespace slipstream::metrics

#endif  // SLIPSTREAM_LIBS_METRICS_METRIC_DEF_H_
