//! `/metrics` in Prometheus's text form, with the names that Kubernetes' Gateway API Inference Extension reads beside our own.

use std::{fmt::Write as _, sync::atomic::Ordering::Relaxed};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use lantern_engine::{BUCKETS, Histogram, Service, ServiceStats};

use super::App;

/// Name, kind and text of a number, and where it is.
type Number = (
    &'static str,
    &'static str,
    &'static str,
    fn(&ServiceStats) -> f64,
);

#[rustfmt::skip] // a table
const NUMBERS: [Number; 12] = [
    ("lantern_requests_waiting", "gauge", "Requests that wait.", |s| s.waiting as f64),
    ("lantern_requests_running", "gauge", "Answers that go on.", |s| s.running as f64),
    ("vllm:num_requests_waiting", "gauge", "Requests that wait.", |s| s.waiting as f64),
    ("vllm:num_requests_running", "gauge", "Answers that go on.", |s| s.running as f64),
    ("vllm:kv_cache_usage_perc", "gauge", "Share of the cache's blocks that answers hold.", |s| s.blocks_held as f64 / s.blocks.max(1) as f64),
    ("lantern_requests_completed_total", "counter", "Answers that ended.", |s| s.completed as f64),
    ("lantern_requests_failed_total", "counter", "Requests that ended in an error.", |s| s.failed as f64),
    ("lantern_requests_refused_total", "counter", "Requests that found the queue full.", |s| s.refused as f64),
    ("lantern_prompt_tokens_total", "counter", "Tokens of prompts.", |s| s.prompt_tokens as f64),
    ("lantern_cached_tokens_total", "counter", "Tokens of prompts that were held already.", |s| s.cached_tokens as f64),
    ("lantern_prefilled_tokens_total", "counter", "Tokens of prompts that were computed.", |s| s.prefilled.0 as f64),
    ("lantern_sampled_tokens_total", "counter", "Tokens that were sampled.", |s| s.sampled_tokens as f64),
];

/// Name and text of times, and where they are.
type Times = (&'static str, &'static str, fn(&ServiceStats) -> &Histogram);

#[rustfmt::skip] // a table
const TIMES: [Times; 2] = [
    ("lantern_time_to_first_token_seconds", "From a request to its first token.", |s| &s.first_token),
    ("lantern_inter_token_seconds", "From a token to the next.", |s| &s.next_token),
];

/// `GET /metrics`.
pub fn metrics(app: &App) -> Response {
    let held = app.models.loaded();
    let all: Vec<(String, ServiceStats)> = held
        .iter()
        .map(|served| {
            let stats = served.service().map(Service::stats);
            (label(&served.name), stats.unwrap_or_default())
        })
        .collect();
    let mut text = String::new();
    for (name, kind, help, value) in NUMBERS {
        head(&mut text, name, kind, help);
        for (label, stats) in &all {
            let _ = writeln!(text, "{name}{{{label}}} {}", value(stats));
        }
    }
    let name = "lantern_text_tokens_total";
    let help = "Tokens of texts that were embedded or scored.";
    head(&mut text, name, "counter", help);
    for (served, (label, _)) in held.iter().zip(&all) {
        let tokens = served.texts.tokens.load(Relaxed);
        let _ = writeln!(text, "{name}{{{label}}} {tokens}");
    }
    for (name, help, times) in TIMES {
        head(&mut text, name, "histogram", help);
        for (label, stats) in &all {
            histogram(&mut text, name, label, times(stats));
        }
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, text).into_response()
}

fn label(name: &str) -> String {
    let name = name
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("model_name=\"{name}\"")
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn histogram(text: &mut String, name: &str, label: &str, times: &Histogram) {
    let mut sum = 0;
    for (most, count) in BUCKETS.iter().zip(times.counts) {
        sum += count;
        let _ = writeln!(text, "{name}_bucket{{{label},le=\"{most}\"}} {sum}");
    }
    let (count, seconds) = (times.count, times.seconds);
    let _ = write!(
        text,
        "{name}_bucket{{{label},le=\"+Inf\"}} {count}\n{name}_sum{{{label}}} {seconds}\n{name}_count{{{label}}} {count}\n"
    );
}
