//! The table of what is answered: a row makes a route, and a line of what others read of it.

use std::{pin::Pin, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};

use super::{
    App, anthropic, error, error::ApiError, guard, metrics, openai, rerank, responses, tokens,
};

/// Bytes of a request at most.
const BODY_MAX: usize = 32 << 20;

/// Result of every handler.
pub type Answer = Result<Response, ApiError>;

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request as handlers get it.
pub struct Asked {
    pub body: Bytes,
    /// The part of the path that is a name.
    pub name: Option<String>,
}

/// A path, and what answers there.
pub struct Route {
    path: &'static str,
    /// Whether it takes a body, by POST.
    takes_body: bool,
    answer: fn(Arc<App>, Asked) -> Answering,
}

const fn get_at(path: &'static str, answer: fn(Arc<App>, Asked) -> Answering) -> Route {
    Route {
        path,
        takes_body: false,
        answer,
    }
}

const fn post_at(path: &'static str, answer: fn(Arc<App>, Asked) -> Answering) -> Route {
    Route {
        path,
        takes_body: true,
        answer,
    }
}

#[rustfmt::skip] // a table
const ROUTES: &[Route] = &[
    get_at("/health", |_, _| at_once(Ok("ok\n".into_response()))),
    get_at("/ready", |_, _| at_once(Ok("ok\n".into_response()))),
    get_at("/metrics", |app, _| at_once(Ok(metrics::metrics(&app)))),
    get_at("/v1/models", |app, _| at_once(openai::models(&app))),
    get_at("/v1/models/{name}", |app, asked| at_once(openai::model(&app, &asked))),
    post_at("/v1/chat/completions", |app, asked| Box::pin(openai::chat(app, asked.body))),
    post_at("/v1/completions", |app, asked| Box::pin(openai::complete(app, asked.body))),
    post_at("/v1/responses", |app, asked| Box::pin(responses::responses(app, asked.body))),
    post_at("/v1/messages", |app, asked| Box::pin(anthropic::messages(app, asked.body))),
    post_at("/v1/messages/count_tokens", |app, asked| Box::pin(anthropic::count_tokens(app, asked.body))),
    post_at("/v1/embeddings", |app, asked| Box::pin(openai::embeddings(app, asked.body))),
    post_at("/v1/rerank", |app, asked| Box::pin(rerank::rerank(app, asked.body))),
    post_at("/tokenize", |app, asked| Box::pin(tokens::tokenize(app, asked.body))),
    post_at("/detokenize", |app, asked| Box::pin(tokens::detokenize(app, asked.body))),
    post_at("/apply-template", |app, asked| Box::pin(tokens::apply_template(app, asked.body))),
];

fn at_once(answer: Answer) -> Answering {
    Box::pin(std::future::ready(answer))
}

/// The server's routes.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, route.method(&app));
    }
    router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::not_found)
        .layer(middleware::from_fn_with_state(app, guard::guard))
}

impl Route {
    fn method(&'static self, app: &Arc<App>) -> MethodRouter {
        let app = app.clone();
        let respond = async move |Path(names): Path<Vec<(String, String)>>, body: Body| {
            let name = names.into_iter().next().map(|(_, name)| name);
            let answered = match axum::body::to_bytes(body, BODY_MAX).await {
                Ok(body) => (self.answer)(app, Asked { body, name }).await,
                Err(_) => Err(too_large()),
            };
            answered.unwrap_or_else(|error| error.respond(self.path))
        };
        if self.takes_body {
            post(respond)
        } else {
            get(respond)
        }
    }
}

fn too_large() -> ApiError {
    ApiError {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: format!("a request has at most {BODY_MAX} bytes, and comes whole"),
        param: None,
        code: Some("request_too_large"),
    }
}
