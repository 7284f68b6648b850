// The print stylesheet: A4, DejaVu (the fonts that the image ships), page numbers.
#ifndef SERVICES_WORKER_PDF_PRINT_STYLE_H_
#define SERVICES_WORKER_PDF_PRINT_STYLE_H_

#include <string_view>

namespace slipstream::worker::pdf {

inline constexpr std::string_view kPrintStyle = R"css(
@page {
  size: A4;
  margin: 26mm 22mm 22mm 22mm;
  @top-left { font: 7.5pt "DejaVu Sans", sans-serif; color: #6b7280; vertical-align: bottom;
              padding-bottom: 7mm; width: 100%; }
  @bottom-left { font: 7.5pt "DejaVu Sans", sans-serif; color: #6b7280; }
  @bottom-right { font: 7.5pt "DejaVu Sans", sans-serif; color: #6b7280;
                  content: counter(page) " / " counter(pages); }
}
@page :first { @top-left { color: transparent; } }
html { font: 9.5pt/1.5 "DejaVu Sans", sans-serif; color: #1f2430; }
body { margin: 0; overflow-wrap: anywhere; }
header.title-block { border-bottom: 2pt solid #1d4ed8; padding-bottom: 4mm; margin-bottom: 6mm; }
header.title-block h1 { margin: 0; font-size: 20pt; line-height: 1.2; color: #111827; }
header.title-block p { margin: 2mm 0 0 0; color: #6b7280; font-size: 8.5pt; }
h1, h2, h3, h4, h5, h6 { color: #111827; line-height: 1.25; break-after: avoid; font-weight: bold; }
h1 { font-size: 17pt; margin: 8mm 0 3mm; }
h2 { font-size: 12.5pt; margin: 7mm 0 2mm; padding-bottom: 1mm; border-bottom: 0.5pt solid #d1d5db; }
h3 { font-size: 10.5pt; margin: 5mm 0 1.5mm; }
h4, h5, h6 { font-size: 9.5pt; margin: 4mm 0 1mm; }
p { margin: 0 0 2.5mm; orphans: 3; widows: 3; }
ul, ol { margin: 0 0 3mm; padding-left: 6mm; }
li { margin-bottom: 1mm; }
li > p { margin-bottom: 1mm; }
a { color: #1d4ed8; text-decoration: none; }
blockquote { margin: 0 0 4mm; padding: 2.5mm 4mm; background: #fef9e7; border-left: 2.5pt solid #d97706;
             break-inside: avoid; }
blockquote p:last-child { margin-bottom: 0; }
code, pre { font-family: "DejaVu Sans Mono", monospace; }
code { font-size: 8.5pt; background: #f3f4f6; padding: 0.2mm 1mm; border-radius: 2pt; }
pre { font-size: 8pt; line-height: 1.4; background: #f3f4f6; border: 0.5pt solid #e5e7eb;
      border-radius: 3pt; padding: 3mm; margin: 0 0 4mm; white-space: pre-wrap; }
pre code { font-size: inherit; background: none; padding: 0; }
table { width: 100%; border-collapse: collapse; margin: 0 0 4mm; font-size: 8.5pt; line-height: 1.4; }
th, td { text-align: left; vertical-align: top; padding: 1.4mm 2.2mm;
         border-bottom: 0.5pt solid #e5e7eb; overflow-wrap: break-word; }
th { background: #f3f4f6; color: #374151; border-bottom: 1pt solid #9ca3af; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th:empty { display: none; }
th:empty ~ th:empty { display: none; }
td:first-child { white-space: nowrap; }
td[align="right"], th[align="right"] { text-align: right; }
hr { border: 0; border-top: 0.5pt solid #d1d5db; margin: 5mm 0; }
img, svg { max-width: 100%; }
)css";

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_PRINT_STYLE_H_
