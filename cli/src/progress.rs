//! How far long work is, on stderr: a bar on a terminal, elsewhere one line at the start and one at the end.
//! Work that is over within a second says nothing there.

use std::{
    fmt,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::notes;

const PATIENCE: Duration = Duration::from_secs(1);
const BYTES: &str =
    "{msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
const STEPS: &str = "{msg} [{wide_bar}] {pos}/{len} {eta}";
const COUNT: &str = "{msg} [{wide_bar}] {pos}/{len} {rate} {eta}";

/// One piece of long work. Dropping it takes the bar away.
pub struct Progress {
    label: String,
    bar: ProgressBar,
    start: Instant,
    plain: bool,
    said: bool,
}

impl Progress {
    /// Work measured in bytes, `total` of them.
    pub fn bytes(label: &str, total: u64) -> Progress {
        Progress::new(label, total, BYTES)
    }

    /// Work measured in tokens, `total` of them.
    pub fn count(label: &str, total: u64) -> Progress {
        Progress::new(label, total, COUNT)
    }

    /// Work in `total` steps.
    pub fn steps(label: &str, total: u64) -> Progress {
        Progress::new(label, total, STEPS)
    }

    fn new(label: &str, total: u64, template: &str) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let draw = terminal && !notes::quiet();
        let target = if draw {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:.1} tokens/s", state.per_sec());
        });
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style);
        Progress {
            label: label.to_owned(),
            bar: bar.with_message(label.to_owned()),
            start: Instant::now(),
            plain: !terminal,
            said: false,
        }
    }

    /// `done` of `total` are behind us.
    pub fn set(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.plain && !self.said && self.start.elapsed() > PATIENCE {
            self.said = true;
            notes::note(&format!("{} …", self.label));
        }
    }

    /// The work is done.
    pub fn finish(self) {
        if self.said {
            self.bar.finish_and_clear();
            notes::note(&format!(
                "{}: done in {:.1} s",
                self.label,
                self.start.elapsed().as_secs_f64()
            ));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
