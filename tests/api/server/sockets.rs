//! The accept loop, over real sockets and a clock of tokio's that the tests pause.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use mynah::config::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::setup::test_app::{SECURITY_HEADERS, TestApp};

type RunningServer = (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>);

async fn start_server() -> RunningServer {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        "slow"
    };
    let routes = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/", post(|body: String| async { body }));
    serve_routes(routes).await
}

async fn serve_routes(routes: Router) -> RunningServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let public_url = Some("https://bot.example.org".parse().unwrap());
    let config = ServerConfig { listen: address, public_url, trusted_proxies: Vec::new() };
    let headers = mynah::web::SecurityHeaders::from_config(&config);
    (address, stop.clone(), tokio::spawn(mynah::web::serve(listener, routes, headers, stop)))
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let read = stream.read(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..read].to_vec()).unwrap()
}

#[tokio::test]
async fn half_a_header_is_ended_with_408() {
    let (address, _stop, _server) = start_server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    tokio::time::pause();
    assert!(read(&mut stream).await.starts_with("HTTP/1.1 408 "));
    assert_eq!(read(&mut stream).await, "", "closed");
}

/// What the server says to these bytes until it closes the connection.
async fn send_until_closed(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    all
}

/// The security headers of each answer in `said`, with their values.
fn security_headers(said: &str) -> Vec<Vec<&str>> {
    let named = |line: &&str| line.split_once(": ").is_some_and(|(name, _)| SECURITY_HEADERS.contains(&name));
    said.split("HTTP/1.1 ").skip(1).map(|answer| answer.lines().filter(named).collect()).collect()
}

#[tokio::test]
async fn answers_that_no_route_makes_bear_the_same_security_headers() {
    let test_app = TestApp::new().await;
    let (address, _stop, _server) = serve_routes(test_app.routes()).await;
    let ordinary = send_until_closed(address, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let expected = security_headers(&ordinary).pop().unwrap();
    assert_eq!(expected.len(), SECURITY_HEADERS.len(), "{ordinary}");

    let fields: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (request, status) in [
        ("no request at all\r\n\r\n".to_owned(), "400 Bad Request"),
        ("GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n".to_owned(), "400 Bad Request"),
        (format!("GET / HTTP/1.1\r\n{fields}\r\n"), "431 Request Header Fields Too Large"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(66_000)), "414 URI Too Long"),
    ] {
        let answer = send_until_closed(address, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(security_headers(&answer), std::slice::from_ref(&expected), "{answer}");
    }
    let second = send_until_closed(address, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nno request at all\r\n\r\n").await;
    assert_eq!(security_headers(&second), [expected.as_slice(), &expected], "{second}");

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    tokio::time::pause();
    let late = read(&mut stream).await;
    assert!(late.starts_with("HTTP/1.1 408 Request Timeout\r\n") && late.ends_with("\r\n\r\n"), "{late}");
    assert_eq!(security_headers(&late), [expected], "{late}");
}

#[tokio::test]
async fn a_header_that_trickles_in_is_ended_too() {
    let (address, _stop, _server) = start_server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    tokio::time::pause();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    for n in 0..6 {
        tokio::time::advance(Duration::from_secs(2)).await;
        if stream.write_all(format!("x-{n}: 1\r\n").as_bytes()).await.is_err() {
            break;
        }
    }
    assert!(read(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_body_that_stops_halfway_is_ended_with_408_after_30_seconds_and_nothing_is_stored() {
    let test_app = TestApp::new().await;
    let (address, _stop, _server) = serve_routes(test_app.routes()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // From here on the clock leaps from timer to timer, whenever nothing else is left to do.
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let head = "POST /webhooks/twilio HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"MessageSid").await.unwrap();
    let answer = read(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("did not arrive in time"), "{answer}");
    assert_eq!(security_headers(&answer)[0].len(), SECURITY_HEADERS.len(), "{answer}");
    assert_eq!(before.elapsed().as_secs(), 30);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM webhook_log"), 0);
}

#[tokio::test]
async fn an_idle_connection_outlives_a_proxys_patience_and_the_next_header_has_its_own_time() {
    let (address, _stop, _server) = start_server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read(&mut stream).await.ends_with("hello"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(75)).await;
    tokio::time::resume();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(read(&mut stream).await.ends_with("hello"));
    stream.write_all(b"GET / HT").await.unwrap();
    tokio::time::pause();
    assert!(read(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_stop_lets_requests_in_progress_end() {
    let (address, stop, server) = start_server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    let mut whole = String::new();
    stream.read_to_string(&mut whole).await.unwrap();
    assert!(whole.ends_with("slow"), "{whole}");
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
}
