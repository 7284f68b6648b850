#include "libs/rpc/stages/observe_stage.h"

#include <unordered_map>

#include "libs/rpc/rpc_metrics.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::rpc {

namespace {

// The handles of one method, resolved once; a call then takes one short lock to find them.
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
    MethodSeries& series = SeriesOf(call.method());
    // A call that an earlier stage refused was started all the same.
    if (!call.counted()) series.started.Increment();
    const int code = static_cast<int>(status.code());
    series.handled[code >= 0 && code < 17 ? code : 2].Increment();
    series.seconds.Observe(absl::ToDoubleSeconds(clock_.Now() - call.started_at()));
  }

 private:
  MethodSeries& SeriesOf(const Method& method) {
    sync::MutexLock lock(mutex_);
    auto [it, made] = series_.try_emplace(&method);
    if (made) {
      it->second.started = started_.With({method.type, method.service, method.name});
      it->second.seconds = seconds_.With({method.type, method.service, method.name});
      for (int code = 0; code < 17; ++code) {
        it->second.handled[code] =
            handled_.With({method.type, method.service, method.name, kCodeNames[code]});
      }
    }
    return it->second;
  }

  const clock::Clock& clock_;
  const metrics::Family<metrics::Counter> started_;
  const metrics::Family<metrics::Counter> handled_;
  const metrics::Family<metrics::Histogram> seconds_;
  sync::Mutex mutex_;
  // Pointers into the method tables, which live as long as their services; nodes do not move.
  std::unordered_map<const Method*, MethodSeries> series_ ABSL_GUARDED_BY(mutex_);
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
