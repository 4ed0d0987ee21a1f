//! A sheet as one HTML page that needs nothing else: style and charts within, no script, nothing loaded.
//!
//! Whatever stands in the page was escaped, and its own policy forbids it to run or to load anything,
//! should a reader's browser ever find something in it that runs or loads.

use std::fmt::Write as _;

use super::{Chart, Sheet, Table};

const STYLE: &str = "\
body{font:14px/1.45 system-ui,sans-serif;color:#1a1d21;max-width:75rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}\
dt{color:#5a626b}dd{margin:0;overflow-wrap:anywhere}\
.note{border-left:4px solid #b7791f;background:#fdf6e7;padding:.4rem .7rem;margin:.6rem 0}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:12.5px}\
th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid #dde1e5;\
overflow-wrap:anywhere}th{background:#f3f5f7}tr.alarm td{background:#fdecea}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}\
figure{margin:0}figcaption{font-weight:600;margin-bottom:.3rem}svg{width:100%;height:auto}\
svg text{font:12px system-ui,sans-serif;fill:#1a1d21}svg rect{fill:#2f6f9f}\
@media print{@page{size:A4 landscape;margin:12mm}body{margin:0;max-width:none;font-size:10pt}\
table{font-size:7.5pt}thead{display:table-header-group}tr,figure{break-inside:avoid}\
.scroll{overflow:visible}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

/// How high a bar and its space are, where bars begin, and how long the longest is.
const LINE: usize = 22;
const LEFT: u64 = 150;
const LONGEST: u64 = 250;

/// The page.
pub fn write(sheet: &Sheet) -> String {
    let title = escaped(&sheet.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>\n"
    );
    for (name, value) in &sheet.lines {
        let (name, value) = (escaped(name), escaped(value));
        let _ = writeln!(page, "<dt>{name}</dt><dd>{value}</dd>");
    }
    page.push_str("</dl>\n");
    for note in &sheet.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(note));
    }
    page.push_str("<div class=\"charts\">\n");
    for chart in sheet.charts.iter().filter(|chart| !chart.bars.is_empty()) {
        draw(&mut page, chart);
    }
    page.push_str("</div>\n");
    for part in &sheet.tables {
        table(&mut page, part);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn table(page: &mut String, table: &Table) {
    let title = escaped(&table.title);
    let _ = writeln!(
        page,
        "<h2>{title}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>"
    );
    for column in &table.columns {
        let _ = write!(
            page,
            "<th scope=\"col\">{}</th>",
            escaped(&column.replace('_', " "))
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str(if row.alarm {
            "<tr class=\"alarm\">"
        } else {
            "<tr>"
        });
        for cell in &row.cells {
            let _ = write!(page, "<td>{}</td>", escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// Bars with their names before and their numbers behind them: the chart is also its own table.
fn draw(page: &mut String, chart: &Chart) {
    let title = escaped(&chart.title);
    let height = chart.bars.len().saturating_mul(LINE);
    let most = chart.bars.iter().map(|(_, many)| *many).max();
    let most = most.unwrap_or(0).max(1);
    let _ = writeln!(
        page,
        "<figure><figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 480 {height}\" role=\"img\" aria-label=\"{title}\">"
    );
    for (n, (name, many)) in chart.bars.iter().enumerate() {
        let (top, base) = (
            n.saturating_mul(LINE),
            n.saturating_mul(LINE).saturating_add(15),
        );
        let width = u128::from(*many) * u128::from(LONGEST) / u128::from(most);
        // Something is never drawn as nothing.
        let width = if *many > 0 { width.max(1) } else { 0 };
        let (end, behind) = (LEFT - 8, u128::from(LEFT) + width + 6);
        let name = escaped(&shortened(name));
        let _ = writeln!(
            page,
            "<text x=\"{end}\" y=\"{base}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{width}\" height=\"16\"/>\
             <text x=\"{behind}\" y=\"{base}\">{many}</text>",
            top.saturating_add(3)
        );
    }
    page.push_str("</svg></figure>\n");
}

/// As much of a name as has room before its bar.
fn shortened(name: &str) -> String {
    const ROOM: usize = 22;
    if name.chars().count() <= ROOM {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(ROOM - 1).collect();
    short.push('…');
    short
}

/// Text as text, in an element or an attribute, whatever it holds. What steers the direction or the
/// terminal is shown, not obeyed.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            _ if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}') =>
            {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
