//! Reads Twilio's list of messages, to find a post whose response was lost, and contacts' messages whose webhook never
//! arrived (Twilio, "Messages resource, read multiple").
//!
//! Pages come newest first. `next_page_uri` names the next page, relative to the API's URL.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::RequestBuilder;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::api::{Api, SideEffect, maybe_done_fault};
use super::{CHANNEL_NAME, inbound, inbound_text, media, parse_provider_id};
use crate::channel::{InboundList, SentLookup};
use crate::clock::Time;
use crate::config::Sender;
use crate::fault::Fault;
use crate::model::{Inbound, SentMessage};

/// Much more than a hundred rows of long texts need.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;

/// Rows on a page. Twilio allows up to a thousand. But mynah reads the list every minute, and the first page then
/// mostly holds messages that are already known, of at most a day.
const PAGE_ROWS: &str = "100";

/// Rows may be slightly out of order, and Twilio's clock differs from ours. Twilio dates a message by its own clock,
/// and we date the post by ours. If our clock is ahead, the message seems older than its post. A message that is
/// skipped for that reason is sent twice, so the bound is wide. An extra match is harmless, because the store skips ids
/// that our parts hold.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Twilio's dates have a resolution of one second. A message whose webhook arrived is dated by its arrival here, which
/// is later than Twilio's date. A listed message of the same second was therefore more likely sent after it than before
/// it.
const WITHIN_A_SECOND: Duration = Duration::from_millis(999);

const MAX_SENT_PAGES: usize = 5;
const MAX_INBOUND_PAGES: usize = 200;

static DATE_PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// A page. `messages` is required: a page without it would count as evidence that nothing was sent.
#[derive(Deserialize)]
struct Page {
    messages: Vec<MessageRow>,
    #[serde(default, deserialize_with = "text")]
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct MessageRow {
    #[serde(deserialize_with = "text")]
    sid: Option<String>,
    #[serde(deserialize_with = "text")]
    status: Option<String>,
    #[serde(deserialize_with = "text")]
    direction: Option<String>,
    #[serde(deserialize_with = "text")]
    from: Option<String>,
    #[serde(deserialize_with = "text")]
    to: Option<String>,
    #[serde(deserialize_with = "text")]
    body: Option<String>,
    #[serde(deserialize_with = "text")]
    num_media: Option<String>,
    #[serde(deserialize_with = "text")]
    messaging_service_sid: Option<String>,
    #[serde(deserialize_with = "text")]
    date_created: Option<String>,
    #[serde(deserialize_with = "text")]
    date_sent: Option<String>,
}

impl MessageRow {
    fn created_at(&self) -> Option<Time> {
        self.date_created.as_deref().and_then(parse_date)
    }

    /// Returns when Twilio called our webhook, for a contact's message.
    fn arrived_at(&self) -> Option<Time> {
        self.date_sent.as_deref().and_then(parse_date).or_else(|| self.created_at())
    }

    /// Returns whether the message certainly has a file. `false` is not certain: Twilio may not have registered it yet.
    fn has_media(&self) -> bool {
        self.num_media.as_deref().is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > 0))
    }

    /// Returns whether the message went through this service or names no service.
    fn fits_service(&self, service: &str) -> bool {
        self.messaging_service_sid.as_deref().is_none_or(|sid| sid == service)
    }
}

/// How reading the pages ended.
#[derive(PartialEq, Eq)]
enum PagingEnd {
    /// Every requested row was read.
    Complete,
    /// There are more pages than mynah reads.
    PageLimitReached,
    /// The next page held only rows that were seen before, so the rows that follow cannot be reached.
    RepeatedPage,
}

/// Why a list that repeats a page is incomplete.
const REPEATED_PAGE_REASON: &str = "Twilio's list of messages repeats a page, so its end cannot be reached";

