//! Signs a request as Twilio does. This code is deliberately separate from the channel's own check: two independent
//! implementations that agree on the published test vectors prove more than one that agrees with itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Returns the `X-Twilio-Signature` of a form post in Base64: HMAC-SHA1, keyed with the auth token, over the URL as
/// configured (without its fragment) followed by each distinct parameter's name and value in byte order (Twilio,
/// "Webhooks security").
pub fn sign(auth_token: &str, url: &str, params: &[(String, String)]) -> String {
    let mut pairs: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    pairs.sort_unstable();
    // A repeated name is signed over the set of its values, as Twilio's Python and Node libraries do.
    pairs.dedup();
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("HMAC accepts a key of any length");
    mac.update(without_fragment(url).as_bytes());
    for (name, value) in pairs {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Returns the URL without its fragment, which is neither sent nor signed.
pub(super) fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn signature(url: &str, pairs: &[(&str, &str)]) -> String {
        let params: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        sign("12345", url, &params)
    }

    const CALL: [(&str, &str); 5] = [
        ("To", "+18005551212"),
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
    ];

    #[test]
    fn the_published_vectors_are_signed_alike() {
        assert_eq!(signature(URL, &CALL), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        assert_eq!(signature("https://mycompany.com:443/myapp.php?foo=1&bar=2", &CALL), "kvajT1Ptam85bY51eRf/AJRuM3w=");
        assert_eq!(signature("http://mycompany.com:80/myapp.php?foo=1&bar=2", &CALL), "0ZXoZLH/DfblKGATFgpif+LLRf4=");
        let mut longer = CALL.to_vec();
        longer.extend([("ReasonConferenceEnded", "test"), ("Reason", "Participant")]);
        assert_eq!(signature(URL, &longer), "vOEb5UThFn24KEfnOFLQY2AE5FY=");
    }

    #[test]
    fn a_repeated_parameter_is_signed_over_the_set_of_its_values() {
        let params =
            [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")];
        assert_eq!(signature(URL, &params), "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
    }

    #[test]
    fn a_json_body_is_signed_by_its_hash_in_the_query_alone() {
        let url = format!("{URL}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620");
        assert_eq!(signature(&url, &[]), "a9nBmqA0ju/hNViExpshrM61xv4=");
    }

    #[test]
    fn text_beyond_ascii_and_empty_values_are_signed_and_the_fragment_is_not() {
        let params = [
            ("AccountSid", "AC00000000000000000000000000000000"),
            ("Body", "¿Hola? 👋 a+b & c=d"),
            ("From", "whatsapp:+15005550006"),
            ("MediaContentType0", ""),
            ("MessageSid", "SM00000000000000000000000000000001"),
            ("NumMedia", "0"),
            ("ProfileName", "Ana"),
            ("To", "whatsapp:+14155238886"),
            ("WaId", "15005550006"),
        ];
        let url = "https://bot.example.com/webhooks/twilio";
        assert_eq!(signature(url, &params), "1liWRpXamTDfhUaXRXvNmPSJVW0=");
        assert_eq!(signature(&format!("{url}#ct=3000&rc=3"), &params), "1liWRpXamTDfhUaXRXvNmPSJVW0=");
    }
}
