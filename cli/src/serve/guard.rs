//! Who may ask: the key, the Host header (a page whose name was bound to this machine is not let in), and pages of other
//! origins.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{App, error::ApiError, routes::Route};

/// Lets a request through, or answers it.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let path = request.uri().path();
    if let Some(refused) = wrong_host(&app, headers) {
        return refused.respond(path);
    }
    let origin = headers.get(header::ORIGIN).cloned();
    let origin = origin.filter(|origin| may_ask(&app, origin));
    let mut response = if request.method() == Method::OPTIONS && origin.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else if let Some(refused) = wrong_key(&app, &request) {
        refused.respond(path)
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        allow(response.headers_mut(), origin);
    }
    response
}

fn may_ask(app: &App, origin: &HeaderValue) -> bool {
    let known = app.cors.iter();
    known
        .clone()
        .any(|one| one == "*" || one.as_bytes() == origin.as_bytes())
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
    set(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-type, x-api-key, anthropic-version",
    );
    set(header::VARY, "origin");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
}

fn wrong_host(app: &App, headers: &HeaderMap) -> Option<ApiError> {
    let hosts = app.hosts.as_ref()?;
    let host = headers.get(header::HOST)?.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let known = hosts.iter().any(|one| one.eq_ignore_ascii_case(name));
    (!known).then(|| {
        let message = format!("this server answers on this machine only, not as {host}");
        ApiError::new(StatusCode::FORBIDDEN, "wrong_host", message)
    })
}

fn wrong_key(app: &App, request: &Request) -> Option<ApiError> {
    let key = app.api_key.as_ref()?;
    // What is no endpoint is the page, or nothing.
    let matched = request.extensions().get::<MatchedPath>()?;
    if Route::of(matched.as_str()).is_some_and(|route| route.open) {
        return None;
    }
    let text = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    let bearer = text(header::AUTHORIZATION).and_then(|given| given.strip_prefix("Bearer "));
    // The second is Anthropic's.
    let given = bearer.or(text(HeaderName::from_static("x-api-key")));
    let given = given.unwrap_or_default();
    let message =
        "the API key is missing or wrong: send `Authorization: Bearer KEY` or `x-api-key: KEY`";
    (!equal(given.as_bytes(), key.as_bytes()))
        .then(|| ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message))
}

/// Compares in a time that does not tell how much of it is equal.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