/// Returns the messages that match the lookup, oldest first.
///
/// If there is no match, the text may be sent again, so every possible match is included. A message that failed was
/// still created. A queued message has no sender yet if a service picks it. A message whose body is withheld may match.
pub(super) async fn find_sent(api: &Api, sender: &Sender, lookup: &SentLookup) -> Result<Vec<SentMessage>, Fault> {
    let mut query = vec![("To", lookup.to.as_str()), ("PageSize", PAGE_ROWS)];
    let service = match sender {
        Sender::Number(number) => {
            query.push(("From", if lookup.from.is_empty() { number } else { &lookup.from }));
            None
        }
        Sender::MessagingService(sid) => Some(sid.as_str()),
    };
    // Do not filter by DateSent: a message that is still queued has none.
    let request = api.client.get(&api.messages_url).query(&query);
    let earliest = truncate_to_second(lookup.not_before) - MAX_CLOCK_SKEW;
    let wanted = lookup.text.as_deref().map(str::trim);
    let mut found = Vec::new();
    let end = for_each_row(api, request, MAX_SENT_PAGES, |row| {
        let created = row.created_at();
        let could_be = row.direction.as_deref().is_some_and(|direction| direction.starts_with("outbound"))
            && (lookup.with_file || lookup.text.is_none() || !row.has_media())
            && row.body.as_deref().is_none_or(|body| wanted.is_none_or(|wanted| body.trim() == wanted))
            && created.is_none_or(|created| created >= earliest)
            && service.is_none_or(|service| row.fits_service(service));
        if could_be {
            let id = row.sid.as_deref().and_then(parse_provider_id);
            let has_failed =
                row.status.as_deref().is_some_and(|status| ["failed", "undelivered", "canceled"].contains(&status));
            found.extend(id.map(|id| SentMessage { id, text: row.body, created_at: created, has_failed }));
        }
        created.is_none_or(|created| created >= earliest)
    })
    .await?;
    match end {
        PagingEnd::Complete => {}
        PagingEnd::PageLimitReached => {
            return Err(Fault::retry("Twilio lists more messages to this contact than mynah reads"));
        }
        PagingEnd::RepeatedPage => return Err(Fault::retry(REPEATED_PAGE_REASON)),
    }
    found.reverse();
    found.sort_by_key(|message| message.created_at);
    Ok(found)
}

/// Returns the messages from contacts since then, oldest first. The list contains no contact names, buttons or
/// locations.
///
/// Not every message to a service's sender has a row that names the service. A row that names none counts if the
/// message was sent to one of `ours`: the account may have senders that belong to someone else, for whom we must not
/// answer.
///
/// The oldest messages may be missing: at most [`MAX_INBOUND_PAGES`] pages are read, and the log reports when the list
/// is longer.
pub(super) async fn list_inbound(
    api: &Api,
    sender: &Sender,
    since: Time,
    ours: &HashSet<String>,
) -> Result<InboundList, Fault> {
    let since = truncate_to_second(since);
    let day = Timestamp::from_millisecond(since.millis()).unwrap_or_default().strftime("%Y-%m-%d").to_string();
    // The `>` belongs to the name: sent on that day or later. A day is the finest unit that Twilio filters by.
    let mut query = vec![("DateSent>", day.as_str()), ("PageSize", PAGE_ROWS)];
    if let Sender::Number(number) = sender {
        query.push(("To", number));
    }
    let request = api.client.get(&api.messages_url).query(&query);
    let mut found = Vec::new();
    let end = for_each_row(api, request, MAX_INBOUND_PAGES, |row| {
        let arrived = row.arrived_at();
        let continue_paging = arrived.is_none_or(|arrived| arrived >= since - MAX_CLOCK_SKEW);
        let to = row.to.as_deref().unwrap_or_default();
        let is_ours = row.direction.as_deref() == Some("inbound")
            && match sender {
                Sender::Number(number) => to == number,
                // Without a To in the query, Twilio also lists other channels and senders of the account.
                Sender::MessagingService(service) => {
                    let through = row.messaging_service_sid.as_deref();
                    to.starts_with("whatsapp:") && through.map_or_else(|| ours.contains(to), |sid| sid == service)
                }
            };
        if let Some(arrived) = arrived.filter(|arrived| is_ours && *arrived >= since) {
            found.extend(inbound_from_row(api, row, arrived + WITHIN_A_SECOND));
        }
        continue_paging
    })
    .await?;
    if end == PagingEnd::PageLimitReached {
        tracing::warn!(
            pages = MAX_INBOUND_PAGES,
            "Twilio lists more messages than mynah reads at once; the oldest are left out"
        );
    }
    // The dates have a resolution of one second. Within a second, keep the list's order.
    found.reverse();
    found.sort_by_key(|inbound| inbound.received_at);
    Ok(InboundList {
        messages: found,
        incomplete_reason: (end == PagingEnd::RepeatedPage).then(|| REPEATED_PAGE_REASON.to_owned()),
    })
}

