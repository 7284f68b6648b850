#include "services/worker/pdf/renderer.h"

#include <signal.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/async/suspend.h"
#include "libs/status/status.h"
#include "services/worker/pdf/render_driver.h"

namespace slipstream::worker::pdf {
namespace {

constexpr int kMaxPages = 100'000;

struct Step {
  int percent;
  std::string_view stage;
};
// By WeasyPrint's step number; 0 is ours.
constexpr Step kSteps[] = {
    {5, "starting the renderer"}, {12, "reading the document"}, {20, "reading the styles"},
    {30, "applying the styles"},  {40, "building the boxes"},   {50, "laying out the pages"},
    {80, "drawing the pages"},    {92, "writing the PDF"},
};

absl::Status Exhausted(absl::string_view reason, absl::string_view message) {
  return status::Error(absl::StatusCode::kResourceExhausted, reason, message);
}

// The last line of what the child wrote: the exception, without the way to it.
std::string LastLine(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t begin = text.rfind('\n');
  return std::string(begin == std::string_view::npos ? text : text.substr(begin + 1));
}

absl::Status Explain(const SandboxResult& result, const SandboxLimits& limits) {
  if (result.output_full || result.exit_code == kExitOutputTooLarge || result.signal == SIGXFSZ) {
    return Exhausted("PDF_TOO_LARGE",
                     absl::StrCat("The PDF would be larger than ", limits.output_bytes >> 20,
                                  " MiB; make the images smaller or split it."));
  }
  if (result.signal == SIGXCPU) {
    return status::Error(absl::StatusCode::kDeadlineExceeded, "PDF_CPU_LIMIT",
                         absl::StrCat("The document needs more than ", limits.cpu_seconds,
                                      " s of processor time; make it smaller or simpler."));
  }
  // SIGKILL: the kernel's own out-of-memory handling; the others: a library whose allocation
  // failed.
  if (result.exit_code == kExitOutOfMemory || result.signal == SIGKILL ||
      result.signal == SIGABRT || result.signal == SIGTRAP || result.signal == SIGSEGV) {
    return Exhausted("PDF_MEMORY_LIMIT",
                     absl::StrCat("The document needs more than ", limits.memory_bytes >> 20,
                                  " MiB of memory to print; split it."));
  }
  if (result.exit_code == kExitUnreadable) {
    return status::FieldError("html",
                              absl::StrCat("cannot be laid out: ", LastLine(result.error_text)));
  }
  if (result.error_text.find("No module named") != std::string::npos) {
    return status::Error(absl::StatusCode::kFailedPrecondition, "WEASYPRINT_MISSING",
                         "WeasyPrint is not installed: run tools/setup, or install weasyprint.");
  }
  return status::Error(
      absl::StatusCode::kInternal, "PDF_RENDERER_FAILED",
      absl::StrCat("WeasyPrint ended with ", result.signal != 0 ? "signal " : "exit code ",
                   result.signal != 0 ? result.signal : result.exit_code, ": ",
                   LastLine(result.error_text)));
}

// Python's site packages reach outside /usr for their start-up files on Debian.
std::vector<std::string> PythonPaths() {
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/etc", ignored)) {
    if (entry.path().filename().string().rfind("python3", 0) == 0) paths.push_back(entry.path());
  }
  return paths;
}

}  // namespace

PdfRenderer::PdfRenderer(RendererOptions options)
    : options_(std::move(options)),
      pool_(static_cast<size_t>(std::clamp(options_.parallel_count, 1, 64))) {}

PdfRenderer::~PdfRenderer() { pool_.join(); }

void PdfRenderer::WarnOnce(const SandboxResult& result) {
  if ((result.landlock && result.unprivileged_user) || !options_.warn || warned_.exchange(true))
    return;
  std::string text = "PDF sandbox:";
  if (!result.landlock) {
    absl::StrAppend(&text,
                    " this kernel has no Landlock (5.13 or later is needed), so the renderer is ",
                    "confined by seccomp, rlimits and its URL fetcher alone.");
  }
  if (!result.unprivileged_user) {
    absl::StrAppend(&text,
                    " the worker runs as root without the capabilities to give root up; run it ",
                    "as an unprivileged user.");
  }
  options_.warn(text);
}

absl::StatusOr<Pdf> PdfRenderer::RenderBlocking(const PrintDocument& document,
                                                const RenderProgress& progress,
                                                const std::stop_token& cancel) {
  const std::string input = absl::StrCat(document.css.size(), " ", document.html.size(), "\n",
                                         document.css, document.html);
  SandboxRequest request;
  request.argv = {options_.python, "-I", "-B", "-c", kRenderDriver};
  request.input = input;
  request.read_paths = PythonPaths();
  request.scratch_parent = options_.scratch_parent;
  request.limits = options_.limits;
  request.use_landlock = options_.use_landlock;

  Pdf pdf;
  int percent = 0;
  const auto on_line = [&](std::string_view line) {
    const size_t space = line.find(' ');
    int number = 0;
    if (space == std::string_view::npos ||
        !absl::SimpleAtoi(absl::string_view(line.data() + space + 1, line.size() - space - 1),
                          &number) ||
        number < 0) {
      return;
    }
    const std::string_view key = line.substr(0, space);
    if (key == "step" && number < static_cast<int>(std::size(kSteps))) {
      const Step& step = kSteps[number];
      if (step.percent <= percent) return;  // layout may run again for page counters
      percent = step.percent;
      if (progress) progress(step.percent, step.stage);
    } else if (key == "pages") {
      pdf.page_count = std::min(number, kMaxPages);
    } else if (key == "refused") {
      pdf.refused_resource_count = number;
    }
  };
  auto result = RunSandboxed(request, on_line, cancel);
  if (!result.ok()) return result.status();
  WarnOnce(*result);
  if (result->exit_code != 0 || result->signal != 0 || result->output_full) {
    return Explain(*result, options_.limits);
  }
  if (result->output.rfind("%PDF-", 0) != 0 || pdf.page_count == 0) {
    return status::Error(absl::StatusCode::kInternal, "PDF_RENDERER_FAILED",
                         "WeasyPrint wrote no PDF; see the worker's log.");
  }
  pdf.bytes = std::move(result->output);
  if (progress) progress(100, "PDF written");
  return pdf;
}

Async<absl::StatusOr<Pdf>> PdfRenderer::Render(PrintDocument document, RenderProgress progress,
                                               std::stop_token cancel) {
  const int places = options_.parallel_count + options_.waiting_count;
  if (pending_count_.fetch_add(1) >= places) {
    pending_count_.fetch_sub(1);
    co_return status::WithRetryAfter(
        Exhausted("PDF_RENDERER_BUSY", "Too many documents wait to be printed; try again shortly."),
        absl::Seconds(10));
  }
  using Result = absl::StatusOr<Pdf>;
  Result result = co_await async::Suspend<Result>([&](async::Resume<Result> resume) {
    auto shared = std::make_shared<async::Resume<Result>>(std::move(resume));
    boost::asio::post(pool_, [this, &document, &progress, &cancel, shared] {
      Result rendered = RenderBlocking(document, progress, cancel);
      pending_count_.fetch_sub(1);
      (*shared)(std::move(rendered));
    });
  });
  co_return result;
}

}  // namespace slipstream::worker::pdf
