//! Twilio's own list of messages: to find a post whose answer was lost, and contacts' messages whose webhook never
//! came (Twilio, "Messages resource, read multiple").
//!
//! Pages come newest first, and the next one is named by `next_page_uri`, relative to the API's address.

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
use crate::model::{Inbound, ProviderId};

/// A hundred rows of long texts, and much more.
const MAX_PAGE_BYTES: usize = 32 * 1024 * 1024;

/// Rows on a page. Twilio gives up to a thousand; but the list is asked for every minute, and its first page then holds
/// what was known long ago, of a day at the most.
const PAGE_ROWS: &str = "100";

/// Rows may stand a little out of order, and Twilio's clock is not ours. Twilio dates a message by its own clock and we
/// date the post by ours: where ours is ahead, the message seems older than its post. A message that is passed over for
/// that is sent twice, so the bound is wide; one too many does no harm, since the store skips ids that our parts hold.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Twilio dates to the second. A message whose webhook came is dated by its arrival here, which is later than Twilio's date:
/// one of the same second that is listed was more likely said after it than before.
const WITHIN_A_SECOND: Duration = Duration::from_millis(999);

const MAX_SENT_PAGES: usize = 5;
const MAX_INBOUND_PAGES: usize = 200;

static DATE_PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// A page. `messages` must be there: a page without it would read as proof that nothing was sent.
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

    /// When Twilio called our webhook, for a contact's message.
    fn arrived_at(&self) -> Option<Time> {
        self.date_sent.as_deref().and_then(parse_date).or_else(|| self.created_at())
    }

    /// Whether it certainly has a file: of one that has, Twilio may not know yet.
    fn has_media(&self) -> bool {
        self.num_media.as_deref().is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count > 0))
    }

    /// Whether it went through this service, or does not say.
    fn fits_service(&self, service: &str) -> bool {
        self.messaging_service_sid.as_deref().is_none_or(|sid| sid == service)
    }
}

/// How a walk through the pages ended.
#[derive(PartialEq, Eq)]
enum PagingEnd {
    /// All that was asked for was seen.
    Complete,
    /// There is more beyond the last page that we are willing to read.
    PageLimitReached,
    /// A page named one as the next that held nothing new: what follows cannot be reached this way.
    RepeatedPage,
}

/// Why a list that repeats a page is not the whole of it.
const REPEATED_PAGE_REASON: &str = "Twilio's list of messages repeats a page, so that its end cannot be reached";

/// Messages that could be the one looked for, oldest first.
///
/// Not finding one lets the text be sent again, so nothing that could be it is left out: a message that failed was
/// still created, one that waits has no sender yet where a service picks it, and one whose body is withheld may be it.
pub(super) async fn find_sent(api: &Api, sender: &Sender, lookup: &SentLookup) -> Result<Vec<ProviderId>, Fault> {
    let mut query = vec![("To", lookup.to.as_str()), ("PageSize", PAGE_ROWS)];
    let service = match sender {
        Sender::Number(number) => {
            query.push(("From", if lookup.from.is_empty() { number } else { &lookup.from }));
            None
        }
        Sender::MessagingService(sid) => Some(sid.as_str()),
    };
    // No DateSent: a message that still waits has none.
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
            found.extend(row.sid.as_deref().and_then(parse_provider_id).map(|id| (created, id)));
        }
        created.is_none_or(|created| created >= earliest)
    })
    .await?;
    match end {
        PagingEnd::Complete => {}
        PagingEnd::PageLimitReached => {
            return Err(Fault::retry("Twilio lists too many messages to this contact to look through"));
        }
        PagingEnd::RepeatedPage => return Err(Fault::retry(REPEATED_PAGE_REASON)),
    }
    found.reverse();
    found.sort_by_key(|(created, _)| *created);
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// Messages from contacts since then, oldest first. Twilio lists neither the contact's name nor buttons nor places.
///
/// Of what came to a service's sender not every row names the service. One that names none is taken where it was written to
/// one of `ours`: the account may have senders of somebody else's, whom we must not answer for.
///
/// Of the very oldest there may be some missing: more than [`INBOUND_PAGES`] pages are not read, which the log tells.
pub(super) async fn list_inbound(
    api: &Api,
    sender: &Sender,
    since: Time,
    ours: &HashSet<String>,
) -> Result<InboundList, Fault> {
    let since = truncate_to_second(since);
    let day = Timestamp::from_millisecond(since.millis()).unwrap_or_default().strftime("%Y-%m-%d").to_string();
    // The name ends in `>`: sent on that day, which is the finest that Twilio filters by, or later.
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
                // Without a To in the query other channels and senders of the account are listed too.
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
            "Twilio lists more messages than are read at once; the oldest are left out"
        );
    }
    // Dated to the second: of those of one second the list knows the order.
    found.reverse();
    found.sort_by_key(|inbound| inbound.received_at);
    Ok(InboundList {
        messages: found,
        incomplete_reason: (end == PagingEnd::RepeatedPage).then(|| REPEATED_PAGE_REASON.to_owned()),
    })
}

/// One cheap call that every kind of key may make, unlike reading the account (Twilio, "API keys").
pub(super) async fn check(api: &Api) -> Result<(), Fault> {
    let request = api.client.get(&api.messages_url).query(&[("PageSize", "1")]);
    fetch_page(api, request).await.map(drop)
}

fn inbound_from_row(api: &Api, row: MessageRow, arrived: Time) -> Option<Inbound> {
    let provider_id = row.sid.as_deref().and_then(parse_provider_id)?;
    let reply_to = row.from?;
    let from = inbound::parse_address(&reply_to)?;
    let media = row.num_media.unwrap_or_default();
    // A webhook with a NUL is refused; what is listed is beyond refusing.
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

/// Hands every row over once, until one at the end of a page says that what follows is too old.
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
        // Messages that arrive while we turn pages push rows on to the next one, and a page may repeat as a whole.
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
        // Our credentials go nowhere else.
        if !next.starts_with('/') {
            return Err(Fault::retry("Twilio named a next page that is not on its own address"));
        }
        request = api.client.get(format!("{}{next}", api.base_url));
    }
    Ok(PagingEnd::PageLimitReached)
}

async fn fetch_page(api: &Api, request: RequestBuilder) -> Result<Page, Fault> {
    let body = api.call(request, SideEffect::None, MAX_PAGE_BYTES).await?;
    serde_json::from_slice(&body).map_err(|_| {
        maybe_done_fault(
            SideEffect::None,
            "Twilio's list of messages cannot be read: check TWILIO_API_BASE_URL".to_owned(),
        )
    })
}

/// Twilio dates are RFC 2822, to the second; RFC 3339 is read too, as its newer APIs write it.
fn parse_date(text: &str) -> Option<Time> {
    let time = DATE_PARSER.parse_timestamp(text).or_else(|_| text.parse::<Timestamp>()).ok()?;
    Some(Time(time.as_millisecond()))
}

fn truncate_to_second(time: Time) -> Time {
    Time(time.millis().div_euclid(1000) * 1000)
}

/// Text, a number written as text, or nothing: one odd field must not hide a page of messages.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
