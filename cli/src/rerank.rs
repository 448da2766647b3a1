//! `lantern rerank`: texts by how well they answer a query.

use lantern_engine::ranking;
use pollster::block_on;
use serde::Serialize;

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs},
    model::NamedModelArgs,
    notes, output,
    progress::Progress,
    texts::TextArgs,
};

/// `rerank`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: NamedModelArgs,
    /// The query
    #[arg(short, long, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    texts: TextArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    data: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    index: usize,
    scores: &'a [f32],
}

/// Prints texts with their scores, the best first.
pub fn run(args: &Args) -> Result {
    let query = match (&args.query, args.texts.are_tokens()) {
        (None, false) => {
            return Err(Failure::Usage(
                "there is no query: give one with -q".to_owned(),
            ));
        }
        (Some(_), true) => {
            notes::note("-q is not read beside --tokens, which have the query in them");
            ""
        }
        (query, _) => query.as_deref().unwrap_or_default(),
    };
    let file = args.load.open(Some(&args.model.model))?;
    let prompt = file.rank_prompt()?;
    let texts = args.texts.texts()?;
    let tokens = args.texts.tokens(&file, &texts, |tokenizer, text| {
        prompt.encode(tokenizer, query, text)
    })?;
    let loaded = load::load(&file, &args.load)?;
    let model = &loaded.model;
    let mut progress =
        Progress::count("scoring", tokens.iter().map(Vec::len).sum::<usize>() as u64);
    let mut show = |done: usize, total: usize| {
        progress.set(done as u64, total as u64);
        interrupt::control()
    };
    let scores = block_on(model.embedder().scores(&tokens, &mut show))?;
    progress.finish();
    let order = ranking(&scores);
    if args.json {
        let row = |&index: &usize| Row {
            index,
            scores: &scores[index],
        };
        return output::json(&Report {
            model: &model.config().name,
            data: order.iter().map(row).collect(),
        });
    }
    let line = |&index: &usize| {
        let all: Vec<String> = scores[index].iter().map(|v| format!("{v:.6}")).collect();
        vec![all.join(" "), index.to_string(), texts[index].clone()]
    };
    output::table(&order.iter().map(line).collect::<Vec<_>>())
}
