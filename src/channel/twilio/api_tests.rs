use super::*;

fn fault_of_post(status: u16, code: Option<i64>) -> Fault {
    fault_from_response(status, code, None, SideEffect::CreatesMessage)
}

fn seconds(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count))
}

#[track_caller]
fn assert_fails(fault: &Fault, expected: FaultOwner) {
    assert!(matches!(fault, Fault::Fail { owner, .. } if *owner == expected), "{fault:?}");
}

#[test]
fn only_what_was_certainly_not_processed_is_repeated() {
    for (status, code) in [(429, None), (429, Some(20429)), (400, Some(20429)), (429, Some(99999))] {
        let fault = fault_from_response(status, code, seconds(7), SideEffect::CreatesMessage);
        assert!(matches!(fault, Fault::Retry { retry_after, .. } if retry_after == seconds(7)), "{fault:?}");
    }
    assert!(
        matches!(fault_from_response(503, None, seconds(3), SideEffect::CreatesMessage), Fault::Retry { retry_after, .. } if retry_after == seconds(3))
    );
    for code in [63010, 63012, 63022, 63023] {
        let fault = fault_of_post(400, Some(code));
        let few =
            matches!(fault, Fault::Retry { retry_after: None, outlook: RetryOutlook::Unlikely { attempts: 4 }, .. });
        assert!(few, "{fault:?}");
    }
    for code in 30003..=30008 {
        let fault = fault_of_post(400, Some(code));
        let once = matches!(fault, Fault::Retry { retry_after, outlook: RetryOutlook::Unlikely { attempts: 2 }, .. } if retry_after == seconds(60));
        assert!(once, "{fault:?}");
    }
    for code in [63018, 63017, 30001, 21611] {
        let fault = fault_of_post(400, Some(code));
        assert!(matches!(&fault, Fault::Retry { retry_after: Some(after), .. } if after.as_secs() >= 60), "{fault:?}");
    }
    // A daily limit ends by itself, but the operator may shorten the wait.
    let limit = fault_of_post(429, Some(63038));
    assert!(
        matches!(limit, Fault::Retry { retry_after, outlook: RetryOutlook::NeedsOperator, .. } if retry_after == seconds(3600)),
        "{limit:?}"
    );
    let longer = fault_from_response(400, Some(63018), seconds(3000), SideEffect::CreatesMessage);
    assert!(matches!(longer, Fault::Retry { retry_after, .. } if retry_after == seconds(3000)), "the longer wait");
}

#[test]
fn a_server_error_leaves_a_post_unknown_and_lets_a_lookup_be_repeated() {
    // This holds even for a code that is a refusal with other statuses: with a 5xx, nothing is certain.
    for (status, code) in [(500, None), (502, None), (503, None), (504, None), (500, Some(20500)), (500, Some(21211))] {
        assert!(matches!(fault_of_post(status, code), Fault::Unknown { .. }), "{status} {code:?}");
        assert!(
            matches!(fault_from_response(status, code, None, SideEffect::None), Fault::Retry { .. }),
            "{status} {code:?}"
        );
    }
    assert!(matches!(fault_of_post(400, Some(20500)), Fault::Unknown { .. }));
    for status in [301, 307, 408] {
        assert!(matches!(fault_of_post(status, None), Fault::Unknown { .. }), "{status}");
    }
}

#[test]
fn a_refusal_says_whose_it_is() {
    for (status, code) in [
        (401, None),
        (403, None),
        (404, None),
        (401, Some(20003)),
        (400, Some(20003)),
        (400, Some(63007)),
        (400, Some(63013)),
        (403, Some(12)),
    ] {
        assert_fails(&fault_of_post(status, code), FaultOwner::Operator);
    }
    for code in [21211, 21610, 63003, 63014, 63015, 63016] {
        assert_fails(&fault_of_post(400, Some(code)), FaultOwner::Contact);
    }
    for code in [Some(21602), Some(63005), Some(99999), None] {
        assert_fails(&fault_of_post(400, code), FaultOwner::Message);
    }
    for code in [21617, 21658] {
        assert!(matches!(fault_of_post(400, Some(code)), Fault::TooLong { .. }), "{code}");
    }
}

#[test]
fn a_reason_is_a_sentence_with_the_code() {
    assert_eq!(
        fault_of_post(400, Some(21211)).why(),
        "the contact's number is not valid: nothing can be sent to it, so ask the contact for another address \
         (Twilio 21211)"
    );
    assert_eq!(
        fault_of_post(400, Some(99999)).why(),
        "Twilio refused the call: see https://www.twilio.com/docs/api/errors/99999 (Twilio 99999)"
    );
    assert_eq!(fault_of_post(502, None).why(), "Twilio had an internal error (Twilio HTTP 502)");
    assert!(fault_of_post(400, Some(63016)).why().contains("24 hours"));
}

#[test]
fn a_wait_is_bounded() {
    let after = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
        retry_after(&headers)
    };
    assert_eq!(after("12"), seconds(12));
    assert_eq!(after("99999999999"), seconds(3600));
    assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), seconds(30));
    assert_eq!(retry_after(&HeaderMap::new()), None);
}
