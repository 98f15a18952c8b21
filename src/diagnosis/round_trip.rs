//! The round trip: a signed request to the public address comes back to this mynah unchanged, through whatever proxy is
//! in between.

use std::sync::Arc;

use url::Url;

use super::finding::{Finding, Outcome};
use super::probe::{
    CLAIMED_CLIENT, Change, OtherAnswer, ProbeReport, ProbeRequest, ProbeSender, Reply, Unsent, changes,
};
use super::server;
use crate::app::App;

pub(super) const NAME: &str = "round trip";
const PROXY: &str = "proxy";

/// Runs [`check`], unless nothing may be called.
pub(super) async fn check_unless(app: &Arc<App>, offline: bool) -> Vec<Finding> {
    if offline {
        return vec![Finding::skipped(NAME, "the public address is not called (--offline)")];
    }
    check(app).await
}

/// Sends signed requests to the public address, and compares what arrives here with what was sent. Nothing is stored.
pub(super) async fn check(app: &Arc<App>) -> Vec<Finding> {
    let Some(url) = &app.config.server.public_url else {
        return vec![Finding::skipped(NAME, "MYNAH_PUBLIC_URL is not set, so there is no address to call")];
    };
    let Some(channel) = app.channels().next() else {
        return vec![Finding::skipped(NAME, "no account is set, so nothing can sign a request")];
    };
    let sender = ProbeSender::new(app, channel, url);
    // Kept until the end: it answers the probes that come through the proxy.
    let (server, _stand_in) = server::find(app, &sender).await;
    let way = Way { app, url, sender, server_answers: server.outcome != Outcome::Failed };
    let mut findings = vec![server];
    findings.extend(way.check_name().await);
    let (message, status) = tokio::join!(way.try_plain(&ProbeRequest::MESSAGE), way.try_plain(&ProbeRequest::STATUS));
    match (message, status) {
        (Ok(arrived), Ok(_)) => {
            findings.push(Finding::ok(NAME, arrived.describe(url)));
            findings.extend(way.check_unusual().await);
            findings.extend(way.check_claimed_client(&arrived));
        }
        (Err(failure), _) | (Ok(_), Err(failure)) => findings.push(failure),
    }
    findings
}

/// The way from the public address to this mynah.
struct Way<'a> {
    app: &'a App,
    url: &'a Url,
    sender: ProbeSender<'a>,
    /// Whether something answers probes behind the proxy.
    server_answers: bool,
}

/// A probe that arrived unchanged.
struct Arrived {
    report: ProbeReport,
    /// The header `Server` of the answer, which names the proxy.
    proxy: Option<String>,
}

impl Arrived {
    fn describe(&self, url: &Url) -> String {
        let by = self.proxy.as_deref().map_or_else(String::new, |proxy| format!(" through {proxy}"));
        let where_to = if self.report.stand_in { "this command" } else { "mynah serve" };
        let version = &self.report.version;
        format!(
            "a signed request to {} arrived unchanged{by} at {where_to} ({version})",
            address(url, "/webhooks/twilio")
        )
    }
}

