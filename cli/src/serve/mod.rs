//! `lantern serve`: models for programs that speak OpenAI's or Anthropic's protocol, several requests at once.
//!
//! Each protocol translates its requests into `Wanted`, and answers back into its own form; what is between knows no
//! protocol. Requests become those of the engine's `Service`, whose thread computes; a client that is too slow to read what
//! it says loses its answer, and holds nothing up.

mod answers;
mod anthropic;
mod blocks;
mod calling;
mod connections;
mod error;
mod fields;
mod guard;
mod metrics;
mod models;
mod openai;
mod openapi;
mod page;
mod rerank;
mod responses;
mod routes;
mod served;
mod texts;
mod tokens;
mod wanted;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime},
};

use lantern_engine::ServiceOptions;

use crate::{
    failure::{Failure, Result},
    interrupt,
    load::{self, LoadArgs},
    model::ModelArgs,
    notes,
    numbers::{self, counted},
    output,
};
use error::ApiError;
use fields::Fields;
use models::Folder;
pub use models::{Loading, Models};
pub use routes::Route;
use served::Held;
pub use wanted::ANSWERS_MAX;

/// Threads that speak with clients.
const THREADS: usize = 4;

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
    /// Answers that are computed at once; they share a cache with room for as many contexts, or what memory there is
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    parallel: u32,
    /// Requests that wait their turn; more are refused with status 429
    #[arg(long, value_name = "N", default_value_t = 64)]
    queue: usize,
    /// Folder of the chat page that is served at / [default: the one beside this program, or that `cargo web` built]
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
    /// Serve the models of a folder, GGUF files and folders with safetensors, each loaded when a request names it
    #[arg(long, value_name = "FOLDER", conflicts_with = "model")]
    models: Option<PathBuf>,
    /// Models of --models that are loaded at once
    #[arg(long, value_name = "N", default_value = "2", value_parser = numbers::from_one, requires = "models")]
    models_max: NonZeroUsize,
    /// How long a model of --models stays loaded that nobody uses: 90s, 5m, 1h, or `always`
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "models")]
    keep_alive: KeepAlive,
    /// Keep what was computed of prompts in files of this folder, so that a server started later need not compute it again
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// GB that those files may take; those used longest ago give way
    #[arg(long, value_name = "GB", default_value_t = 10, requires = "cache_dir")]
    cache_dir_size: u64,
    #[command(flatten)]
    load: LoadArgs,
}

/// Time that an unused model stays loaded; none: always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeepAlive(Option<Duration>);

impl FromStr for KeepAlive {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<KeepAlive, &'static str> {
        if text == "always" {
            return Ok(KeepAlive(None));
        }
        let wrong = "not a time as 90s, 5m, 1h, or `always`";
        let split = text.len() - usize::from(text.ends_with(['s', 'm', 'h']));
        let (number, unit) = text.split_at_checked(split).ok_or(wrong)?;
        let seconds = match unit {
            "m" => 60,
            "h" => 3600,
            _ => 1,
        };
        let number: u32 = number.parse().map_err(|_| wrong)?;
        Ok(KeepAlive(Some(Duration::from_secs(
            u64::from(number) * seconds,
        ))))
    }
}

/// Everything that answers need.
pub struct App {
    models: Arc<Models>,
    api_key: Option<String>,
    /// Names that the Host header may have; none: any.
    hosts: Option<Vec<String>>,
    cors: Vec<String>,
    /// Folder of the chat page.
    page: Option<PathBuf>,
    /// Whether no more requests are taken.
    ends: AtomicBool,
}

impl App {
    /// Answers requests that come from no network.
    pub fn offline(models: Models) -> App {
        App {
            models: Arc::new(models),
            api_key: None,
            hosts: None,
            cors: vec![],
            page: None,
            ends: AtomicBool::new(false),
        }
    }

