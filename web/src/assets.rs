//! What pages are dressed in: a style sheet, a script, a font and an icon, all built in.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use licensor::key::fingerprint;

/// Name, media type and content.
const ASSETS: [(&str, &str, &[u8]); 5] = [
    ("app.css", "text/css; charset=utf-8", include_bytes!("../assets/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../assets/app.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ("inter-latin.woff2", "font/woff2", include_bytes!("../assets/inter-latin.woff2")),
    ("inter-latin-ext.woff2", "font/woff2", include_bytes!("../assets/inter-latin-ext.woff2")),
];

/// Stands for the content of all of them: browsers keep them for ever under it.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<u8> = ASSETS.iter().flat_map(|(_, _, content)| content.iter().copied()).collect();
    fingerprint(&all).chars().filter(char::is_ascii_hexdigit).take(16).collect()
});

/// Where a page finds one.
#[must_use]
pub fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// Serves them.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{version}/{name}", get(serve))
}

async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name && version == *VERSION) {
        Some((_, kind, content)) => {
            let caching = "public, max-age=31536000, immutable";
            ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, caching)], *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
