//! Lantern's command line: a table of verbs, one file each. All stdout goes through `output.rs`, all stderr through `notes.rs`
//! and `progress.rs`, all failures end here as an exit code. Knows the engine's doors, and nothing of kernels or GPUs.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "comments of arguments are the help's texts, and have brackets of another meaning"
)]

mod batch;
mod bench;
mod chat;
mod check;
mod compare;
mod compress;
mod devices;
mod doctor;
mod download;
mod embed;
mod failure;
mod fetch;
mod files;
mod generate;
mod ids;
mod info;
mod interrupt;
mod lines;
mod load;
mod logits;
mod model;
mod notes;
mod numbers;
mod output;
mod perplexity;
mod places;
mod plan;
mod predictions;
mod progress;
mod quantize;
mod report;
mod rerank;
mod results;
mod run;
mod sampling;
mod selftest;
mod serve;
mod shown;
mod template;
mod terminal;
mod texts;
mod tokenize;
mod tools;
mod tune;
mod tuning;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Result;

const EXAMPLES: &str = "\
Examples:
  lantern run -p 'Why is the sky blue?'
  lantern run model.gguf --greedy -n 64 --raw -p 'The capital of France is'
  git diff | lantern run bartowski/SmolLM2-360M-Instruct-GGUF:SmolLM2-360M-Instruct-Q8_0.gguf -p 'Summarise this change.'
  lantern chat
  lantern bench --json

Exit codes: 0 success, 1 error, 2 usage, 3 no adapter (GPU), 130 interrupted.
Environment: LANTERN_ADAPTER, LANTERN_CACHE, LANTERN_TUNING, HF_ENDPOINT, HF_TOKEN, http_proxy, https_proxy, all_proxy, no_proxy.";

/// Run language models on any GPU
#[derive(Debug, Parser)]
#[command(name = "lantern", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    /// Say more on stderr
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "quiet",
        display_order = 900
    )]
    verbose: bool,
    /// Say nothing but errors on stderr
    #[arg(short, long, global = true, display_order = 901)]
    quiet: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Generate text from a prompt
    #[command(after_help = "\
Examples:
  lantern run -p 'Tell me a story' --temperature 1
  lantern run -s 'Answer in one word.' -p 'Capital of France?'
  lantern run --raw --greedy -n 32 --json -p 'The capital of France is'
  lantern run -p 'Summarise this.' < report.txt

Unless -f is given, a stdin that is no terminal is read to its end and put before -p.")]
    Run(run::Args),
    /// Hold a conversation
    #[command(
        after_help = "/help lists the commands inside. Each line of a piped stdin is one message."
    )]
    Chat(chat::Args),
    /// Answer programs that speak OpenAI's or Anthropic's protocol
    #[command(after_help = "\
Examples:
  lantern serve
  lantern serve model.gguf --parallel 8 --context 8192
  lantern serve --models ~/models --keep-alive 10m
  lantern serve --host 0.0.0.0 --api-key \"$KEY\"

Endpoints: /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages (and count_tokens), /v1/embeddings,
/v1/rerank, /v1/models, /health, /ready, /metrics, /tokenize, /detokenize, /apply-template; /openapi.json describes them,
and / is the chat page, where it is built. The address goes to stdout once requests are answered.")]
    Serve(serve::Args),
    /// Answer a file of requests, without a server
    #[command(after_help = "\
Example:
  lantern batch requests.jsonl -o answers.jsonl

Requests are lines in OpenAI's batch format, for any endpoint of `lantern serve` that takes a body. A run that ends early, in
whatever way, is gone on with by the same command.")]
    Batch(batch::Args),
    /// Show which tokens a text is
    Tokenize(tokenize::Args),
    /// Render a chat template
    #[command(after_help = "\
