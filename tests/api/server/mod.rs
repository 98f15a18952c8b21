//! The HTTP server: sockets and timeouts, health and security headers, proxies in front, settings that are stored.

mod health;
mod live_settings;
mod metrics;
mod proxies;
mod settings;
mod sockets;
