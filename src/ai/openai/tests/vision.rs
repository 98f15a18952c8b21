use bytes::Bytes;

use super::*;
use crate::ai::Image;

const NO_VISION_PLACEHOLDER: &str = "[image, which this model cannot see]";

fn image(name: &'static str) -> Image {
    Image { media_type: "image/png", bytes: Bytes::from_static(name.as_bytes()), width: 1, height: 1 }
}

fn message_with_images(text: &str, images: &[&'static str]) -> PromptMessage {
    PromptMessage { images: images.iter().map(|name| image(name)).collect(), ..PromptMessage::new(Role::User, text) }
}

fn prompt_of(lines: Vec<PromptMessage>) -> Prompt {
    Prompt { system: "Be kind.".into(), messages: lines, may_hand_over: false }
}

fn request_body(messages: &Value) -> Value {
    let mut all = vec![json!({"role": "system", "content": "Be kind."})];
    all.extend(messages.as_array().unwrap().iter().cloned());
    json!({"model": "m1", "max_tokens": 1024, "messages": all})
}

fn image_url_part(data: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}})
}

fn refusal_response(status: u16, message: &str) -> ResponseTemplate {
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    ResponseTemplate::new(status).set_body_json(error)
}

fn single_message(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[tokio::test]
async fn images_go_out_in_the_request_itself_behind_their_words_and_other_lines_stay_plain() {
    let server = MockServer::start().await;
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "Which is it?"}, image_url_part("b25l"), image_url_part("dHdv")]},
        {"role": "assistant", "content": "A fern.\n[image, sent to the customer]"},
        {"role": "user", "content": [image_url_part("dGhyZWU=")]},
        {"role": "user", "content": "And this?"}
    ]);
    expect_request(&server, request_body(&messages), 1, ok_response(text_answer("Ivy."))).await;
    let lines = vec![
        message_with_images("Which is it?", &["one", "two"]),
        PromptMessage { role: Role::Operator, ..message_with_images("A fern.", &["ours"]) },
        message_with_images(" ", &["three"]),
        message_with_images("And this?", &[]),
    ];
    assert_eq!(
        build(&compatible_server_config(&server)).unwrap().complete(&prompt_of(lines)).await.unwrap().text,
        "Ivy."
    );
}

#[tokio::test]
async fn a_model_without_vision_gets_image_placeholders_and_that_is_remembered() {
    for (status, words) in [
        (400, "Invalid content type. image_url is only supported by certain models."),
        (404, "No endpoints found that support image input"),
        (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
        (422, "Failed to deserialize: messages[0]: unknown variant `image_url`, expected `text`"),
        (400, "At most 0 image(s) may be provided in one prompt."),
    ] {
        let server = MockServer::start().await;
        let seen = json!([{"role": "user", "content": [{"type": "text", "text": "What?"}, image_url_part("b25l")]}]);
        expect_request(&server, request_body(&seen), 1, refusal_response(status, words)).await;
        let with_placeholder = format!("What?\n{NO_VISION_PLACEHOLDER}");
        expect_request(
            &server,
            request_body(&single_message(&with_placeholder)),
            2,
            ok_response(text_answer("I see nothing.")),
        )
        .await;
        let provider = build(&compatible_server_config(&server)).unwrap();
        for _ in 0..2 {
            let completion = provider.complete(&prompt_of(vec![message_with_images("What?", &["one"])])).await;
            assert_eq!(completion.map(|completion| completion.text), Ok("I see nothing.".into()), "{words}");
        }
    }
}

#[tokio::test]
async fn a_model_that_takes_one_image_gets_the_newest() {
    let server = MockServer::start().await;
    let both = json!([{"role": "user", "content": [{"type": "text", "text": "What?"}, image_url_part("b25l"), image_url_part("dHdv")]}]);
    expect_request(
        &server,
        request_body(&both),
        1,
        refusal_response(400, "At most 1 image(s) may be provided in one request."),
    )
    .await;
    let text = "What?\n[an earlier image, not shown again]";
    let one = json!([{"role": "user", "content": [{"type": "text", "text": text}, image_url_part("dHdv")]}]);
    expect_request(&server, request_body(&one), 2, ok_response(text_answer("A fern."))).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    for _ in 0..2 {
        let prompt = prompt_of(vec![message_with_images("What?", &["one", "two"])]);
        assert_eq!(provider.complete(&prompt).await.unwrap().text, "A fern.");
    }
}

#[tokio::test]
async fn an_image_that_the_server_cannot_read_is_left_out_this_once() {
    let server = MockServer::start().await;
    let bad = json!([{"role": "user", "content": [image_url_part("YmFk")]}]);
    let words = "You uploaded an unsupported image. Please make sure your image is valid.";
    expect_request(&server, request_body(&bad), 1, refusal_response(400, words)).await;
    expect_request(
        &server,
        request_body(&single_message("[image, which could not be read]")),
        1,
        ok_response(text_answer("Again, please.")),
    )
    .await;
    let good = json!([{"role": "user", "content": [image_url_part("Z29vZA==")]}]);
    expect_request(&server, request_body(&good), 1, ok_response(text_answer("A fern."))).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    for (name, answer) in [("bad", "Again, please."), ("good", "A fern.")] {
        assert_eq!(provider.complete(&prompt_of(vec![message_with_images("", &[name])])).await.unwrap().text, answer);
    }
}

#[tokio::test]
async fn an_image_that_leaves_no_room_is_left_out() {
    let server = MockServer::start().await;
    let seen = json!([{"role": "user", "content": [{"type": "text", "text": "What?"}, image_url_part("b25l")]}]);
    let words = "This model's maximum context length is 4096 tokens";
    expect_request(&server, request_body(&seen), 1, refusal_response(400, words)).await;
    expect_request(
        &server,
        request_body(&single_message("What?\n[image, which could not be read]")),
        1,
        ok_response(text_answer("Too large.")),
    )
    .await;
    let completion = build(&compatible_server_config(&server))
        .unwrap()
        .complete(&prompt_of(vec![message_with_images("What?", &["one"])]))
        .await;
    assert_eq!(completion.unwrap().text, "Too large.");
}

#[tokio::test]
async fn a_server_that_refuses_without_end_is_not_asked_without_end() {
    let server =
        server_always_answering(refusal_response(400, "At most 5 image(s) may be provided in one request.")).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    let fault = provider.complete(&prompt_of(vec![message_with_images("", &["one"])])).await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Message, .. }), "{fault:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "with the image and without");
}

#[tokio::test]
async fn instructions_go_before_an_image_where_there_is_no_system_role() {
    let server = MockServer::start().await;
    let refused = request_body(&json!([{"role": "user", "content": [image_url_part("b25l")]}]));
    expect_request(&server, refused, 1, refusal_response(400, "System role not supported")).await;
    let merged = json!([{"role": "user", "content": [{"type": "text", "text": "Be kind."}, image_url_part("b25l")]}]);
    let body = json!({"model": "m1", "max_tokens": 1024, "messages": merged});
    expect_request(&server, body, 1, ok_response(text_answer("A fern."))).await;
    let provider = build(&compatible_server_config(&server)).unwrap();
    assert_eq!(provider.complete(&prompt_of(vec![message_with_images("", &["one"])])).await.unwrap().text, "A fern.");
}
