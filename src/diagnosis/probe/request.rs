//! The probes that are sent. They hold everything that proxies are known to change, in address and body.

use url::form_urlencoded;

/// The form that every probe posts: UTF-8, a plus sign, lower-case hexadecimal digits, characters that need no encoding
/// with and without it, an empty value. It names no message, so that another program that takes Twilio's webhooks at
/// this address takes it for nothing.
const FORM: &str = "MynahProbe=1&Text=%c2%bfHola%3f+a%2Bb+~+%7E+%41+{x}+%26+%F0%9F%91%8B&Empty=";

/// A request to send.
#[derive(Clone, Debug)]
pub(in crate::diagnosis) struct ProbeRequest {
    /// Path and query behind the public address.
    pub(in crate::diagnosis) target: &'static str,
    /// The body, exactly as it is sent.
    pub(in crate::diagnosis) body: &'static str,
    /// Whether the body is sent in chunks, without its length.
    pub(in crate::diagnosis) chunked: bool,
}

impl ProbeRequest {
    /// The address of messages, exactly as the provider calls it.
    pub(in crate::diagnosis) const MESSAGE: ProbeRequest =
        ProbeRequest { target: "/webhooks/twilio", body: FORM, chunked: false };

    /// The address of status callbacks.
    pub(in crate::diagnosis) const STATUS: ProbeRequest = ProbeRequest {
        target: "/webhooks/twilio/status?p=1.1&m=00112233445566778899aabbccddeeff",
        body: FORM,
        chunked: false,
    };

    /// A query with what proxies are known to rewrite, and a body in chunks.
    pub(in crate::diagnosis) const QUERY: ProbeRequest = ProbeRequest {
        target: "/webhooks/twilio?a=~&b=%7E&c=%41&d=%c3%a9&e={x}&f=p+q&g=%20&h=",
        body: FORM,
        chunked: true,
    };

    /// A path with what proxies are known to rewrite.
    pub(in crate::diagnosis) const PATH: ProbeRequest =
        ProbeRequest { target: "/webhooks/twilio/probe/~/%7E/%41/%c3%a9//end", body: FORM, chunked: false };

    /// A question mark without a query.
    pub(in crate::diagnosis) const QUESTION_MARK: ProbeRequest =
        ProbeRequest { target: "/webhooks/twilio?", body: FORM, chunked: false };

    /// Returns the fields of the form, decoded.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        decode(self.body.as_bytes())
    }
}

/// Decodes a form.
pub(super) fn decode(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}