impl Way<'_> {
    /// Checks that the host name resolves, and to public addresses if the others are not.
    async fn check_name(&self) -> Option<Finding> {
        let (host, port) = (self.url.host_str()?, self.url.port_or_known_default()?);
        // A literal address needs no look-up.
        self.url.domain()?;
        match tokio::net::lookup_host((host, port)).await {
            Ok(_) => None,
            Err(error) => Some(Finding::failed(
                "DNS",
                format!("the host name {host} does not resolve: {error}"),
                format!("create a DNS record (A or AAAA) for {host}, or correct MYNAH_PUBLIC_URL"),
            )),
        }
    }

    /// Sends a probe exactly as the provider calls us. It must arrive unchanged, with its signature intact.
    async fn try_plain(&self, probe: &ProbeRequest) -> Result<Arrived, Finding> {
        match self.sender.send(probe).await {
            Ok(Reply::Report(report, proxy)) => self.judge_report(probe, *report, proxy),
            Ok(other) => Err(self.judge_reply(probe, &other)),
            Err(unsent) => Err(self.judge_unsent(&unsent)),
        }
    }

    fn judge_report(
        &self,
        probe: &ProbeRequest,
        report: ProbeReport,
        proxy: Option<String>,
    ) -> Result<Arrived, Finding> {
        let changes = changes(probe, &report);
        let address = address(self.url, probe.target);
        match (changes.first(), &report.signature_error) {
            (None, None) => Ok(Arrived { report, proxy }),
            (Some(first), _) => Err(Finding::failed(
                NAME,
                format!("{} changes a signed request to {address}: {}", proxy_name(proxy.as_deref()), list(&changes)),
                remedy_for_change(first, proxy.as_deref(), self.url, &self.upstream()),
            )),
            (None, Some(why)) => Err(Finding::failed(
                NAME,
                format!("a signed request to {address} arrived unchanged, and mynah serve refuses it: {why}"),
                "restart `mynah serve`: it runs with another MYNAH_PUBLIC_URL or another auth token than this check",
            )),
        }
    }

    /// Judges an answer that is not this mynah's.
    fn judge_reply(&self, probe: &ProbeRequest, reply: &Reply) -> Finding {
        let address = address(self.url, probe.target);
        let upstream = self.upstream();
        match reply {
            Reply::Report(..) => unreachable!("a report is judged by itself"),
            Reply::OtherInstallation(id) => {
                let ours = self.app.probe_key.as_ref().map_or("none", |key| key.installation());
                Finding::failed(
                    NAME,
                    format!("another mynah (installation {id}) answers at {address}; this one is {ours}"),
                    format!(
                        "let the proxy lead to {upstream}, or run this check with the data folder of the other one"
                    ),
                )
            }
            Reply::Redirect(status, location) => Finding::failed(
                NAME,
                format!(
                    "{address} redirects ({status}) to {location}; Twilio follows a redirect with GET, and the message is lost"
                ),
                remedy_for_redirect(self.url, probe, location),
            ),
            Reply::Other(answer) => self.judge_other(&address, answer),
        }
    }

    fn judge_other(&self, address: &str, answer: &OtherAnswer) -> Finding {
        let upstream = self.upstream();
        let proxy = proxy_name(answer.server.as_deref());
        let behind = if self.server_answers { "where mynah answers" } else { "and start `mynah serve`" };
        let status = answer.status;
        let said = if answer.excerpt.is_empty() { String::new() } else { format!(": {}", answer.excerpt) };
        match status {
            502..=504 => Finding::failed(
                NAME,
                format!("{proxy} answers {status} at {address}: it does not reach mynah"),
                format!("let the proxy pass requests on to {upstream}, {behind}"),
            ),
            404 | 405 => Finding::failed(
                NAME,
                format!("{proxy} answers {status} at {address}: it does not pass this address on"),
                format!(
                    "let the proxy pass {}/webhooks/ on to {upstream}, {behind}",
                    self.url.path().trim_end_matches('/')
                ),
            ),
            403 if answer.excerpt.contains("signature is missing or wrong") => Finding::failed(
                NAME,
                format!("a mynah answers at {address} that does not know this installation"),
                format!(
                    "it is another one, or was started with other data: let the proxy lead to {upstream}, {behind}"
                ),
            ),
            401 | 403 | 407 => Finding::failed(
                NAME,
                format!("{proxy} refuses the request to {address} ({status}){said}"),
                "let the proxy pass /webhooks/ on without a log-in, a bot check or a list of addresses: Twilio has none",
            ),
            _ if answer.is_html => Finding::failed(
                NAME,
                format!("a web page ({status}) answers at {address}, not mynah{said}"),
                format!("let the proxy pass /webhooks/ on to {upstream}, {behind}"),
            ),
            _ => Finding::failed(
                NAME,
                format!("{proxy} answers {status} at {address}, not mynah{said}"),
                format!("let the proxy pass /webhooks/ on to {upstream}, {behind}"),
            ),
        }
    }

    fn judge_unsent(&self, unsent: &Unsent) -> Finding {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let from_here = "if only this machine cannot reach its own public address, test it from another network";
        match unsent {
            Unsent::Refused => Finding::failed(
                NAME,
                format!("nothing accepts connections at {host}, port {port}"),
                format!("start the proxy there, and open the port in the firewall; {from_here}"),
            ),
            Unsent::Certificate(why) => Finding::failed(
                NAME,
                format!("Twilio does not accept the certificate of {host}: {why}"),
                format!(
                    "install a certificate of a public authority for {host}, such as Let's Encrypt, and renew it in time"
                ),
            ),
            Unsent::Failed(why) => Finding::failed(
                NAME,
                format!("{host}, port {port}, does not answer: {why}"),
                format!("check the DNS record, the proxy and the firewall; {from_here}"),
            ),
        }
    }

    /// Sends what Twilio does not send today, but proxies are known to change. It harms nothing yet, so it is a warning.
    async fn check_unusual(&self) -> Option<Finding> {
        let probes = [ProbeRequest::QUERY, ProbeRequest::PATH, ProbeRequest::QUESTION_MARK];
        let [query, path, question_mark] = &probes;
        let replies = tokio::join!(self.sender.send(query), self.sender.send(path), self.sender.send(question_mark));
        let mut found: Vec<(Change, Option<String>)> = Vec::new();
        for (probe, reply) in probes.iter().zip([replies.0, replies.1, replies.2]) {
            // A proxy may pass on exactly the two addresses that Twilio calls, and no others.
            if let Ok(Reply::Report(report, proxy)) = reply {
                found.extend(changes(probe, &report).into_iter().map(|change| (change, proxy.clone())));
            }
        }
        let (first, proxy) = found.first()?;
        let changes: Vec<_> = found.iter().map(|(change, _)| change.clone()).collect();
        let by = proxy_name(proxy.as_deref());
        Some(Finding::warning(
            PROXY,
            format!(
                "{by} changes addresses with unusual characters ({}); Twilio's signature over such an address would not \
                 hold, though the addresses in use today have none",
                list(&changes)
            ),
            remedy_for_change(first, proxy.as_deref(), self.url, &self.upstream()),
        ))
    }

    /// A caller may write any address into `X-Forwarded-For`. A proxy must replace it, or append the real one.
    fn check_claimed_client(&self, arrived: &Arrived) -> Option<Finding> {
        let direct = self.url.port_or_known_default() == Some(self.app.config.server.listen.port());
        let last = arrived.report.forwarded_for.last().and_then(|line| line.rsplit(',').next());
        if direct || last.map(str::trim) != Some(CLAIMED_CLIENT) {
            return None;
        }
        let proxy = proxy_name(arrived.proxy.as_deref());
        Some(Finding::warning(
            PROXY,
            format!("{proxy} passes on the X-Forwarded-For that a caller writes, so anybody can go round the limits"),
            "let the proxy write the header itself; in nginx: proxy_set_header X-Forwarded-For $remote_addr;",
        ))
    }

    /// Returns where the proxy should lead.
    fn upstream(&self) -> String {
        format!("http://{}", self.app.config.server.listen)
    }
}

