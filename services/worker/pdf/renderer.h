// HTML to PDF by WeasyPrint in a sandboxed child.
//
// The document may use what it carries itself (data: URLs) and the system's fonts. Anything else
// that it refers to (http:, https:, file:, ...) is not fetched and is counted in
// Pdf::refused_resource_count: the driver's fetcher refuses it, and were that bypassed, the child
// has no sockets and cannot open files.
//
// Thread safety: Render may be called from several coroutines at once; RenderBlocking from any
// thread that may block. The owner cancels what runs, then destroys the renderer, which joins its
// threads. Errors: RESOURCE_EXHAUSTED (memory, output or waiting places; what to do is in the
// message), DEADLINE_EXCEEDED, CANCELLED, INVALID_ARGUMENT (the document cannot be laid out),
// FAILED_PRECONDITION (WeasyPrint is not installed), INTERNAL.
#ifndef SERVICES_WORKER_PDF_RENDERER_H_
#define SERVICES_WORKER_PDF_RENDERER_H_

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "services/worker/pdf/print_document.h"
#include "services/worker/pdf/sandboxed_process.h"

namespace slipstream::worker::pdf {

struct Pdf {
  std::string bytes;
  int page_count = 0;
  int refused_resource_count = 0;
};

// Percent (0-100, never falling) and what is being done; called on a thread of the renderer, one
// call at a time, never after the result.
using RenderProgress = std::function<void(int percent, std::string_view stage)>;

struct RendererOptions {
  std::string python = "/usr/bin/python3";
  std::string scratch_parent = "/tmp";
  int parallel_count = 2;  // children at once; further ones wait
  int waiting_count = 64;  // beyond these a render is refused
  SandboxLimits limits;
  bool use_landlock = true;  // false: run as on a kernel without it (tests)
  // Told once: what the sandbox lacks on this machine.
  std::function<void(std::string_view)> warn;
};

class PdfRenderer {
 public:
  explicit PdfRenderer(RendererOptions options);
  ~PdfRenderer();
  PdfRenderer(const PdfRenderer&) = delete;
  PdfRenderer& operator=(const PdfRenderer&) = delete;

  Async<absl::StatusOr<Pdf>> Render(PrintDocument document, RenderProgress progress,
                                    std::stop_token cancel);
  absl::StatusOr<Pdf> RenderBlocking(const PrintDocument& document, const RenderProgress& progress,
                                     const std::stop_token& cancel);

 private:
  void WarnOnce(const SandboxResult& result);

  const RendererOptions options_;
  std::atomic<int> pending_count_{0};
  std::atomic<bool> warned_{false};
  boost::asio::thread_pool pool_;
};

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_RENDERER_H_
