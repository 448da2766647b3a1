//! A report as Markdown.

use super::{Results, tables};

/// All of it.
pub fn text(results: &Results) -> String {
    let mut text = "# Lantern benchmark report\n\n".to_owned();
    for line in results.summary() {
        text.extend(["- ", &escaped(&line), "\n"]);
    }
    for table in tables::all(results) {
        let columns: Vec<String> = table.header.iter().map(|name| escaped(name)).collect();
        text.extend(["\n## ", table.title, "\n\n", table.note, "\n\n"]);
        text += &row(&columns);
        let number = |column: usize| table.rows.iter().any(|row| row[column].number.is_some());
        let rule = |column| if number(column) { "--:" } else { "---" }.to_owned();
        text += &row(&(0..columns.len()).map(rule).collect::<Vec<_>>());
        for cells in &table.rows {
            text += &row(&cells
                .iter()
                .map(|cell| escaped(&cell.text))
                .collect::<Vec<_>>());
        }
    }
    text
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Text as Markdown shows it unchanged: no table's edge, no HTML, no link.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if "\\`*|<>[]&~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn a_result_becomes_tables() {
        let found = [sample::found()];
        let text = text(&Results::of(&found));
        assert!(text.starts_with("# Lantern benchmark report\n\n- Model: Tiny\n"));
        let wanted = [
            "| A | tiny.json | Tiny | 00ff | mixed precision | Made Up 9000 | vulkan |",
            "| result | adapter | test | depth | tokens/s | ± | samples |",
            "| --- | --- | --- | --: | --: |",
            "| A | Made Up 9000 | pp16 | 0 | 100.00 | 1.00 | 3 | 50.0 % | f32 | 400.0 |",
            "| A | Made Up 9000 | token | 1 | matvec.q4_0 | 30 | 20.000 | 100.0 % | 3.00 | 30.0 % | 10.00 | 20.0 % | 3.33 |",
        ];
        for line in wanted {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("By depth"), "{text}");
    }

    #[test]
    fn hostile_names_stay_text() {
        let mut found = sample::found();
        found.report.adapter.name = "<script>|[x](y)\n\u{1b}[31m".to_owned();
        let text = text(&Results::of(&[found]));
        let wanted = r"\<script\>\|\[x\](y)\\n\\u{1b}\[31m";
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
