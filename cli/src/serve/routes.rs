//! The table of what is answered: a row makes a route, its part of `/openapi.json`, and what `lantern batch` may ask.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Path,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    App, anthropic,
    error::{self, ApiError},
    fields::{Fields, Table},
    guard, metrics, openai, openapi, page, rerank, responses, tokens,
};

/// Bytes of a request at most.
const BODY_MAX: usize = 32 << 20;
/// Time that a request's body may take.
const BODY_TIME: Duration = Duration::from_mins(2);

/// Bytes from which on a body is large, and how many of those are taken at once: all bodies together stay in memory.
const LARGE: u64 = 1 << 20;
static LARGE_ONES: Semaphore = Semaphore::const_new(16);

/// Result of every handler.
pub type Answer = Result<Response, ApiError>;

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request as handlers get it.
pub struct Asked {
    pub route: &'static Route,
    pub body: Bytes,
    /// The part of the path that is a name.
    pub name: Option<String>,
}

impl Asked {
    /// The request's fields.
    pub fn fields(&self) -> Result<Fields, ApiError> {
        Fields::read(&self.body, self.route.table().unwrap_or(&Table::EMPTY))
    }
}

/// A path, and what answers there.
pub struct Route {
    pub path: &'static str,
    /// Its line in `/openapi.json`.
    pub says: &'static str,
    /// Type of the answer.
    pub kind: &'static str,
    /// Requests need no API key.
    pub open: bool,
    /// Fields of its body; none: it has no body, and is asked by GET.
    fields: Option<&'static Table>,
    answer: Handler,
}

type Handler = fn(Arc<App>, Asked) -> Answering;

const fn read(path: &'static str, says: &'static str, answer: Handler) -> Route {
    Route {
        path,
        says,
        kind: "application/json",
        open: false,
        fields: None,
        answer,
    }
}

const fn open(
    path: &'static str,
    says: &'static str,
    kind: &'static str,
    answer: Handler,
) -> Route {
    Route {
        kind,
        open: true,
        ..read(path, says, answer)
    }
}

const fn ask(
    path: &'static str,
    says: &'static str,
    fields: &'static Table,
    answer: Handler,
) -> Route {
    Route {
        fields: Some(fields),
        ..read(path, says, answer)
    }
}

#[rustfmt::skip] // a table
pub const ROUTES: &[Route] = &[
    open("/health", "Whether the server lives.", "text/plain", |_, _| at_once(Ok("ok\n".into_response()))),
    open("/ready", "Whether it takes requests.", "text/plain", |app, _| at_once(ready(&app))),
    open("/openapi.json", "This document.", "application/json", |_, _| at_once(Ok(openapi::openapi()))),
    Route { kind: "text/plain", ..read("/metrics", "Numbers for Prometheus.", |app, _| at_once(Ok(metrics::metrics(&app)))) },
    read("/v1/models", "All models.", |app, _| at_once(openai::models(&app))),
    read("/v1/models/{name}", "A model.", |app, asked| at_once(openai::model(&app, &asked))),
    ask("/v1/chat/completions", "An answer to a conversation.", &openai::request::CHAT, |app, asked| Box::pin(openai::chat(app, asked))),
    ask("/v1/completions", "What follows a text.", &openai::request::TEXT, |app, asked| Box::pin(openai::complete(app, asked))),
    ask("/v1/responses", "An answer to a conversation, as items.", &responses::TABLE, |app, asked| Box::pin(responses::responses(app, asked))),
    ask("/v1/messages", "An answer to a conversation, as Anthropic has it.", &anthropic::TABLE, |app, asked| Box::pin(anthropic::messages(app, asked))),
    ask("/v1/messages/count_tokens", "Tokens of a conversation.", &anthropic::COUNTED, |app, asked| Box::pin(anthropic::count_tokens(app, asked))),
    ask("/v1/embeddings", "Texts as vectors.", &openai::EMBEDDED, |app, asked| Box::pin(openai::embeddings(app, asked))),
    ask("/v1/rerank", "Texts by how well they answer a query.", &rerank::TABLE, |app, asked| Box::pin(rerank::rerank(app, asked))),
    ask("/tokenize", "A text as tokens.", &tokens::TEXT, |app, asked| Box::pin(tokens::tokenize(app, asked))),
    ask("/detokenize", "Tokens as a text.", &tokens::TOKENS, |app, asked| Box::pin(tokens::detokenize(app, asked))),
    ask("/apply-template", "The prompt that a conversation makes.", &tokens::CONVERSATION, |app, asked| Box::pin(tokens::apply_template(app, asked))),
];

fn at_once(answer: Answer) -> Answering {
    Box::pin(std::future::ready(answer))
}

fn ready(app: &App) -> Answer {
    if app.ends.load(Relaxed) {
        return Err(lantern_engine::Error::Aborted.into());
    }
    Ok("ok\n".into_response())
}

/// The server's routes.
pub fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, route.method(app));
    }
    router
        .fallback(page::file)
        .method_not_allowed_fallback(error::not_allowed)
        .with_state(app.clone())
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
}

impl Route {
    /// The row of a path.
    pub fn of(path: &str) -> Option<&'static Route> {
        ROUTES.iter().find(|route| route.path == path)
    }

    /// Fields of its body.
    pub fn table(&self) -> Option<&'static Table> {
        self.fields
    }

    /// Tells routes that are asked by POST, with a body, from those that are asked by GET.
    pub fn takes_body(&self) -> bool {
        self.fields.is_some()
    }

    /// Tells routes whose answers may come in pieces, as server-sent events.
    pub fn streams(&self) -> bool {
        self.fields
            .is_some_and(|table| table.samples && self.path.starts_with("/v1/"))
    }

    /// Answers a request; errors in the form of the protocol.
    pub async fn respond(
        &'static self,
        app: Arc<App>,
        body: Bytes,
        name: Option<String>,
    ) -> Response {
        let asked = Asked {
            route: self,
            body,
            name,
        };
        let answered = (self.answer)(app, asked).await;
        answered.unwrap_or_else(|error| error.respond(self.path))
    }

    fn method<S: Clone + Send + Sync + 'static>(&'static self, app: &Arc<App>) -> MethodRouter<S> {
        let app = app.clone();
        let respond = async move |Path(names): Path<Vec<(String, String)>>, body: Body| {
            let name = names.into_iter().next().map(|(_, name)| name);
            match tokio::time::timeout(BODY_TIME, whole(body)).await {
                Ok(Ok((body, _place))) => self.respond(app, body, name).await,
                Ok(Err(refused)) => refused.respond(self.path),
                Err(_) => too_slow().respond(self.path),
            }
        };
        if self.takes_body() {
            post(respond)
        } else {
            get(respond)
        }
    }
}

/// A whole body, and its place among the large ones, which it keeps until it is answered.
async fn whole(body: Body) -> Result<(Bytes, Option<SemaphorePermit<'static>>), ApiError> {
    let large = body.size_hint().upper().is_none_or(|bytes| bytes >= LARGE);
    let place = if large {
        LARGE_ONES.acquire().await.ok()
    } else {
        None
    };
    let body = axum::body::to_bytes(body, BODY_MAX).await;
    Ok((body.map_err(|_| too_large())?, place))
}

fn too_large() -> ApiError {
    let message = format!("a request has at most {BODY_MAX} bytes, and comes whole");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
}

fn too_slow() -> ApiError {
    let message = format!("a request comes within {} seconds", BODY_TIME.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
}
