//! The cache: it gives back what it was given.

use std::sync::Arc;
use std::time::Duration;

use super::finding::Finding;
use crate::app::App;

const NAME: &str = "cache";

/// Puts a value into the cache and reads it back.
pub(super) async fn check(app: &App) -> Finding {
    let key = format!("check {}", std::process::id());
    let value: Arc<[u8]> = Arc::from(*b"a value");
    app.cache.put(&key, Arc::clone(&value), Duration::from_secs(60)).await;
    let read = app.cache.get(&key).await;
    app.cache.remove(&key).await;
    let kind = app.cache.name();
    if read.as_deref() == Some(&*value) {
        Finding::ok(NAME, format!("the {kind} cache works"))
    } else {
        let remedy = "mynah works without it, but slower: look at the cache's server and its address";
        Finding::warning(NAME, format!("the {kind} cache does not return what it was given"), remedy)
    }
}
