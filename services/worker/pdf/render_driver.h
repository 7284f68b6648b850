// The Python program that the sandboxed child runs: WeasyPrint with every fetch but data: refused.
//
// Protocol: stdin is "<css bytes> <html bytes>\n", the stylesheet and the document; file descriptor
// 3 takes the PDF; stdout takes lines "step N" (WeasyPrint's steps 1-7), "refused N" (resources
// outside the document) and "pages N". Exit codes: 0 done, 3 out of memory, 4 output too large, 5
// unreadable document.
#ifndef SERVICES_WORKER_PDF_RENDER_DRIVER_H_
#define SERVICES_WORKER_PDF_RENDER_DRIVER_H_

namespace slipstream::worker::pdf {

inline constexpr int kExitOutOfMemory = 3;
inline constexpr int kExitOutputTooLarge = 4;
inline constexpr int kExitUnreadable = 5;

inline constexpr char kRenderDriver[] = R"py(
import errno, logging, os, sys

def say(line):
    os.write(1, (line + "\n").encode())

class Steps(logging.Handler):
    def emit(self, record):
        text = record.getMessage()
        if text.startswith("Step "):
            say("step " + text[5:6])

refused = 0

def fetch(url, timeout=10, ssl_context=None):
    global refused
    if url[:5].lower() == "data:":
        return weasyprint.default_url_fetcher(url, timeout, ssl_context)
    refused += 1
    raise ValueError("resources outside the document are not fetched")

try:
    source = sys.stdin.buffer
    css_bytes, html_bytes = (int(n) for n in source.readline().split())
    css = source.read(css_bytes).decode("utf-8", "replace")
    html = source.read(html_bytes).decode("utf-8", "replace")
    say("step 0")
    import weasyprint
    progress = logging.getLogger("weasyprint.progress")
    progress.setLevel(logging.INFO)
    progress.addHandler(Steps())
    style = weasyprint.CSS(string=css, url_fetcher=fetch)
    document = weasyprint.HTML(string=html, url_fetcher=fetch).render(stylesheets=[style])
    pdf = document.write_pdf()
    view = memoryview(pdf)
    while view:
        view = view[os.write(3, view):]
    say("refused %d" % refused)
    say("pages %d" % len(document.pages))
except MemoryError:
    os._exit(3)
except RecursionError:
    sys.stderr.write("the document is nested too deeply\n")
    sys.stderr.flush()
    os._exit(5)
except OSError as error:
    if error.errno == errno.EFBIG:
        os._exit(4)
    if error.errno == errno.ENOMEM:
        os._exit(3)
    raise
)py";

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_RENDER_DRIVER_H_
