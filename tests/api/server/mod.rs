//! The HTTP server: sockets and timeouts, health and security headers, proxies in front.

mod health;
mod proxies;
mod sockets;
