//! The chat page at `/`, with the browser package that it computes with: the folder that `cargo web` and releases have. It
//! holds nothing of this server, and so wants no key.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    response::{Html, IntoResponse, Response},
};

use super::{App, error};
use crate::failure::{Failure, Result};

/// The file that a folder with the page has, and that lists all others.
const INDEX: &str = "index.html";

/// Endings of files and what browsers call them.
#[rustfmt::skip] // a table
const TYPES: [(&str, &str); 12] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
];

/// The folder with the page: the one that is asked for, or one where releases and `cargo web` put it.
pub fn folder(asked: Option<&Path>) -> Result<Option<PathBuf>> {
    if let Some(asked) = asked {
        if asked.join(INDEX).is_file() {
            return Ok(Some(asked.to_owned()));
        }
        let message = format!("there is no {} in {}", INDEX, asked.display());
        return Err(Failure::Message(message));
    }
    let binary = env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let Some(beside) = binary.as_deref().and_then(Path::parent) else {
        return Ok(None);
    };
    let places = ["page", "../share/lantern/page", "../web/page"].map(|place| beside.join(place));
    Ok(places.into_iter().find(|place| place.join(INDEX).is_file()))
}

/// Answers what is no endpoint: a file of the page, or that there is none.
pub async fn file(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let reads = method == Method::GET || method == Method::HEAD;
    let path = plain(uri.path()).filter(|_| reads);
    match (path, &app.page) {
        (Some(""), None) => Html(without_page(&app)).into_response(),
        (Some(path), Some(folder)) => {
            let path = folder.join(if path.is_empty() { INDEX } else { path });
            let sent = tokio::task::spawn_blocking(move || send(&path, &headers)).await;
            let sent = sent.ok().flatten();
            sent.unwrap_or_else(|| error::not_found(&method, &uri))
        }
        _ => error::not_found(&method, &uri),
    }
}

/// The path without the slash before it; none for one that could lead out of a folder. The page's names need no escapes.
fn plain(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let sound = |part: &str| {
        let named = part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        named && !part.starts_with('.') && !part.is_empty()
    };
    (path.is_empty() || path.split('/').all(sound)).then_some(path)
}

/// A file, or that the browser has it already; none where there is no such file.
fn send(path: &Path, headers: &HeaderMap) -> Option<Response> {
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let changed = about
        .modified()
        .ok()?
        .duration_since(std::time::UNIX_EPOCH)
        .ok()?;
    let tag = format!("\"{:x}-{:x}\"", about.len(), changed.as_millis());
    let tag = HeaderValue::from_str(&tag).ok()?;
    // Licences have no ending.
    let ending = path
        .extension()
        .map_or(Some("txt"), |ending| ending.to_str())?;
    let mut types = TYPES.iter();
    let kind = types.find(|(known, _)| *known == ending);
    let kind = kind.map_or("application/octet-stream", |(_, kind)| kind);
    let known = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::ETAG, tag),
    ];
    Some(if known {
        (axum::http::StatusCode::NOT_MODIFIED, head).into_response()
    } else {
        (head, fs::read(path).ok()?).into_response()
    })
}

/// Text at `/` where the page is missing.
fn without_page(app: &App) -> String {
    let names = app.models.names().unwrap_or_default();
    let escaped = |name: &String| {
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        format!("<li>{name}</li>")
    };
    let names: String = names.iter().map(escaped).collect();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lantern</title>\
         <h1>Lantern</h1><p>This server answers programs: give them <code>/v1</code> here as their base address. \
         <a href=\"/openapi.json\">/openapi.json</a> describes all endpoints. Models:<ul>{names}</ul>\
         <p>The chat page is not beside this program. In Lantern's source folder <code>cargo web</code> builds it; \
         <code>lantern serve --page FOLDER</code> serves it from where it is.</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn paths_stay_in_the_folder() {
        for (path, expected) in [
            ("/", Some("")),
            ("/app.js", Some("app.js")),
            ("/icons/icon-180.png", Some("icons/icon-180.png")),
            ("/../secret", None),
            ("/a/..", None),
            ("//etc/passwd", None),
            ("/%2e%2e/a", None),
            ("/a\\b", None),
            ("/C:/a", None),
            ("/.git/config", None),
        ] {
            assert_eq!(plain(path), expected, "{path}");
        }
    }
}