Example:
  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"add_generation_prompt\": true}' > hi.json
  lantern template model.gguf --input hi.json")]
    Template(template::Args),
    /// Write the logits after given tokens to a file
    #[command(
        after_help = "Example:\n  lantern logits model.gguf --tokens 504,3575,282 --all -o logits.f32"
    )]
    Logits(logits::Args),
    /// Turn texts into vectors
    #[command(after_help = "\
Examples:
  lantern embed model.gguf 'The sky is blue.' 'Grass is green.' --json
  lantern embed model.gguf -f lines.txt -o vectors.npy")]
    Embed(embed::Args),
    /// Sort texts by how well they answer a query
    #[command(after_help = "\
Example:
  lantern rerank model.gguf -q 'Why is the sky blue?' -f passages.txt --json")]
    Rerank(rerank::Args),
    /// Measure how well a model predicts a text
    Perplexity(perplexity::Args),
    /// Show what a model file holds
    Info(info::Args),
    /// Compress a text by what a model expects of it
    Compress(compress::CompressArgs),
    /// Undo `compress`, with the same model on the same adapter
    Expand(compress::ExpandArgs),
    /// Store a model's matrices in fewer bits
    #[command(after_help = "\
Examples:
  lantern quantize model-f16.gguf model-q4_k.gguf q4_k
  lantern quantize user/repo:model-F16.gguf model-q8_0.gguf q8_0

Norms, biases, routers and learned positions stay as they are. Rows that are no multiple of 256 become q4_0 or q8_0 instead.")]
    Quantize(quantize::Args),
    /// Say whether a model fits a GPU and how fast it will be, before it is downloaded
    #[command(
        after_help = "Examples:\n  lantern check user/repo:file.gguf --context 8192\n  lantern check https://host/model.gguf --json\n  lantern check llama-8b:q4_0"
    )]
    Check(check::Args),
    /// List the GPUs
    Devices(devices::Args),
    /// Look for what keeps Lantern from running well on this machine, and say what to do
    Doctor(doctor::Args),
    /// Show the dispatches of a forward pass
    Plan(plan::Args),
    /// Measure the speed of prefill and decode
    Bench(bench::Args),
    /// Make one page, or one text, of results of bench
    #[command(after_help = "\
Examples:
  lantern bench --profile --depth 0,512 --json > here.json
  lantern report here.json there.json -o report.html
  lantern report here.json

The page is one file that needs no network. Without -o, Markdown goes to stdout. - is stdin.")]
    Report(report::Args),
    /// Say whether a result of bench is slower than an earlier one
    #[command(after_help = compare::HELP)]
    Compare(compare::Args),
    /// Hold every kernel against its CPU reference on a GPU
    Selftest(selftest::Args),
    /// Measure which kernels are fastest on a GPU, and keep that
    Tune(tune::Args),
    /// Download a model and print where it is
    Fetch(fetch::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::parsing(&error),
    };
    notes::set_loudness(cli.quiet, cli.verbose);
    interrupt::install();
    match run_verb(&cli.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run_verb(verb: &Verb) -> Result {
    match verb {
        Verb::Run(args) => run::run(args),
        Verb::Chat(args) => chat::run(args),
        Verb::Serve(args) => serve::run(args),
        Verb::Batch(args) => batch::run(args),
        Verb::Tokenize(args) => tokenize::run(args),
        Verb::Template(args) => template::run(args),
        Verb::Logits(args) => logits::run(args),
        Verb::Embed(args) => embed::run(args),
        Verb::Rerank(args) => rerank::run(args),
        Verb::Perplexity(args) => perplexity::run(args),
        Verb::Info(args) => info::run(args),
        Verb::Compress(args) => compress::compress(args),
        Verb::Expand(args) => compress::expand(args),
        Verb::Quantize(args) => quantize::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Devices(args) => devices::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Plan(args) => plan::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Report(args) => report::run(args),
        Verb::Compare(args) => compare::run(args),
        Verb::Selftest(args) => selftest::run(args),
        Verb::Tune(args) => tune::run(args),
        Verb::Fetch(args) => fetch::run(args),
    }
}
