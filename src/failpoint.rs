//! Places where the binary tests end the process on purpose (cargo feature `failpoints`; without it these functions do
//! nothing).
//!
//! `MYNAH_FAILPOINT=after-claim` aborts the process the first time it reaches that place,
//! `MYNAH_FAILPOINT=after-claim@3` the third time.

/// Ends the process here if the environment asks for it.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var("MYNAH_FAILPOINT").ok()?;
        let (name, pass) = text.split_once('@').unwrap_or((&text, "1"));
        Some((name.to_owned(), pass.parse().ok()?))
    });
    if let Some((wanted, pass)) = armed
        && wanted == name
        && PASSES.fetch_add(1, Ordering::SeqCst) + 1 == *pass
    {
        eprintln!("failpoint {name}: the process ends here");
        std::process::abort();
    }
}

/// Ends the process a tenth of a second from now if the environment asks for it. The delay lets a request be written to
/// a provider that is slow to answer.
#[cfg(feature = "failpoints")]
pub fn hit_soon(name: &'static str) {
    if std::env::var("MYNAH_FAILPOINT").is_ok_and(|armed| armed.split('@').next() == Some(name)) {
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            hit(name);
        });
    }
}

/// Does nothing: the feature is off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit_soon(_name: &'static str) {}

/// Does nothing: the feature is off.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) {}
