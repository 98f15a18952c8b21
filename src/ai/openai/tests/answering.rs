//! How answers are read.

use super::*;

async fn answer_text(message: Value) -> String {
    complete_against(ok_response(self::message(&message, "stop"))).await.unwrap().text
}

#[tokio::test]
async fn content_is_read_in_each_of_its_shapes() {
    assert_eq!(answer_text(json!({"role": "assistant", "content": " Hi. \n"})).await, "Hi.");
    let parts = json!([{"type": "text", "text": "Hi "}, {"type": "thinking", "thinking": [{"text": "x"}], "text": "x"}, {"type": "text", "text": "you."}]);
    assert_eq!(answer_text(json!({"role": "assistant", "content": parts})).await, "Hi you.");
    let thinks =
        json!({"role": "assistant", "content": "<think>hm</think>\nHi.", "reasoning": "hm", "reasoning_content": "hm"});
    assert_eq!(answer_text(thinks).await, "Hi.");
}

#[tokio::test]
async fn an_answer_that_declines_is_a_refusal() {
    for (message, reason, text) in [
        (json!({"content": null, "refusal": "I'm sorry, I can't."}), "stop", "I'm sorry, I can't."),
        (json!({"content": "Not that.", "refusal": "No."}), "stop", "Not that."),
        (json!({"content": [{"type": "refusal", "refusal": "No."}]}), "stop", "No."),
        (json!({"content": null, "refusal": null}), "content_filter", ""),
        (json!({"content": "Half of"}), "content_filter", "Half of"),
    ] {
        let completion = complete_against(ok_response(self::message(&message, reason))).await.unwrap();
        assert_eq!((completion.text.as_str(), completion.finish), (text, Finish::Refusal), "{message}");
    }
}

#[tokio::test]
async fn an_answer_cut_at_the_cap_says_so() {
    let completion = complete_against(ok_response(message(&json!({"content": "Half of"}), "length"))).await.unwrap();
    assert_eq!((completion.text.as_str(), completion.finish), ("Half of", Finish::Length));
}

#[tokio::test]
async fn a_token_cap_that_reasoning_used_up_is_reported_with_its_remedy() {
    for answer in [
        ok_response(message(&json!({"content": ""}), "length")),
        ok_response(message(&json!({"content": "<think>so the user"}), "length")),
        ResponseTemplate::new(400).set_body_json(json!({"error": {"message": "Could not finish the message because \
            max_tokens or model output limit was reached. Please try again with higher max_tokens.", "param": null,
            "type": "invalid_request_error", "code": null}})),
    ] {
        let fault = complete_against(answer).await.unwrap_err();
        let Fault::Fail { why, owner: FaultOwner::Operator } = fault else { panic!("{fault:?}") };
        assert!(why.contains("raise MYNAH_AI_MAX_TOKENS"), "{why}");
    }
}

#[tokio::test]
async fn an_empty_or_broken_answer_is_asked_for_again() {
    for body in [
        message(&json!({"content": ""}), "stop"),
        message(&json!({"content": null}), "stop"),
        message(&json!({"content": null, "tool_calls": []}), "tool_calls"),
        message(&json!({"content": "Half of"}), "error"),
        json!({"choices": []}),
        json!({"object": "something else"}),
        json!(["neither"]),
    ] {
        let fault = complete_against(ok_response(body.clone())).await.unwrap_err();
        assert!(matches!(fault, Fault::Retry { retry_after: None, .. }), "{body}: {fault:?}");
    }
}

#[tokio::test]
async fn unknown_finish_reasons_are_the_end() {
    for reason in ["eos", "tool_calls", "stop"] {
        let completion = complete_against(ok_response(message(&json!({"content": "Hi"}), reason))).await.unwrap();
        assert_eq!(completion.finish, Finish::Stop);
    }
}

#[tokio::test]
async fn missing_figures_are_estimated_from_characters() {
    let body = json!({"choices": [{"message": {"content": "Twelve chars"}, "finish_reason": null}]});
    let server = server_always_answering(ok_response(body)).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    let completion = provider.complete(&prompt("Eight ch", &[(Role::User, "Twelve chars")])).await.unwrap();
    assert_eq!(completion.usage, Usage { input_tokens: 5, output_tokens: 3, estimated: true });
    assert_eq!(completion.model, "m1");
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_32_000_characters() {
    let completion = complete_against(ok_response(text_answer(&"a".repeat(40_000)))).await.unwrap();
    assert_eq!((completion.text.chars().count(), completion.finish), (32_000, Finish::Length));
    assert!(completion.text.ends_with("a…"));
}

#[tokio::test]
async fn blanks_sent_ahead_of_the_answer_are_harmless() {
    let body = format!("\n   \n{}", text_answer("Hi"));
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    assert_eq!(complete_against(answer).await.unwrap().text, "Hi");
}
