//! Test vectors from Twilio's own libraries (twilio-python, twilio-node, twilio-go) with the token `12345`.

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "12345";
const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const CALL_FORM: &str =
    "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
const FORM_TYPE: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const PATH_WITH_BODY_HASH: &str =
    "/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
const JSON_BODY: &str = r#"{"property": "value", "boolean": true}"#;

fn verifier(public_url: &str, tokens: &[&str]) -> Verifier {
    let tokens: Vec<_> = tokens.iter().map(|token| SecretString::from(*token)).collect();
    Verifier::new(Some(&Url::parse(public_url).unwrap()), &tokens)
}

fn delivery(path: &str, kind: &str, body: impl AsRef<[u8]>, signature: &str) -> WebhookRequest {
    WebhookRequest {
        path_and_query: path.to_owned(),
        headers: vec![
            ("content-type".to_owned(), kind.to_owned()),
            ("x-twilio-signature".to_owned(), signature.to_owned()),
        ],
        body: body.as_ref().to_vec().into(),
    }
}

fn call_delivery(body: impl AsRef<[u8]>, signature: &str) -> WebhookRequest {
    delivery("/myapp.php?foo=1&bar=2", FORM_TYPE, body, signature)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn twilios_own_vectors_are_accepted() {
    let https = verifier("https://mycompany.com", &[TOKEN]);
    let http = verifier("http://mycompany.com", &[TOKEN]);
    let ok = Ok(());
    assert_eq!(https.verify(&call_delivery(CALL_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")), ok, "plain");
    assert_eq!(https.verify(&call_delivery(CALL_FORM, "kvajT1Ptam85bY51eRf/AJRuM3w=")), ok, "signed with :443");
    assert_eq!(http.verify(&call_delivery(CALL_FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4=")), ok, "http, signed with :80");
    let prefixes = format!("ReasonConferenceEnded=test&{CALL_FORM}&Reason=Participant");
    assert_eq!(
        https.verify(&call_delivery(prefixes, "vOEb5UThFn24KEfnOFLQY2AE5FY=")),
        ok,
        "one name begins with another"
    );
    let repeated = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
    assert_eq!(https.verify(&call_delivery(repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU=")), ok, "repeated names");
    let json = delivery(PATH_WITH_BODY_HASH, "application/json", JSON_BODY, "a9nBmqA0ju/hNViExpshrM61xv4=");
    assert_eq!(https.verify(&json), ok, "JSON");
    assert_eq!(http.verify(&json), Err(forged(WRONG_SIGNATURE)), "the scheme is signed");
}

#[test]
fn a_whatsapp_message_is_accepted_over_the_public_url() {
    let body = "AccountSid=AC00000000000000000000000000000000&Body=%C2%BFHola%3F+%F0%9F%91%8B+a%2Bb+%26+c%3Dd\
                &From=whatsapp%3A%2B15005550006&MediaContentType0=&MessageSid=SM00000000000000000000000000000001\
                &NumMedia=0&ProfileName=Ana&To=whatsapp%3A%2B14155238886&WaId=15005550006";
    let message = delivery("/webhooks/twilio", FORM_TYPE, body, "1liWRpXamTDfhUaXRXvNmPSJVW0=");
    for url in ["https://bot.example.com", "https://bot.example.com/", "https://bot.example.com:443"] {
        assert_eq!(verifier(url, &[TOKEN]).verify(&message), Ok(()), "{url}");
    }
    assert!(verifier("https://bot.example.org", &[TOKEN]).verify(&message).is_err());
    assert!(verifier("https://bot.example.com/x", &[TOKEN]).verify(&message).is_err());
}

#[test]
fn signing_gives_twilios_own_signatures() {
    let call = [("To", "+18005551212"), ("CallSid", "CA1234567890ABCDE"), ("Caller", "+14158675309")];
    let mut call = pairs(&call);
    call.extend(pairs(&[("From", "+14158675309"), ("Digits", "1234")]));
    assert_eq!(sign(URL, &call, TOKEN), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_eq!(
        sign(
            URL,
            &pairs(&[
                ("Digits", "5678"),
                ("Digits", "1234"),
                ("Digits", "1234"),
                ("SidAccount", "AC123"),
                ("Sid", "CA123")
            ]),
            TOKEN
        ),
        "IK+Dwps556ElfBT0I3Rgjkr1wJU="
    );
    assert_eq!(
        sign(&format!("https://mycompany.com{PATH_WITH_BODY_HASH}"), &[], TOKEN),
        "a9nBmqA0ju/hNViExpshrM61xv4="
    );
}

#[test]
fn a_path_prefix_and_a_port_of_the_public_url_are_signed() {
    let with_port = sign("https://example.com:8443/bot/webhooks/twilio", &[], TOKEN);
    let without = sign("https://example.com/bot/webhooks/twilio", &[], TOKEN);
    for url in ["https://example.com:8443/bot", "https://example.com:8443/bot/"] {
        for signature in [&with_port, &without] {
            let get = delivery("/webhooks/twilio", "", "", signature);
            assert_eq!(verifier(url, &[TOKEN]).verify(&get), Ok(()), "{url}");
        }
    }
}

#[test]
fn during_a_rotation_either_token_signs() {
    let rotating = verifier("https://mycompany.com", &["new", TOKEN]);
    assert_eq!(rotating.verify(&call_delivery(CALL_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")), Ok(()));
    let rotated = verifier("https://mycompany.com", &["new"]);
    assert_eq!(rotated.verify(&call_delivery(CALL_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")), Err(forged(WRONG_SIGNATURE)));
}

#[test]
fn a_request_that_cannot_be_checked_counts_as_forged() {
    let good = call_delivery(CALL_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    let tokens = [SecretString::from(TOKEN)];
    assert_eq!(Verifier::new(None, &tokens).verify(&good), Err(forged(NO_URL)));
    assert_eq!(verifier("https://mycompany.com", &[]).verify(&good), Err(forged(NO_TOKEN)));
    // Signed with the empty key, which anyone can use.
    let empty = call_delivery("", &sign(URL, &[], ""));
    assert_eq!(verifier("https://mycompany.com", &["", " "]).verify(&empty), Err(forged(NO_TOKEN)));

    let verifier = verifier("https://mycompany.com", &[TOKEN]);
    let mut bare = good;
    bare.headers.pop();
    assert_eq!(verifier.verify(&bare), Err(forged(NO_HEADER)));
    for bad in ["", "=", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T1cUTdK1PDd93/VVr8B8=AAAA", "é", "AAAA"] {
        assert_eq!(verifier.verify(&call_delivery(CALL_FORM, bad)), Err(forged(MALFORMED_SIGNATURE)), "{bad}");
    }
}

#[test]
fn a_json_body_must_fit_its_hash() {
    let verifier = verifier("https://mycompany.com", &[TOKEN]);
    let changed = delivery(
        PATH_WITH_BODY_HASH,
        "application/json",
        JSON_BODY.replace("true", "false"),
        "a9nBmqA0ju/hNViExpshrM61xv4=",
    );
    assert_eq!(verifier.verify(&changed), Err(forged(WRONG_HASH)));
    let short = delivery("/x?bodySHA256=0a1f", "application/json", JSON_BODY, "a9nBmqA0ju/hNViExpshrM61xv4=");
    assert_eq!(verifier.verify(&short), Err(forged(WRONG_HASH)));
}

#[test]
fn a_body_that_is_not_utf8_is_still_verified() {
    // HMAC over the raw byte ff, computed with Python's hmac module.
    let raw = delivery("/webhooks/twilio", FORM_TYPE, b"Body=%ff&A=\xfe", "ME9f7kea9G1iIYohKV0hOhvu2r4=");
    assert_eq!(verifier("https://bot.example.com", &[TOKEN]).verify(&raw), Ok(()));
}

fn encode(params: &[(String, String)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish().into_bytes()
}

proptest! {
    #[test]
    fn whatever_was_signed_is_accepted_and_a_flipped_bit_is_not(
        params in proptest::collection::vec((".{1,12}", ".{0,40}"), 1..12),
        token in "[0-9a-f]{32}",
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let signature = sign("https://bot.example.com/webhooks/twilio", &params, &token);
        let verifier = verifier("https://bot.example.com/", &[token.as_str()]);
        let good = delivery("/webhooks/twilio", FORM_TYPE, encode(&params), &signature);
        prop_assert_eq!(verifier.verify(&good), Ok(()));

        // Flip the bit in a decoded value, so that the value changes and not only its encoding.
        let mut value = params[0].1.clone().into_bytes();
        value.push(b'x');
        let index = at.index(value.len());
        value[index] ^= 1 << bit;
        let mut body = encode(&params[1..]);
        body.extend_from_slice(b"&");
        body.extend(encode(&[(params[0].0.clone(), String::new())]));
        let escaped = value.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
        body.extend_from_slice(escaped.as_bytes());
        let mut signed = params;
        signed[0].1.push('x');
        let signature = sign("https://bot.example.com/webhooks/twilio", &signed, &token);
        let bad = delivery("/webhooks/twilio", FORM_TYPE, body, &signature);
        prop_assert!(verifier.verify(&bad).is_err());

        let mut raw = STANDARD.decode(&signature).unwrap();
        let index = at.index(raw.len());
        raw[index] ^= 1 << bit;
        let forged = delivery("/webhooks/twilio", FORM_TYPE, encode(&signed), &STANDARD.encode(&raw));
        prop_assert!(verifier.verify(&forged).is_err());
    }

    #[test]
    fn no_body_brings_the_verifier_down(body in proptest::collection::vec(any::<u8>(), 0..300), path in ".{0,40}") {
        let verifier = verifier("https://bot.example.com", &[TOKEN]);
        let any = delivery(&path, FORM_TYPE, body, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        prop_assert!(verifier.verify(&any).is_err());
    }
}
