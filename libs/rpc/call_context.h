// One call as the chain and the handler see it. No gRPC type appears here, so that engines' tests
// and handlers' tests can make one.
//
// Thread safety: the chain and the handler use it one after the other; only Cancel, cancelled and
// OnCancel may meet on several threads.
#ifndef LIBS_RPC_CALL_CONTEXT_H_
#define LIBS_RPC_CALL_CONTEXT_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/auth/principal.h"
#include "libs/rpc/method.h"
#include "libs/sync/mutex.h"
#include "libs/trace/trace_context.h"

namespace slipstream::rpc {

// Where the call's request metadata comes from: gRPC's own map, or a plain one in tests.
class MetadataSource {
 public:
  virtual ~MetadataSource() = default;
  // The first value of a lower-case key, or empty. Valid for the life of the call.
  virtual std::string_view Find(std::string_view key) const = 0;
  // Where the call comes from, for logs; made when asked for, as most calls are not logged.
  virtual std::string Peer() const = 0;
};

class MapMetadata final : public MetadataSource {
 public:
  explicit MapMetadata(std::map<std::string, std::string, std::less<>> values = {},
                       std::string peer = "")
      : values_(std::move(values)), peer_(std::move(peer)) {}
  std::string_view Find(std::string_view key) const override {
    auto it = values_.find(key);
    return it == values_.end() ? std::string_view() : std::string_view(it->second);
  }
  std::string Peer() const override { return peer_; }

 private:
  const std::map<std::string, std::string, std::less<>> values_;
  const std::string peer_;
};

class CallContext;

// Makes what identifies a call, when it is first asked for: most calls that succeed are neither
// logged nor begin another one.
class CallIds {
 public:
  virtual ~CallIds() = default;
  virtual trace::TraceContext MakeTrace(const CallContext& call) const = 0;
  virtual std::string MakeCorrelationId(const CallContext& call) const = 0;
};

class CallContext {
 public:
  CallContext(const Method& method, std::unique_ptr<const MetadataSource> metadata)
      : CallContext(method, metadata.get()) {
    owned_metadata_ = std::move(metadata);
  }
  // `metadata` outlives the call.
  CallContext(const Method& method, const MetadataSource* metadata)
      : method_(method), metadata_(metadata) {}

  const Method& method() const { return method_; }
  std::string peer() const { return metadata_->Peer(); }
  // The first value of a (lower-case) metadata key, or empty.
  std::string_view metadata(std::string_view key) const { return metadata_->Find(key); }

  // Set by the auth stage. Anonymous (empty user) on an open method without a token.
  const auth::Principal& principal() const {
    static const auth::Principal kAnonymous{};
    return principal_ ? *principal_ : kAnonymous;
  }
  void set_principal(std::shared_ptr<const auth::Principal> p) { principal_ = std::move(p); }

  // Made by the first of the two that is called, so by one thread at a time like the rest.
  const trace::TraceContext& trace() const {
    if (!trace_) trace_ = ids_ == nullptr ? trace::TraceContext() : ids_->MakeTrace(*this);
    return *trace_;
  }
  const std::string& correlation_id() const {
    if (!correlation_id_) {
      correlation_id_ = ids_ == nullptr ? std::string() : ids_->MakeCorrelationId(*this);
    }
    return *correlation_id_;
  }
  // Set by the trace stage; outlives the call.
  void set_ids(const CallIds* ids) { ids_ = ids; }

  absl::Time deadline() const { return deadline_; }
  void set_deadline(absl::Time t) { deadline_ = t; }
  absl::Time started_at() const { return started_at_; }
  void set_started_at(absl::Time t) { started_at_ = t; }
  bool counted() const { return counted_; }
  void set_counted() { counted_ = true; }
  bool admitted() const { return admitted_; }
  void set_admitted() { admitted_ = true; }

  // What the audit log says of this call beside who and which method; the handler fills it in.
  void set_audit(std::string target, std::string before, std::string after) {
    audit_target_ = std::move(target);
    audit_before_ = std::move(before);
    audit_after_ = std::move(after);
  }
  const std::string& audit_target() const { return audit_target_; }
  const std::string& audit_before() const { return audit_before_; }
  const std::string& audit_after() const { return audit_after_; }

  // Trailing metadata of the answer (lower-case keys).
  void AddTrailer(std::string key, std::string value) {
    trailers_.emplace_back(std::move(key), std::move(value));
  }
  const std::vector<std::pair<std::string, std::string>>& trailers() const { return trailers_; }

  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  // Runs `callback` once when the client goes away or the deadline passes; at once if it has.
  void OnCancel(std::function<void()> callback) {
    {
      sync::MutexLock lock(mutex_);
      if (!cancelled()) {
        on_cancel_.push_back(std::move(callback));
        return;
      }
    }
    callback();
  }
  void Cancel() {
    std::vector<std::function<void()>> callbacks;
    {
      sync::MutexLock lock(mutex_);
      if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
      callbacks.swap(on_cancel_);
    }
    for (auto& callback : callbacks) callback();
  }

 private:
  const Method& method_;
  const MetadataSource* const metadata_;
  std::unique_ptr<const MetadataSource> owned_metadata_;  // or null
  std::shared_ptr<const auth::Principal> principal_;
  const CallIds* ids_ = nullptr;
  mutable std::optional<trace::TraceContext> trace_;
  mutable std::optional<std::string> correlation_id_;
  absl::Time deadline_ = absl::InfiniteFuture();
  absl::Time started_at_;
  bool counted_ = false;
  bool admitted_ = false;
  std::string audit_target_, audit_before_, audit_after_;
  std::vector<std::pair<std::string, std::string>> trailers_;
  std::atomic<bool> cancelled_{false};
  sync::Mutex mutex_;
  std::vector<std::function<void()>> on_cancel_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_CALL_CONTEXT_H_