fn address(url: &Url, target: &str) -> String {
    format!("{}{target}", url.as_str().trim_end_matches('/'))
}

fn list(changes: &[Change]) -> String {
    changes.iter().map(Change::to_string).collect::<Vec<_>>().join("; ")
}

fn proxy_name(server: Option<&str>) -> String {
    server.map_or_else(|| "the proxy".to_owned(), |server| format!("the proxy ({server})"))
}

/// Returns how to keep a proxy from changing that.
fn remedy_for_change(change: &Change, server: Option<&str>, url: &Url, upstream: &str) -> String {
    let server = server.unwrap_or_default().to_ascii_lowercase();
    let prefix = url.path().trim_end_matches('/');
    match change {
        Change::Method(_) => "let the proxy pass POST requests on as POST, without a redirect inside it".to_owned(),
        Change::ContentType(_) => "let the proxy pass the header Content-Type on".to_owned(),
        Change::Body(..) => {
            "let the proxy pass the body on: switch off filters and rewriting for /webhooks/".to_owned()
        }
        Change::Path(_, arrived) if !prefix.is_empty() && arrived.starts_with(prefix) => {
            format!("let the proxy remove {prefix} before it passes a request on: mynah serves /webhooks/twilio itself")
        }
        Change::Path(..) | Change::Query(..) if server.contains("lighttpd") => {
            "in lighttpd, set: server.http-parseopts = (\"url-normalize\" => \"disable\")".to_owned()
        }
        Change::Path(..) | Change::Query(..) if server.contains("nginx") => {
            format!("in nginx, write `proxy_pass {upstream};` without a path or slash at its end, and no `rewrite`")
        }
        Change::Path(..) | Change::Query(..) if server.contains("apache") => {
            format!("in Apache, write `ProxyPass / {upstream}/ nocanon` and `AllowEncodedSlashes NoDecode`")
        }
        Change::Path(..) | Change::Query(..) => format!(
            "let the proxy pass path and query on to {upstream} exactly as they come: no rewriting, no normalizing"
        ),
    }
}

fn remedy_for_redirect(url: &Url, probe: &ProbeRequest, location: &str) -> String {
    let target = url.join(location).ok();
    let base = target.as_ref().and_then(|target| target.as_str().strip_suffix(probe.target));
    match base {
        Some(base) => format!("set MYNAH_PUBLIC_URL to {base}, and the same address at Twilio"),
        None => "let the proxy pass /webhooks/ on without a redirect".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_to_the_same_path_elsewhere_is_followed_by_the_settings() {
        let url = Url::parse("http://bot.example.org").unwrap();
        let remedy = |location: &str| remedy_for_redirect(&url, &ProbeRequest::MESSAGE, location);
        let set = "set MYNAH_PUBLIC_URL to https://www.example.org, and the same address at Twilio";
        assert_eq!(remedy("https://www.example.org/webhooks/twilio"), set);
        assert_eq!(remedy("/login"), "let the proxy pass /webhooks/ on without a redirect");
    }

    #[test]
    fn each_proxy_has_its_own_remedy() {
        let url = Url::parse("https://bot.example.org/bot").unwrap();
        let query = Change::Query("a=%7E".into(), "a=~".into());
        for (server, word) in [
            (Some("lighttpd/1.4.69"), "url-normalize"),
            (Some("nginx/1.22.1"), "proxy_pass http://127.0.0.1:8080;"),
            (Some("Apache/2.4.66 (Debian)"), "nocanon"),
            (None, "exactly as they come"),
        ] {
            let remedy = remedy_for_change(&query, server, &url, "http://127.0.0.1:8080");
            assert!(remedy.contains(word), "{server:?} {remedy}");
        }
        let kept = Change::Path("/webhooks/twilio".into(), "/bot/webhooks/twilio".into());
        assert!(remedy_for_change(&kept, None, &url, "x").contains("remove /bot"));
    }
}
