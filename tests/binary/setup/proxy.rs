//! A reverse proxy in front of the program, which changes what a test tells it to.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};

use crate::setup::test_environment::serve;
use crate::setup::wait::TEST_TIMEOUT;

/// What a proxy does to each request on its way to the program.
#[derive(Clone)]
pub struct Proxy {
    upstream: String,
    /// What it writes into `Server`.
    name: &'static str,
    change_target: fn(&str) -> String,
    change_body: fn(Vec<u8>) -> Vec<u8>,
    keeps_forwarded_for: bool,
}

impl Proxy {
    /// A proxy that changes nothing but `X-Forwarded-For`, which it replaces.
    pub fn to_port(port: u16) -> Proxy {
        Proxy {
            upstream: format!("http://127.0.0.1:{port}"),
            name: "test-proxy",
            change_target: str::to_owned,
            change_body: |body| body,
            keeps_forwarded_for: false,
        }
    }

    pub fn named(self, name: &'static str) -> Proxy {
        Proxy { name, ..self }
    }

    /// Changes path and query.
    pub fn changing_target(self, change_target: fn(&str) -> String) -> Proxy {
        Proxy { change_target, ..self }
    }

    pub fn changing_body(self, change_body: fn(Vec<u8>) -> Vec<u8>) -> Proxy {
        Proxy { change_body, ..self }
    }

    /// Passes on the `X-Forwarded-For` of the caller.
    pub fn keeping_forwarded_for(self) -> Proxy {
        Proxy { keeps_forwarded_for: true, ..self }
    }

    /// Starts it; its address.
    pub async fn start(self) -> String {
        serve(Router::new().fallback(pass_on).with_state(self)).await
    }
}

async fn pass_on(State(proxy): State<Proxy>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = (proxy.change_body)(to_bytes(body, 1 << 20).await.expect("the whole body").to_vec());
    let target = (proxy.change_target)(head.uri.path_and_query().expect("a path").as_str());
    let client = mynah::http::client(TEST_TIMEOUT, TEST_TIMEOUT, mynah::http::AllowedTargets::Any);
    let mut onward = client.request(head.method, format!("{}{target}", proxy.upstream)).body(body);
    for (name, value) in &head.headers {
        let rewritten = ["host", "content-length", "transfer-encoding", "connection"].contains(&name.as_str());
        if !rewritten && (proxy.keeps_forwarded_for || name != "x-forwarded-for") {
            onward = onward.header(name, value);
        }
    }
    if !proxy.keeps_forwarded_for {
        onward = onward.header("x-forwarded-for", "198.51.100.7");
    }
    let server = (HeaderName::from_static("server"), proxy.name);
    match onward.send().await {
        Ok(answer) => {
            let status = answer.status();
            let kind = answer.headers().get("content-type").cloned();
            let body = answer.bytes().await.expect("the whole answer");
            let mut response = (status, [server], Body::from(body)).into_response();
            response.headers_mut().extend(kind.map(|kind| (HeaderName::from_static("content-type"), kind)));
            response
        }
        Err(_) => (axum::http::StatusCode::BAD_GATEWAY, [server], "Bad Gateway").into_response(),
    }
}

/// What lighttpd 1.4.69 does to path and query by default: it decodes what needs no encoding, encodes what does, writes
/// hexadecimal digits in capitals, and resolves `//`.
pub fn normalize_like_lighttpd(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = normalize(path).replace("//", "/");
    query.map_or(path.clone(), |query| format!("{path}?{}", normalize(query)))
}

fn normalize(text: &str) -> String {
    let mut normal = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let code = rest.strip_prefix('%').and_then(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
        let length = if code.is_some() { 3 } else { character.len_utf8() };
        match code {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => normal.push(byte.into()),
            Some(byte) => normal.push_str(&format!("%{byte:02X}")),
            None if "{}".contains(character) => normal.push_str(&format!("%{:02X}", u32::from(character))),
            None => normal.push(character),
        }
        rest = &rest[length..];
    }
    normal
}

#[test]
fn the_proxy_changes_what_lighttpd_was_seen_to_change() {
    let changed = normalize_like_lighttpd("/a//b/%77/%c3%a9?a=%7E&b=%41&c=%c3&d={x}&e=p+q&f=%20&g=~");
    assert_eq!(changed, "/a/b/w/%C3%A9?a=~&b=A&c=%C3&d=%7Bx%7D&e=p+q&f=%20&g=~");
}
