//! A comparison as text.

use lantern_engine::bench::report::Rate;

use super::{Changed, Compared, Comparison, Setup, Verdict};
use crate::{failure::Result, notes, output};

/// On stdout, a table for each setup; what has no like on the other side is a warning.
pub fn print(found: &Comparison) -> Result {
    let mut last = None;
    for row in &found.rows {
        if last == Some(&row.setup) {
            continue;
        }
        if last.is_some() {
            output::line("")?;
        }
        last = Some(&row.setup);
        print_setup(&row.setup, found)?;
    }
    for (what, only) in [("A", &found.only_before), ("B", &found.only_after)] {
        for name in only {
            notes::warning(&format!("only {what} has {name}"));
        }
    }
    let too_few = |row: &&Compared| row.verdict == Verdict::TooFew;
    if found.rows.iter().any(|row| too_few(&row)) {
        notes::warning(
            "too few repetitions: a verdict takes 3 a side (lantern bench -r 3), and is surer with 8",
        );
    }
    Ok(())
}

/// The rows of one setup, and what of its counters changed.
fn print_setup(setup: &Setup, found: &Comparison) -> Result {
    let Setup {
        adapter,
        model,
        loaded,
        ..
    } = setup;
    let title = format!("{model}, {loaded}, on {adapter}");
    output::line(&notes::visible(&title, 240, ""))?;
    let header = ["test", "depth", "before", "after", "change", "p", "verdict"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(found.rows.iter().filter(|r| r.setup == *setup).map(cells));
    output::table(&rows)?;
    let changed = found.counters.iter().filter(|c| c.setup == *setup);
    let cells = |changed: &Changed| {
        vec![
            changed.counter.to_owned(),
            changed.before.to_string(),
            "→".to_owned(),
            changed.after.to_string(),
        ]
    };
    output::table(&changed.map(cells).collect::<Vec<_>>())
}

fn cells(row: &Compared) -> Vec<String> {
    let rate = |rate: &Rate| format!("{:.2} ± {:.2}", rate.mean, rate.deviation);
    vec![
        row.test.clone(),
        row.depth.to_string(),
        rate(&row.before),
        rate(&row.after),
        format!("{:+.1} %", row.change * 100.0),
        row.p.map_or_else(String::new, probability),
        row.verdict.to_string(),
    ]
}

fn probability(p: f64) -> String {
    if p < 0.0001 {
        "<0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}
