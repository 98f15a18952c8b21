//! Lists messages, with filters and pages.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Params;
use super::errors::ApiError;
use crate::simulator::message_log::{Filter, MessageLog};

/// The messages on a page if the caller sets no page size.
const DEFAULT_PAGE_SIZE: usize = 50;
/// The maximum number of messages on a page.
const MAX_PAGE_SIZE: usize = 1_000;

/// Returns one page, newest first.
pub(super) fn list_page(ledger: &MessageLog, account: &str, params: &Params) -> Result<Value, ApiError> {
    let filter = parse_filter(params)?;
    let size = number_param(params, "PageSize")?.unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE);
    let page = number_param(params, "Page")?.unwrap_or(0);
    let after = params.get("PageToken").map(|token| token.strip_prefix("PA").unwrap_or(token));
    if page > 0 && after.is_none() {
        // Twilio no longer supports absolute paging: a page number alone does not identify a position in the list.
        return Err(ApiError::bad_request(20001, "Page requires the PageToken of the page before it."));
    }
    let (messages, more) = ledger.page(&filter, after, size);
    let start = page * size;
    let end = if messages.is_empty() { start } else { start + messages.len() - 1 };
    let next = messages.last().filter(|_| more).map(|last| page_uri(account, params, size, page + 1, Some(&last.sid)));
    Ok(json!({
        "end": end,
        "first_page_uri": page_uri(account, params, size, 0, None),
        "next_page_uri": next,
        "page": page,
        "page_size": size,
        // Paging only goes forward.
        "previous_page_uri": null,
        "start": start,
        "uri": page_uri(account, params, size, page, after),
        "messages": messages.iter().map(|message| message.json(account)).collect::<Vec<_>>(),
    }))
}

/// Returns the URI of a page, relative to the API's host, with the caller's filters.
fn page_uri(account: &str, params: &Params, size: usize, page: usize, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params.0.iter().filter(|(name, _)| !matches!(name.as_str(), "PageSize" | "Page" | "PageToken")));
    query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
    if let Some(sid) = after {
        query.append_pair("PageToken", &format!("PA{sid}"));
    }
    format!("/2010-04-01/Accounts/{account}/Messages.json?{}", query.finish())
}

fn number_param(params: &Params, name: &str) -> Result<Option<usize>, ApiError> {
    let text = params.get(name);
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|_| ApiError::bad_request(20001, format!("Invalid parameter: {name} is not a number")))
}

/// Parses the filters. `DateSent`, `DateSent<` and `DateSent>` are GMT days, both ends included (Twilio, "Read multiple
/// Message resources").
fn parse_filter(params: &Params) -> Result<Filter, ApiError> {
    let (on, until, since) =
        (day_param(params, "DateSent")?, day_param(params, "DateSent<")?, day_param(params, "DateSent>")?);
    Ok(Filter {
        to: params.get("To").map(str::to_owned),
        from: params.get("From").map(str::to_owned),
        not_before: on.max(since).map(|(start, _)| start),
        before: match (on, until) {
            (Some((_, on)), Some((_, until))) => Some(on.min(until)),
            (on, until) => on.or(until).map(|(_, end)| end),
        },
    })
}

/// Returns the first millisecond of a GMT day and of the next day. A time after the date is ignored, because the list
/// filters only by day.
fn day_param(params: &Params, name: &str) -> Result<Option<(i64, i64)>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let bounds = text.get(..10).and_then(|text| text.parse::<Date>().ok()).and_then(|date| {
        let start = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
        Some((start(date)?, start(date.tomorrow().ok()?)?))
    });
    let why = || ApiError::bad_request(20001, format!("Invalid parameter: {name} is not a date as YYYY-MM-DD"));
    bounds.map(Some).ok_or_else(why)
}
