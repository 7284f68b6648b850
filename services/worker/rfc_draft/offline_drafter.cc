#include "services/worker/rfc_draft/offline_drafter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/status/status.h"
#include "services/worker/rfc_draft/composer.h"
#include "services/worker/rfc_draft/prompt.h"
#include "services/worker/rfc_draft/subject.h"
#include "services/worker/rfc_draft/templates.h"
#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Cancelled() {
  return status::Error(absl::StatusCode::kCancelled, "TASK_CANCELLED",
                       "The draft was cancelled before it was finished.");
}

std::string KnownTemplates() {
  std::vector<absl::string_view> names;
  for (std::string_view name : TemplateNames()) names.push_back(Absl(name));
  return absl::StrJoin(names, ", ");
}

}  // namespace

absl::StatusOr<Draft> DraftOffline(const DraftRequest& request, const DraftProgress& progress,
                                   const std::stop_token& cancel) {
  const auto report = [&progress](int percent, std::string_view stage) {
    if (progress) progress(percent, stage);
  };
  if (request.prompt.size() > kMaxPromptBytes) {
    return status::FieldError("prompt", "is longer than 64 KiB; shorten it or split the RFC");
  }
  if (request.title.size() > kMaxTitleBytes) {
    return status::FieldError("title", "is longer than 200 bytes");
  }
  const Template* shape = FindTemplate(request.template_name);
  if (shape == nullptr) {
    return status::FieldError("template", absl::StrCat("is not one of ", KnownTemplates()));
  }
  report(5, "reading the prompt");
  auto prompt = ParsePrompt(CleanText(request.prompt));
  if (!prompt.ok()) return prompt.status();
  if (prompt->sentences.empty() && prompt->headings.empty() && prompt->verbatim.empty()) {
    return status::FieldError("prompt", "is empty; say in a few sentences what the RFC is about");
  }
  if (cancel.stop_requested()) return Cancelled();

  report(25, "finding the subject");
  std::string title = CleanText(request.title);
  for (char& c : title) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  const Topic topic = FindTopic(*prompt, title);
  if (cancel.stop_requested()) return Cancelled();

  report(45, "sorting the sentences");
  Composer composer(request, *shape, *prompt, topic, title);
  const int section_count = static_cast<int>(shape->sections.size());
  for (int i = 0; i < section_count; ++i) {
    if (cancel.stop_requested()) return Cancelled();
    const Section& section = shape->sections[static_cast<size_t>(i)];
    const std::string heading = composer.AddSection(section);
    if (!heading.empty()) {
      report(50 + 45 * (i + 1) / section_count, absl::StrCat("section: ", heading));
    }
  }
  Draft draft = composer.Finish();
  report(100, "draft written");
  return draft;
}

Async<absl::StatusOr<Draft>> OfflineDrafter::Write(DraftRequest request, DraftProgress progress,
                                                   std::stop_token cancel) {
  co_return DraftOffline(request, progress, cancel);
}

}  // namespace slipstream::worker::rfc_draft
