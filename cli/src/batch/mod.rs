//! `lantern batch`: a file of requests in OpenAI's batch format, answered by the server's code without a server. What is
//! answered is in the output at once, and is not done again by a later run.

mod input;
mod order;
mod results;

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use axum::body::Bytes;
use lantern_engine::ServiceOptions;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    failure::{Failure, Result},
    files, interrupt,
    load::{self, LoadArgs},
    notes,
    numbers::counted,
    progress::Progress,
    serve::{ANSWERS_MAX, App, Loading, Models, Route},
};
use input::{Input, Request};
use results::Results;

/// Requests beyond those that are computed at once, so that none of these waits for its next.
const AHEAD: usize = 2;

/// `batch`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The requests, a line each: {"custom_id": ID, "method": "POST", "url": "/v1/chat/completions", "body": {…}}
    #[arg(value_name = "FILE")]
    input: PathBuf,
    /// The file for the answers, a line each; those that it has already are not asked for again
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// A GGUF file, a folder with safetensors, or user/repo[:file] on the Hugging Face hub; without one, SmolLM2-135M-Instruct is used
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Answers that are computed at once; they share a cache with room for as many contexts, or what memory there is
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=16))]
    parallel: u32,
    #[command(flatten)]
    load: LoadArgs,
}

/// Answers what is not answered yet.
pub fn run(args: &Args) -> Result {
    files::check_name(&args.output)?;
    if !args.load.lora.is_empty() {
        return Err(Failure::Usage("batch takes no --lora yet".into()));
    }
    let input = Input::open(&args.input)?;
    let ids: HashSet<&str> = input.requests.iter().map(|one| one.id.as_str()).collect();
    let mut results = Results::open(&args.output, &ids)?;
    let total = input.requests.len();
    let left = input.requests.iter().filter(|one| !results.has(&one.id));
    let left = order::order(left.collect());
    if left.is_empty() {
        notes::note(&format!("{} answered already", counted(total, "request")));
        return Ok(());
    }
    if left.len() < total {
        let done = total - left.len();
        notes::note(&format!("{done} of {total} requests are answered already"));
    }
    let app = open(args)?;
    interrupt::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::io("the batch", error))?;
    let width = args.parallel as usize + AHEAD;
    let refused = runtime.block_on(answer(&app, &input, &left, &mut results, width))?;
    let answered = counted(left.len() - refused, "request");
    let refused = match refused {
        0 => String::new(),
        some => format!(", {some} refused: their lines say why"),
    };
    notes::note(&format!("{answered} answered{refused}"));
    Ok(())
}

fn open(args: &Args) -> Result<Arc<App>> {
    let width = args.parallel as usize + AHEAD;
    let loading = Loading {
        load: args.load.clone(),
        service: ServiceOptions::default()
            .sequences(args.parallel)
            .queue(width * ANSWERS_MAX),
    };
    let file = args.load.open(args.model.as_deref())?;
    let gpu = Arc::new(load::open_gpu(&args.load.gpu)?);
    let served = loading.serve(&gpu, &file, None)?;
    Ok(Arc::new(App::offline(Models::one(served))))
}

/// Answers requests in their order, up to `width` at once; how many were refused.
async fn answer(
    app: &Arc<App>,
    input: &Input,
    left: &[&Request],
    results: &mut Results,
    width: usize,
) -> Result<usize> {
    const TICK: Duration = Duration::from_millis(100);
    let mut progress = Progress::steps("answering", left.len() as u64);
    let (mut waiting, mut going) = (left.iter(), JoinSet::new());
    let (mut done, mut refused) = (0, 0);
    while done < left.len() {
        if interrupt::asked() {
            let total = left.len();
            notes::note(&format!(
                "{done} of {total} are answered; the same command goes on"
            ));
            return Err(Failure::Interrupted);
        }
        while going.len() < width
            && let Some(request) = waiting.next()
        {
            let (app, id) = (app.clone(), request.id.clone());
            let (route, body) = (request.route, input.body(request)?);
            going.spawn(async move { (id, respond(app, route, body).await) });
        }
        let next = tokio::time::timeout(TICK, going.join_next()).await;
        let Ok(Some(next)) = next else {
            continue;
        };
        let failed = |error| Failure::Message(format!("a request ended too early: {error}"));
        let (id, (status, body)) = next.map_err(failed)?;
        results.add(&id, status, &body)?;
        refused += usize::from(status != 200);
        done += 1;
        progress.set(done as u64, left.len() as u64);
    }
    progress.finish();
    Ok(refused)
}

/// Status and body of an answer.
async fn respond(app: Arc<App>, route: &'static Route, body: Value) -> (u16, Value) {
    if body["stream"] == true {
        let message = "stream: answers of a batch come whole";
        let error = json!({"message": message, "type": "invalid_request_error", "param": "stream", "code": null});
        return (400, json!({"error": error}));
    }
    let body = Bytes::from(body.to_string());
    let response = route.respond(app, body, None).await;
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let body = body
        .ok()
        .and_then(|body| serde_json::from_slice(&body).ok());
    (status, body.unwrap_or_default())
}