/// Makes one cheap call that every kind of key may make, unlike reading the account (Twilio, "API keys"). Returns the
/// time of Twilio's answer.
pub(super) async fn check(api: &Api) -> Result<Option<Time>, Fault> {
    let request = api.client.get(&api.messages_url).query(&[("PageSize", "1")]);
    let answer = api.call_for_answer(request, SideEffect::None, MAX_PAGE_BYTES).await?;
    parse_page(&answer.body).map(|_| answer.date)
}

fn inbound_from_row(api: &Api, row: MessageRow, arrived: Time) -> Option<Inbound> {
    let provider_id = row.sid.as_deref().and_then(parse_provider_id)?;
    let reply_to = row.from?;
    let from = inbound::parse_address(&reply_to)?;
    let media = row.num_media.unwrap_or_default();
    // A webhook that contains a NUL is rejected. A listed message cannot be rejected, so its NULs are removed.
    let body = row.body.map(|body| body.replace('\0', ""));
    let word = body.clone().unwrap_or_default();
    let count = media.parse().unwrap_or(0);
    let text = inbound_text::describe_listed(body, count);
    let mut metadata = Map::new();
    if !media.is_empty() {
        metadata.insert("NumMedia".to_owned(), Value::from(media));
    }
    Some(Inbound {
        channel: CHANNEL_NAME,
        from: from.into(),
        reply_to,
        to: row.to?,
        profile_name: None,
        text,
        attachments: media::attachments_of_listed(api, &provider_id, count),
        quoted_id: None,
        provider_id,
        keyword_text: word,
        metadata,
        received_at: arrived,
    })
}

/// Passes every row to `on_row` once. Stops after a page whose last new row is too old, for which `on_row` returns
/// `false`.
async fn for_each_row(
    api: &Api,
    first: RequestBuilder,
    max_pages: usize,
    mut on_row: impl FnMut(MessageRow) -> bool,
) -> Result<PagingEnd, Fault> {
    let mut seen = HashSet::new();
    let mut request = first;
    for _ in 0..max_pages {
        let Page { messages, next_page_uri } = fetch_page(api, request).await?;
        // Messages that arrive while we read push rows onto the next page, and a whole page may repeat.
        let (mut new, mut further, empty) = (false, false, messages.is_empty());
        for row in messages {
            let Some(sid) = row.sid.clone() else { continue };
            if seen.insert(sid) {
                (new, further) = (true, on_row(row));
            }
        }
        let next = match next_page_uri {
            Some(_) if !new && !empty => return Ok(PagingEnd::RepeatedPage),
            Some(uri) if further => uri,
            _ => return Ok(PagingEnd::Complete),
        };
        // Send our credentials nowhere else.
        if !next.starts_with('/') {
            return Err(Fault::retry("the next page that Twilio named is on another host"));
        }
        request = api.client.get(format!("{}{next}", api.base_url));
    }
    Ok(PagingEnd::PageLimitReached)
}

async fn fetch_page(api: &Api, request: RequestBuilder) -> Result<Page, Fault> {
    parse_page(&api.call(request, SideEffect::None, MAX_PAGE_BYTES).await?)
}

fn parse_page(body: &[u8]) -> Result<Page, Fault> {
    serde_json::from_slice(body).map_err(|_| {
        maybe_done_fault(
            SideEffect::None,
            "mynah cannot read Twilio's list of messages: check TWILIO_API_BASE_URL".to_owned(),
        )
    })
}

/// Parses a date. Twilio's dates are RFC 2822 with a resolution of one second. Its newer APIs use RFC 3339.
fn parse_date(text: &str) -> Option<Time> {
    let time = DATE_PARSER.parse_timestamp(text).or_else(|_| text.parse::<Timestamp>()).ok()?;
    Some(Time(time.as_millisecond()))
}

fn truncate_to_second(time: Time) -> Time {
    Time(time.millis().div_euclid(1000) * 1000)
}

/// Reads text, a number as text, or nothing: one unexpected field must not make a page of messages unreadable.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
#[path = "message_list_tests.rs"]
mod tests;
