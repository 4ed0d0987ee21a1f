//! Whatever a report holds, the page shows it and does not obey it.

use super::*;
use crate::sheet::Row;

const HOSTILE: &str = "</td><script>alert(1)</script>\"'`&\u{202e}<img src=x onerror=alert(1)>";

fn hostile() -> Sheet {
    let text = HOSTILE.to_owned();
    Sheet {
        title: text.clone(),
        lines: vec![("name", text.clone())],
        notes: vec![text.clone()],
        charts: vec![Chart {
            title: text.clone(),
            bars: vec![(text.clone(), u64::MAX), ("none".into(), 0)],
        }],
        tables: vec![Table {
            title: text.clone(),
            columns: vec!["agent"],
            rows: vec![Row {
                cells: vec![text],
                alarm: true,
            }],
        }],
    }
}

#[test]
fn nothing_of_what_agents_say_is_markup() {
    let page = write(&hostile());
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
    assert!(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&#96;&amp;"));
    assert!(page.contains("default-src 'none'"));
    // Every tag of the page is one that is written here, and none has an attribute that acts.
    let tags: std::collections::BTreeSet<&str> = page
        .split('<')
        .skip(1)
        .map(|tag| {
            tag.split([' ', '>', '\n'])
                .next()
                .unwrap()
                .trim_start_matches('/')
        })
        .collect();
    let known = [
        "!doctype",
        "body",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "head",
        "html",
        "meta",
        "p",
        "rect",
        "style",
        "svg",
        "table",
        "tbody",
        "td",
        "text",
        "th",
        "thead",
        "title",
        "tr",
    ];
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), known);
    // An attribute cannot be left either: what stands in quotes has no quote.
    for tag in page
        .split('<')
        .skip(1)
        .filter_map(|tag| tag.split('>').next())
    {
        let outside: String = tag.split('"').step_by(2).collect();
        assert!(
            !outside.contains(" on") && !outside.contains("src"),
            "{tag}"
        );
    }
}

#[test]
fn a_page_needs_nothing_else() {
    let page = write(&hostile());
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("url("));
    assert!(page.contains("@media print"));
}

#[test]
fn bars_are_as_long_as_their_numbers() {
    let mut page = String::new();
    let bars = [("a", 200), ("b", 100), ("c", 1), ("d", 0)];
    let bars = bars.map(|(name, many)| (name.to_owned(), many)).to_vec();
    draw(
        &mut page,
        &Chart {
            title: "t".into(),
            bars,
        },
    );
    let widths: Vec<&str> = page
        .split(" width=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(widths, ["250", "125", "1", "0"]);
}
