//! `/metrics` in Prometheus's text form, with the names that Kubernetes' Gateway API Inference Extension reads beside our own.

use std::fmt::Write as _;

use axum::{http::header, response::IntoResponse};
use lantern_engine::{BUCKETS, Histogram, ServiceStats};

use super::Shared;

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
    ("vllm:kv_cache_usage_perc", "gauge", "Share of the sequences that are taken.", |s| s.running as f64 / f64::from(s.sequences.max(1))),
    ("lantern_requests_completed_total", "counter", "Answers that ended.", |s| s.completed as f64),
    ("lantern_requests_failed_total", "counter", "Requests that ended in an error.", |s| s.failed as f64),
    ("lantern_requests_refused_total", "counter", "Requests that found the queue full.", |s| s.refused as f64),
    ("lantern_prompt_tokens_total", "counter", "Tokens of prompts.", |s| s.prompt_tokens as f64),
    ("lantern_cached_tokens_total", "counter", "Tokens of prompts that were held already.", |s| s.cached_tokens as f64),
    ("lantern_prefilled_tokens_total", "counter", "Tokens of prompts that were computed.", |s| s.prefilled.0 as f64),
    ("lantern_sampled_tokens_total", "counter", "Tokens that were sampled.", |s| s.sampled_tokens as f64),
];

/// `GET /metrics`.
pub async fn metrics(app: Shared) -> impl IntoResponse {
    let stats = app.service.stats();
    let mut text = String::new();
    for (name, kind, help, value) in NUMBERS {
        let value = value(&stats);
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
    let name = "lantern_time_to_first_token_seconds";
    let help = "From a request to its first token.";
    histogram(&mut text, name, help, &stats.first_token);
    let name = "lantern_inter_token_seconds";
    histogram(
        &mut text,
        name,
        "From a token to the next.",
        &stats.next_token,
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn histogram(text: &mut String, name: &str, help: &str, times: &Histogram) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
    let mut sum = 0;
    for (most, count) in BUCKETS.iter().zip(times.counts) {
        sum += count;
        let _ = writeln!(text, "{name}_bucket{{le=\"{most}\"}} {sum}");
    }
    let (count, seconds) = (times.count, times.seconds);
    let _ = write!(
        text,
        "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {seconds}\n{name}_count {count}\n"
    );
}
