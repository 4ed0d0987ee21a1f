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
        "header",
        "html",
        "meta",
        "p",
        "rect",
        "small",
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
fn numbers_are_set_as_numbers_and_no_rows_are_said() {
    let row = |name: &str, count: &str| Row {
        cells: vec![name.to_owned(), count.to_owned()],
        alarm: false,
    };
    let mut some = Table::new("Agents", &["agent", "live_credentials"]);
    some.rows = vec![row("a", "7"), row("b", "12")];
    let sheet = Sheet {
        charts: Vec::new(),
        tables: vec![some, Table::new("Denied", &["agent"])],
        ..hostile()
    };
    let page = write(&sheet);
    assert!(page.contains("<th scope=\"col\" class=\"n\">live credentials</th>"));
    assert!(page.contains("<td>b</td><td class=\"n\">12</td>"));
    let texts = [
        ("https://api.example#read", "https://api.example#<wbr>read"),
        ("<a_b@c&#39;>", "&lt;a_<wbr>b@<wbr>c&amp;#<wbr>39;&gt;"),
        ("", ""),
    ];
    for (text, expected) in texts {
        assert_eq!(breakable(text), expected);
    }
    assert!(page.contains("<h2>Denied <small>0</small></h2>\n<p class=\"none\">none</p>"));
}

#[test]
fn a_name_keeps_both_its_ends() {
    for (name, expected) in [
        ("invoice-bot", "invoice-bot"),
        ("a-name-of-26-letters-is-26", "a-name-of-26-letters-is-26"),
        (
            "agent-of-the-accounts-receivable-team-007",
            "agent-of-the…able-team-007",
        ),
    ] {
        assert_eq!(shortened(name), expected);
    }
    let mut page = String::new();
    let bars = vec![("no owner".to_owned(), 0), ("overdue".to_owned(), 0)];
    let title = "Faults".to_owned();
    draw(&mut page, &Chart { title, bars });
    assert!(page.contains("none") && !page.contains("<svg"));
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
