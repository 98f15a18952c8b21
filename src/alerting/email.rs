//! Alerts by e-mail.

use std::net::IpAddr;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use url::{Host, Url};

use super::{AlertMessage, DeliveryError, TIMEOUT};
use crate::config::EmailConfig;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The ports that the schemes stand for (RFC 8314; RFC 6409; RFC 5321).
const TLS_PORT: u16 = 465;
const SUBMISSION_PORT: u16 = 587;
const RELAY_PORT: u16 = 25;

pub(super) async fn send(
    config: &EmailConfig,
    host: Option<&str>,
    message: &AlertMessage,
    id: &str,
) -> Result<(), DeliveryError> {
    let email = compose(config, host, message, id)?;
    let sent = tokio::time::timeout(TIMEOUT, transport(config, host)?.send(email)).await;
    match sent {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            // lettre's errors hold the server's answer, and no password.
            let why = format!("the mail server of SMTP_URL did not take the message: {}", chain(&error));
            if error.is_permanent() {
                return Err(DeliveryError::permanent(format!("{why}; check SMTP_URL and the addresses")));
            }
            Err(DeliveryError::temporary(why))
        }
        Err(_) => {
            let why = format!("the mail server of SMTP_URL did not take the message within {} s", TIMEOUT.as_secs());
            Err(DeliveryError::temporary(why))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        source = cause.source();
    }
    texts.join(": ")
}

fn compose(
    config: &EmailConfig,
    host: Option<&str>,
    message: &AlertMessage,
    id: &str,
) -> Result<Message, DeliveryError> {
    let wrong =
        |error: &dyn std::fmt::Display| DeliveryError::permanent(format!("the e-mail cannot be written: {error}"));
    let from = config.from.parse().map_err(|error: lettre::address::AddressError| wrong(&error))?;
    let mut builder = Message::builder().from(from).subject(message.headline());
    for to in &config.to {
        builder = builder.to(to.parse().map_err(|error: lettre::address::AddressError| wrong(&error))?);
    }
    // The same message has the same id, so that a mailbox shows a repetition once. Robots do not answer it.
    builder = builder.message_id(Some(format!("<{id}@{}>", host.unwrap_or("mynah.invalid"))));
    let builder = builder.header(AutoSubmitted).header(ContentType::TEXT_PLAIN);
    builder.body(format!("{}\n", message.body())).map_err(|error| wrong(&error))
}

/// The header `Auto-Submitted: auto-generated` (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl lettre::message::header::Header for AutoSubmitted {
    fn name() -> lettre::message::header::HeaderName {
        lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> lettre::message::header::HeaderValue {
        lettre::message::header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn transport(config: &EmailConfig, host: Option<&str>) -> Result<Transport, DeliveryError> {
    let wrong = |why: &str| DeliveryError::permanent(format!("SMTP_URL {why}"));
    let url = Url::parse(config.server.expose_secret()).map_err(|_| wrong("is not a URL"))?;
    let server = url.host_str().ok_or_else(|| wrong("names no host"))?.trim_matches(['[', ']']).to_owned();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
    let credentials = match url.password() {
        Some(password) => {
            let pair = decoded(url.username()).and_then(|user| Ok((user, decoded(password)?)));
            let (user, password) = pair.map_err(|_| wrong("has a user name or password that is not UTF-8"))?;
            Some(Credentials::new(user, password))
        }
        None => None,
    };
    let asked = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value.into_owned());
    let parameters = || -> Result<TlsParameters, DeliveryError> {
        let mut builder = TlsParameters::builder(server.clone());
        if let Some(pem) = &config.certificate_authority {
            let certificate = Certificate::from_pem(pem.as_bytes());
            let error = |error| DeliveryError::permanent(format!("SMTP_CA is not a certificate: {error}"));
            builder = builder.add_root_certificate(certificate.map_err(error)?);
        }
        builder.build().map_err(|error| DeliveryError::permanent(format!("TLS cannot be set up: {error}")))
    };
    // A password never crosses a network in clear.
    let is_local = server == "localhost" || server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let (tls, port) = match (url.scheme(), asked.as_deref()) {
        ("smtps", _) => (Tls::Wrapper(parameters()?), TLS_PORT),
        (_, Some("none")) => (Tls::None, RELAY_PORT),
        (_, Some(_)) => (Tls::Required(parameters()?), SUBMISSION_PORT),
        (_, None) if is_local => (Tls::None, RELAY_PORT),
        (_, None) if credentials.is_some() => (Tls::Required(parameters()?), SUBMISSION_PORT),
        (_, None) => (Tls::Opportunistic(parameters()?), RELAY_PORT),
    };
    let mut builder = Transport::builder_dangerous(server)
        .port(url.port().unwrap_or(port))
        .tls(tls)
        .timeout(Some(TIMEOUT))
        .hello_name(hello_name(host));
    if let Some(credentials) = credentials {
        builder = builder.credentials(credentials);
    }
    Ok(builder.build())
}

/// Returns the name to greet the mail server with: the host of the public URL, else an address. The machine's own name
/// may hold an underscore, which some servers refuse (RFC 5321 allows none).
fn hello_name(host: Option<&str>) -> ClientId {
    match host.map(Host::parse) {
        Some(Ok(Host::Domain(name))) if !name.contains('_') && name.contains('.') => ClientId::Domain(name),
        Some(Ok(Host::Ipv4(address))) => ClientId::Ipv4(address),
        Some(Ok(Host::Ipv6(address))) => ClientId::Ipv6(address),
        _ => ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST),
    }
}
