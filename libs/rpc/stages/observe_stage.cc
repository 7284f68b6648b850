#include "libs/rpc/stages/observe_stage.h"

#include "libs/rpc/per_method.h"
#include "libs/rpc/rpc_metrics.h"
#include "libs/status/status.h"

namespace slipstream::rpc {

namespace {

// The handles of one method, resolved once.
struct MethodSeries {
  metrics::Counter started;
  metrics::Histogram seconds;
  metrics::Counter handled[17];  // by status code
};

class MetricsStage final : public Stage {
 public:
  MetricsStage(metrics::Registry& registry, const clock::Clock& clock)
      : clock_(clock),
        started_(registry.Add(kServerStarted)),
        handled_(registry.Add(kServerHandled)),
        seconds_(registry.Add(kServerHandlingSeconds)) {}
  std::string_view name() const override { return "metrics"; }

  absl::Status Begin(CallContext& call) override {
    SeriesOf(call.method()).started.Increment();
    call.set_counted();
    return absl::OkStatus();
  }
  void End(CallContext& call, const absl::Status& status) override {
    const MethodSeries& series = SeriesOf(call.method());
    // A call that an earlier stage refused was started all the same.
    if (!call.counted()) series.started.Increment();
    const int code = static_cast<int>(status.code());
    series.handled[code >= 0 && code < 17 ? code : 2].Increment();
    series.seconds.Observe(absl::ToDoubleSeconds(clock_.Now() - call.started_at()));
  }

 private:
  const MethodSeries& SeriesOf(const Method& method) {
    return series_.Of(method, [this](const Method& m) {
      MethodSeries out{.started = started_.With({m.type, m.service, m.name}),
                       .seconds = seconds_.With({m.type, m.service, m.name})};
      for (int code = 0; code < 17; ++code) {
        out.handled[code] = handled_.With({m.type, m.service, m.name, kCodeNames[code]});
      }
      return out;
    });
  }

  const clock::Clock& clock_;
  const metrics::Family<metrics::Counter> started_;
  const metrics::Family<metrics::Counter> handled_;
  const metrics::Family<metrics::Histogram> seconds_;
  PerMethod<MethodSeries> series_;
};

class LoggingStage final : public Stage {
 public:
  LoggingStage(logging::Logger logger, const clock::Clock& clock)
      : logger_(std::move(logger)), clock_(clock) {}
  std::string_view name() const override { return "logging"; }

  void End(CallContext& call, const absl::Status& status) override {
    const logging::Level level = LevelOf(status);
    if (!logger_.Enabled(level)) return;
    const auto log =
        logger_.WithCall(call.trace().trace_id, call.trace().span_id, call.correlation_id());
    const double ms = absl::ToDoubleMilliseconds(clock_.Now() - call.started_at());
    const std::string method = call.method().FullName();
    const std::string reason = status::Reason(status);
    const std::string peer = call.peer();
    const logging::Fields fields = {
        {"method", method}, {"code", kCodeNames[static_cast<int>(status.code()) % 17]},
        {"reason", reason}, {"user", call.principal().user},
        {"peer", peer},     {"duration_ms", ms}};
    if (level == logging::Level::kDebug) log.Debug("rpc", fields);
    if (level == logging::Level::kInfo) log.Info("rpc", fields);
    if (level == logging::Level::kWarning) log.Warning("rpc", fields);
  }

 private:
  static logging::Level LevelOf(const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kOk:
      case absl::StatusCode::kCancelled:
        return logging::Level::kDebug;
      case absl::StatusCode::kUnknown:
      case absl::StatusCode::kInternal:
      case absl::StatusCode::kDataLoss:
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kDeadlineExceeded:
        return logging::Level::kWarning;
      default:
        return logging::Level::kInfo;
    }
  }

  const logging::Logger logger_;
  const clock::Clock& clock_;
};

}  // namespace

std::unique_ptr<Stage> MakeMetricsStage(metrics::Registry& registry, const clock::Clock& clock) {
  return std::make_unique<MetricsStage>(registry, clock);
}

std::unique_ptr<Stage> MakeLoggingStage(logging::Logger logger, const clock::Clock& clock) {
  return std::make_unique<LoggingStage>(std::move(logger), clock);
}

}  // namespace slipstream::rpc
