//! A sheet as CSV (RFC 4180): its first table, for a spreadsheet.
//!
//! Programs that open such files take a cell that begins like a formula for one. Purposes and names are
//! other people's words: such a cell gets an apostrophe before it.

use super::Sheet;

/// The first table of a sheet, with its columns as the first line.
pub fn write(sheet: &Sheet) -> String {
    let mut text = String::new();
    let Some(table) = sheet.tables.first() else {
        return text;
    };
    let columns: Vec<String> = table.columns.iter().map(|c| (*c).to_owned()).collect();
    line(&mut text, &columns);
    for row in &table.rows {
        line(&mut text, &row.cells);
    }
    text
}

fn line(text: &mut String, cells: &[String]) {
    for (n, value) in cells.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        cell(text, value);
    }
    text.push_str("\r\n");
}

fn cell(text: &mut String, value: &str) {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'']);
    let quoted = value.contains([',', '"', '\r', '\n', ';', '\t']) || formula;
    if !quoted {
        text.push_str(value);
        return;
    }
    text.push('"');
    if formula {
        text.push('\'');
    }
    text.push_str(&value.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells() {
        for (value, expected) in [
            ("invoice-bot", "invoice-bot"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
        ] {
            let mut text = String::new();
            cell(&mut text, value);
            assert_eq!(text, expected, "{value:?}");
        }
    }
}
