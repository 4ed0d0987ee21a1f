//! How a page looks: on a screen, and on A4.
//!
//! Dark text on white whatever the reader's system prefers: a report is printed and pasted. Nothing is
//! loaded; the fonts are the reader's own.

/// The style sheet, which holds nothing that a page could be left with.
pub(super) const STYLE: &str = "\
html{background:#fff;color-scheme:light}\
body{font:14px/1.45 system-ui,'Segoe UI',Roboto,'Liberation Sans',sans-serif;color:#1a1d21;\
max-width:90rem;margin:0 auto;padding:1.5rem 1.25rem 3rem}\
header{border-bottom:2px solid #1f4e79;padding-bottom:1rem;margin-bottom:1rem}\
header p{margin:0;font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;color:#1f4e79;\
font-weight:600}\
h1{font-size:1.6rem;line-height:1.2;margin:.1rem 0 .8rem;overflow-wrap:anywhere}\
h2{font-size:1.1rem;margin:1.8rem 0 .5rem;break-after:avoid}\
h2 small{font-weight:400;color:#4a525b;margin-left:.35rem}\
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1.25rem;margin:0}\
dt{color:#4a525b}dd{margin:0;overflow-wrap:anywhere}\
.note{border-left:4px solid #b7791f;background:#fdf6e7;padding:.45rem .75rem;margin:.6rem 0;\
overflow-wrap:anywhere}\
.none{color:#4a525b;margin:.3rem 0}\
.scroll{overflow:auto;max-height:85vh;border:1px solid #d3d9df;border-radius:4px}\
table{border-collapse:separate;border-spacing:0;width:100%;font-size:12.5px}\
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid #e3e7eb;\
overflow-wrap:normal;max-width:20rem}\
td.l{overflow-wrap:anywhere;min-width:10rem}\
tr:last-child td{border-bottom:0}\
th{background:#eef2f6;position:sticky;top:0;z-index:1;vertical-align:bottom;\
border-bottom:1px solid #c5ced7}\
td{background:#fff}\
th:first-child,td:first-child{position:sticky;left:0;min-width:10rem}th:first-child{z-index:2}\
.n{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}\
.w{font-variant-numeric:tabular-nums;min-width:5.4rem}\
tr.alarm td{background:#fdecea}tr.alarm td:first-child{box-shadow:inset 4px 0 #b42318}\
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));\
gap:1.25rem 2rem;margin:1.2rem 0}\
figure{margin:0;max-width:36rem}figcaption{font-weight:600;margin-bottom:.35rem}\
svg{display:block;width:100%;height:auto}\
svg text{font:12px system-ui,'Segoe UI',Roboto,'Liberation Sans',sans-serif;fill:#1a1d21}\
svg rect{fill:#2f6f9f}\
@media print{@page{size:A4 landscape;margin:12mm 10mm 14mm;\
@bottom-right{content:counter(page) ' / ' counter(pages);font:8pt sans-serif;color:#4a525b}}\
body{margin:0;padding:0;max-width:none;font-size:9.5pt}\
.scroll{overflow:visible;max-height:none;border:0}\
.charts{grid-template-columns:repeat(2,1fr)}\
table{font-size:7pt}th,td{padding:.2rem .25rem}td.l{min-width:4.5rem}\
th,th:first-child,td:first-child{position:static}td.n{white-space:normal}\
th:first-child,td:first-child{min-width:6rem}.w{min-width:3.6rem}\
thead{display:table-header-group}tr,figure,.note{break-inside:avoid}\
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";
