//! `lantern serve`: a model for programs that speak OpenAI's protocol, several at once.
//!
//! Requests become those of the engine's `Service`, whose thread computes; what it says goes through channels without an end,
//! so that a slow client holds nothing up.

mod answers;
mod error;
mod fields;
mod guard;
mod metrics;
mod openai;
mod request;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    routing::{get, post},
};
use lantern_engine::{LanguageModel, Service, ServiceOptions};

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs},
    model::ModelArgs,
    notes, output,
};

/// Bytes of a request at most.
const BODY_MAX: usize = 32 << 20;

/// `serve`'s flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// The address to listen at; one that others reach wants --api-key or --no-auth
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The port to listen at; 0 is any that is free
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// The key that requests must have: `Authorization: Bearer KEY`
    #[arg(
        long,
        value_name = "KEY",
        env = "LANTERN_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Serve everybody who reaches the address
    #[arg(long, conflicts_with = "api_key")]
    no_auth: bool,
    /// Pages of this origin may send requests, as `https://example.org`, or of any: `*`; may be given several times
    #[arg(long, value_name = "ORIGIN")]
    cors: Vec<String>,
    /// Answers that are computed at once; each takes memory for a context of its own
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    parallel: u32,
    /// Requests that wait their turn; more are refused with status 429
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    #[command(flatten)]
    load: LoadArgs,
}

/// Everything that answers need.
struct App {
    service: Service,
    /// The name that requests may say, and answers do.
    name: String,
    /// Time at which the model was loaded, seconds since 1970.
    created: u64,
    api_key: Option<String>,
    /// Names that the Host header may have; none: any.
    hosts: Option<Vec<String>>,
    cors: Vec<String>,
}

/// Serves until it is interrupted.
pub fn run(args: &Args) -> Result {
    let open = !args.host.is_loopback();
    if open && args.api_key.is_none() && !args.no_auth {
        return Err(Failure::Usage(format!(
            "others reach {}: give --api-key KEY, which their requests must have, or --no-auth",
            args.host
        )));
    }
    if args.api_key.as_deref() == Some("") {
        return Err(Failure::Usage(
            "--api-key needs a key that is not empty".into(),
        ));
    }
    if !args.load.lora.is_empty() {
        return Err(Failure::Usage("serve takes no --lora yet".into()));
    }
    let listener = listen(SocketAddr::new(args.host, args.port))?;
    let file = args.load.open(args.model.model.as_deref())?;
    let loaded = load::load(&file, &args.load)?;
    let model = LanguageModel::with_model(&file, loaded.model)?;
    let options = ServiceOptions::default()
        .sequences(args.parallel)
        .queue(args.queue);
    let service = Service::start(&model, options)?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::io("the port", error))?;
    let app = Arc::new(App {
        name: model.model().config().name.clone(),
        service,
        created: seconds_since_1970(),
        api_key: args.api_key.clone(),
        hosts: (!open).then(|| {
            let own = address.ip().to_string();
            vec!["localhost".into(), "127.0.0.1".into(), "[::1]".into(), own]
        }),
        cors: args.cors.clone(),
    });
    notes::note(&format!(
        "{} answers at http://{address}/v1, {} at once with {} tokens each; Ctrl-C ends it",
        app.name,
        args.parallel,
        app.service.context()
    ));
    output::line(&format!("http://{address}"))?;
    interrupt::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::io("the server", error))?;
    runtime.block_on(serve(listener, app))
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address);
    let listener = listener.map_err(|error| {
        Failure::Message(format!(
            "cannot listen at {address}: {error}; choose another with --port"
        ))
    })?;
    let waits = listener.set_nonblocking(true);
    waits.map_err(|error| Failure::io("the port", error))?;
    Ok(listener)
}

async fn serve(listener: std::net::TcpListener, app: Arc<App>) -> Result {
    let failed = |error| Failure::io("the server", error);
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let served = axum::serve(listener, router(app)).with_graceful_shutdown(ended());
    served.await.map_err(failed)
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/models", get(openai::models))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::complete))
        .route("/tokenize", post(openai::tokenize))
        .route("/detokenize", post(openai::detokenize))
        .route("/apply-template", post(openai::apply_template))
        .fallback(error::not_found)
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(app)
}

/// Waits until Ctrl-C or a request to end from outside; then answers that go on are finished.
async fn ended() {
    let asked = async {
        while !interrupt::asked() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = asked => {}
        () = terminated() => {}
    }
    notes::note("finishing the answers that go on; Ctrl-C ends them");
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The state that handlers take.
type Shared = State<Arc<App>>;
