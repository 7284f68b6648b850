#include "services/worker/pdf/renderer.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "services/worker/rfc_draft/offline_drafter.h"

namespace slipstream::worker::pdf {
namespace {

// What pdftotext and pdfinfo read from the PDF.
std::string Tool(const std::string& pdf, const std::string& tool) {
  char path[] = "/tmp/slipstream-test-XXXXXX";
  const int fd = ::mkstemp(path);
  EXPECT_EQ(::write(fd, pdf.data(), pdf.size()), static_cast<ssize_t>(pdf.size()));
  ::close(fd);
  const std::string command = tool == "text" ? std::string("pdftotext -layout ") + path + " -"
                                             : std::string("pdfinfo ") + path;
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; (n = ::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) out.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  ::unlink(path);
  return out;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

absl::StatusOr<Pdf> RenderHtml(PdfRenderer& renderer, const std::string& html) {
  auto document = FromHtml(html, {"", "task-1", ""});
  EXPECT_TRUE(document.ok());
  return renderer.RenderBlocking(*document, nullptr, {});
}

TEST(PdfRenderer, PrintsADraft) {
  std::ifstream file("services/worker/testdata/prompts/invoice_export.txt");
  std::stringstream prompt;
  prompt << file.rdbuf();
  auto draft = rfc_draft::DraftOffline({prompt.str(), "", "standard"}, nullptr, {});
  ASSERT_TRUE(draft.ok()) << draft.status();
  auto document = FromMarkdown(draft->markdown, {"", "0190a1b2-task", "2024-06-07"});
  ASSERT_TRUE(document.ok());

  PdfRenderer renderer({});
  std::vector<int> percents;
  auto pdf = renderer.RenderBlocking(
      *document, [&](int percent, std::string_view) { percents.push_back(percent); }, {});
  ASSERT_TRUE(pdf.ok()) << pdf.status();
  EXPECT_GE(pdf->page_count, 2);
  EXPECT_GT(percents.size(), 5u);
  EXPECT_TRUE(std::is_sorted(percents.begin(), percents.end()));
  EXPECT_EQ(percents.back(), 100);
  const std::string text = Tool(pdf->bytes, "text");
  EXPECT_TRUE(Has(text, "Problem: " + draft->subject)) << text;
  EXPECT_TRUE(Has(text, "Offline outline (no language model was used)")) << text;
  EXPECT_TRUE(Has(text, "Task 0190a1b2-task")) << text;
  EXPECT_TRUE(Has(text, "2/" + std::to_string(pdf->page_count))) << text;
  EXPECT_FALSE(Has(text, "prompt_sha256")) << "the front matter was printed";
  const std::string info = Tool(pdf->bytes, "info");
  EXPECT_TRUE(Has(info, "Offline outline (no language model was used)")) << info;
  EXPECT_TRUE(Has(info, draft->title)) << info;
  EXPECT_TRUE(Has(info, "Pages:           " + std::to_string(pdf->page_count))) << info;
}

// A listener on loopback that must see nobody.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    socklen_t size = sizeof(address);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd_); }
  int port() const { return port_; }
  bool WasConnectedTo() {
    pollfd poll_fd{fd_, POLLIN, 0};
    return ::poll(&poll_fd, 1, 0) > 0;
  }

 private:
  int fd_;
  int port_ = 0;
};

void ExpectNothingIsFetched(const RendererOptions& options) {
  Listener listener;
  const std::string http = "http://127.0.0.1:" + std::to_string(listener.port());
  PdfRenderer renderer(options);
  auto pdf = RenderHtml(
      renderer,
      "<html><head><title>t</title><link rel=stylesheet href='" + http +
          "/a.css'>"
          "<link rel=attachment href='file:///etc/passwd'><link rel=attachment href='" +
          http +
          "/att'>"
          "<style>@import url(" +
          http + "/b.css); @font-face{font-family:x;src:url(" + http +
          "/f.ttf)}"
          "@font-face{font-family:y;src:url(file:///etc/passwd)} "
          "body{background:url(file:///etc/hosts);font-family:x,y}"
          "</style></head><body>before <img src='" +
          http +
          "/i.png' alt='alt-text'><img src='file:///etc/passwd'>"
          "<object data='file:///etc/passwd'></object><iframe src='file:///etc/passwd'></iframe>"
          "<a rel=attachment href='file:///etc/passwd'>passwd</a>"
          "<img src='data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\" "
          "xmlns:xlink=\"http://www.w3.org/1999/xlink\">"
          "<image xlink:href=\"" +
          http + "/s.png\"/></svg>'> after</body></html>");
  ASSERT_TRUE(pdf.ok()) << pdf.status();
  EXPECT_FALSE(listener.WasConnectedTo());
  EXPECT_GE(pdf->refused_resource_count, 8);
  const std::string text = Tool(pdf->bytes, "text");
  EXPECT_TRUE(Has(text, "after")) << text;
  EXPECT_FALSE(Has(pdf->bytes, "/EmbeddedFile"));
  EXPECT_FALSE(Has(text, "root:")) << text;
}

TEST(PdfRenderer, FetchesNothingOutsideTheDocument) { ExpectNothingIsFetched({}); }

TEST(PdfRenderer, FetchesNothingOnAKernelWithoutLandlockAndSaysThatItHasNone) {
  std::vector<std::string> warnings;
  RendererOptions options;
  options.use_landlock = false;
  options.warn = [&warnings](std::string_view text) { warnings.emplace_back(text); };
  ExpectNothingIsFetched(options);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_TRUE(Has(warnings[0], "no Landlock")) << warnings[0];
}

TEST(PdfRenderer, InlineImagesAndUnicodeArePrinted) {
  PdfRenderer renderer({});
  auto pdf = RenderHtml(
      renderer,
      "<p>Größe Σ Ж €</p><img "
      "src='data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
      "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='>");
  ASSERT_TRUE(pdf.ok()) << pdf.status();
  EXPECT_EQ(pdf->refused_resource_count, 0);
  EXPECT_TRUE(Has(Tool(pdf->bytes, "text"), "Größe Σ Ж €"));
}

TEST(PdfRenderer, LimitsEndARunWithAReason) {
  RendererOptions options;
  options.limits.wall_time = absl::Milliseconds(1500);
  PdfRenderer slow(options);
  std::string html;
  for (int i = 0; i < 20'000; ++i) html += "<table><tr><td>x</td></tr></table>";
  EXPECT_EQ(RenderHtml(slow, html).status().code(), absl::StatusCode::kDeadlineExceeded);

  RendererOptions small;
  small.limits.memory_bytes = 300 << 20;
  PdfRenderer poor(small);
  const auto memory = RenderHtml(poor, html).status();
  EXPECT_EQ(memory.code(), absl::StatusCode::kResourceExhausted) << memory;

  RendererOptions tiny;
  tiny.limits.output_bytes = 1000;
  PdfRenderer brief(tiny);
  const auto output = RenderHtml(brief, "<p>x</p>").status();
  EXPECT_EQ(output.code(), absl::StatusCode::kResourceExhausted) << output;
}

TEST(PdfRenderer, DeeplyNestedHtmlIsRefusedNotCrashed) {
  std::string html;
  for (int i = 0; i < 5'000; ++i) html += "<div>";
  PdfRenderer renderer({});
  const auto status = RenderHtml(renderer, html).status();
  EXPECT_TRUE(status.code() == absl::StatusCode::kInvalidArgument ||
              status.code() == absl::StatusCode::kResourceExhausted)
      << status;
}

TEST(PdfRenderer, ACoroutineWaitsWithoutBlockingItsThreadAndCanBeCancelled) {
  boost::asio::io_context context;
  PdfRenderer renderer({});
  std::stop_source source;
  auto document = FromHtml("<p>x</p>", {});
  ASSERT_TRUE(document.ok());
  auto done = boost::asio::co_spawn(context, renderer.Render(*document, nullptr, {}),
                                    boost::asio::use_future);
  // Cancelled at its first report, on the renderer's thread.
  auto cancelled = boost::asio::co_spawn(
      context,
      renderer.Render(
          *document, [&source](int, std::string_view) { source.request_stop(); },
          source.get_token()),
      boost::asio::use_future);
  context.poll();  // both have started, and the thread is free again
  EXPECT_EQ(done.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  context.run();
  EXPECT_TRUE(done.get().ok());
  const absl::Status status = cancelled.get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

TEST(PdfRenderer, SaysWhatToInstall) {
  RendererOptions options;
  options.python = "/usr/bin/no-such-python";
  PdfRenderer renderer(options);
  EXPECT_EQ(RenderHtml(renderer, "<p>x</p>").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace slipstream::worker::pdf