    /// The model that a request wants.
    async fn model(&self, fields: &mut Fields) -> std::result::Result<Held, ApiError> {
        let name = fields.take::<String>("model")?;
        self.models.find(name.as_deref()).await
    }
}

/// Serves until it is interrupted.
pub fn run(args: &Args) -> Result {
    args.validate()?;
    let listener = listen(SocketAddr::new(args.host, args.port))?;
    let page = page::folder(args.page.as_deref())?;
    let (models, told) = args.models()?;
    if page.is_some() {
        notes::detail("the chat page is at /");
    }
    let address = listener
        .local_addr()
        .map_err(|error| Failure::io("the port", error))?;
    let app = Arc::new(App {
        models: Arc::new(models),
        api_key: args.api_key.clone(),
        hosts: args.host.is_loopback().then(|| {
            let own = address.ip().to_string();
            vec!["localhost".into(), "127.0.0.1".into(), "[::1]".into(), own]
        }),
        cors: args.cors.clone(),
        page,
        ends: AtomicBool::new(false),
    });
    notes::note(&format!("{told} at http://{address}/v1; Ctrl-C ends it"));
    output::line(&format!("http://{address}"))?;
    interrupt::listen();
    // Several, so that a long prompt on its way to tokens holds no stream up.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::io("the server", error))?;
    runtime.block_on(serve(listener, app))
}

impl Args {
    fn validate(&self) -> Result {
        if !self.host.is_loopback() && self.api_key.is_none() && !self.no_auth {
            return Err(Failure::Usage(format!(
                "others reach {}: give --api-key KEY, which their requests must have, or --no-auth",
                self.host
            )));
        }
        if self.api_key.as_deref() == Some("") {
            return Err(Failure::Usage(
                "--api-key needs a key that is not empty".into(),
            ));
        }
        if !self.load.lora.is_empty() {
            return Err(Failure::Usage("serve takes no --lora yet".into()));
        }
        Ok(())
    }

    fn service(&self) -> ServiceOptions {
        let options = ServiceOptions::default()
            .sequences(self.parallel)
            .queue(self.queue)
            .note(notes::note);
        let Some(folder) = &self.cache_dir else {
            return options;
        };
        let bytes_max = self.cache_dir_size.saturating_mul(1_000_000_000);
        options.cache_dir(folder, bytes_max)
    }

    /// The models, and what is said of them.
    fn models(&self) -> Result<(Models, String)> {
        let loading = Loading {
            load: self.load.clone(),
            service: self.service(),
        };
        if let Some(path) = &self.models {
            let folder = Folder {
                path: path.clone(),
                gpu: Arc::new(load::open_gpu(&self.load.gpu)?),
                loading,
                max: self.models_max.get(),
                keep: self.keep_alive.0,
            };
            let models = Models::of(folder);
            let names = models
                .names()
                .map_err(|error| Failure::Message(error.message))?;
            let told = format!(
                "{} of {} answer",
                counted(names.len(), "model"),
                path.display()
            );
            return Ok((models, told));
        }
        let file = self.load.open(self.model.model.as_deref())?;
        let gpu = Arc::new(load::open_gpu(&self.load.gpu)?);
        let served = loading.serve(&gpu, &file, None)?;
        let told = format!(
            "{} answers, {} at once with {} tokens each,",
            served.name,
            self.parallel,
            served.context()
        );
        Ok((Models::one(served), told))
    }
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
    let (models, router) = (app.models.clone(), routes::router(&app));
    tokio::select! {
        served = connections::serve(listener, app, router) => served,
        () = models.watch() => Ok(()),
    }
}

fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::KeepAlive;

    #[test]
    fn times_have_units() {
        let seconds = |text: &str| text.parse().map(|KeepAlive(time)| time);
        assert_eq!(seconds("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(seconds("5m"), Ok(Some(Duration::from_mins(5))));
        assert_eq!(seconds("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(seconds("always"), Ok(None));
        for bad in ["", "m", "5 m", "5d", "-1", "é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
