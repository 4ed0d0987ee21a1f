//! A sheet as one HTML page that needs nothing else: style and charts within, no script, nothing loaded.
//!
//! Whatever stands in the page was escaped, and its own policy forbids it to run or to load anything,
//! should a reader's browser ever find something in it that runs or loads.

mod cell;
mod style;

use std::fmt::Write as _;

use super::{Chart, Sheet, Table};
use cell::Kind;
use style::STYLE;

/// How high a bar and its space are, where bars begin, and how long the longest is.
const LINE: usize = 22;
const LEFT: u64 = 200;
const LONGEST: u64 = 250;

/// The page.
pub fn write(sheet: &Sheet) -> String {
    let title = escaped(&sheet.title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<p>taskpass report</p>\n\
         <h1>{title}</h1>\n<dl>\n"
    );
    for (name, value) in &sheet.lines {
        let (name, value) = (escaped(name), escaped(value));
        let _ = writeln!(page, "<dt>{name}</dt><dd>{value}</dd>");
    }
    page.push_str("</dl>\n</header>\n");
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
    let many = table.rows.len();
    let _ = writeln!(page, "<h2>{title} <small>{many}</small></h2>");
    if table.rows.is_empty() {
        page.push_str("<p class=\"none\">none</p>\n");
        return;
    }
    let kinds: Vec<Kind> = (0..table.columns.len())
        .map(|column| Kind::of(table.rows.iter().filter_map(|row| row.cells.get(column))))
        .collect();
    page.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for (column, kind) in table.columns.iter().zip(&kinds) {
        let (class, name) = (kind.class(), escaped(&column.replace('_', " ")));
        let _ = write!(page, "<th scope=\"col\"{class}>{name}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str(if row.alarm {
            "<tr class=\"alarm\">"
        } else {
            "<tr>"
        });
        for (cell, kind) in row.cells.iter().zip(&kinds) {
            let text = match kind {
                Kind::Instant => escaped(cell).replacen('T', "<wbr>T", 1),
                Kind::Long => breakable(cell),
                Kind::Number | Kind::Text => escaped(cell),
            };
            let _ = write!(page, "<td{}>{text}</td>", kind.class());
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// Bars with their names before and their numbers behind them: the chart is also its own table.
fn draw(page: &mut String, chart: &Chart) {
    let title = escaped(&chart.title);
    let height = chart.bars.len().saturating_mul(LINE);
    let _ = writeln!(page, "<figure><figcaption>{title}</figcaption>");
    let most = chart.bars.iter().map(|(_, many)| *many).max();
    let Some(most) = most.filter(|most| *most > 0) else {
        page.push_str("<p class=\"none\">none</p></figure>\n");
        return;
    };
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 530 {height}\" role=\"img\" aria-label=\"{title}\">"
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

/// As much of a name as has room before its bar: both ends, for names differ at either.
fn shortened(name: &str) -> String {
    const ENDS: [usize; 2] = [12, 13];
    let many = name.chars().count();
    let [first, last] = ENDS;
    if many <= first + last + 1 {
        return name.to_owned();
    }
    let head: String = name.chars().take(first).collect();
    let tail: String = name.chars().skip(many.saturating_sub(last)).collect();
    format!("{head}…{tail}")
}

/// The same text, which may break where its parts meet: a target and its scope, the words of a name.
fn breakable(text: &str) -> String {
    let parts = text.split_inclusive(['#', '@', '_']).map(escaped);
    parts.collect::<Vec<_>>().join("<wbr>")
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
