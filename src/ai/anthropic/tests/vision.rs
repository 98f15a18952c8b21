use bytes::Bytes;

use super::*;
use crate::ai::Image;

fn message_with_images(text: &str, names: &[&'static str]) -> PromptMessage {
    let image = |name: &&'static str| Image {
        media_type: "image/jpeg",
        bytes: Bytes::from_static(name.as_bytes()),
        width: 1,
        height: 1,
    };
    PromptMessage { images: names.iter().map(image).collect(), ..PromptMessage::new(Role::User, text) }
}

fn prompt_of(lines: Vec<PromptMessage>) -> Prompt {
    Prompt { system: String::new(), messages: lines, may_hand_over: false }
}

fn request_body(content: Value) -> Value {
    json!({"model": "claude-sonnet-5", "max_tokens": 16384, "messages": [{"role": "user", "content": content}]})
}

fn image_block(data: &str) -> Value {
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": data}})
}

#[tokio::test]
async fn images_go_out_as_blocks_among_the_words_and_none_of_those_is_blank() {
    let server = MockServer::start().await;
    let text = |text: &str| json!({"type": "text", "text": text});
    let content = json!([text("This"), image_block("b25l"), image_block("dHdv"), text("or that?")]);
    expect_request(&server, request_body(content), 1, text_response("That.")).await;
    let lines = vec![
        message_with_images("This", &["one"]),
        message_with_images(" ", &["two"]),
        message_with_images("or that?", &[]),
    ];
    assert_eq!(provider(&server).complete(&prompt_of(lines)).await.unwrap().text, "That.");
}

#[tokio::test]
async fn a_model_without_vision_gets_image_placeholders_and_that_is_remembered() {
    let server = MockServer::start().await;
    let refusal =
        error_response(400, "invalid_request_error", "this model does not support image input (ref: b8bd630e)");
    expect_request(&server, request_body(json!([image_block("b25l")])), 1, refusal).await;
    let placeholder = json!("[image, which this model cannot see]");
    expect_request(&server, request_body(placeholder), 2, text_response("I see nothing.")).await;
    let provider = provider(&server);
    for _ in 0..2 {
        assert_eq!(
            provider.complete(&prompt_of(vec![message_with_images("", &["one"])])).await.unwrap().text,
            "I see nothing."
        );
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_read_or_leaves_no_room_is_left_out_this_once() {
    for (status, kind, words) in [
        (400, "invalid_request_error", "Could not process image"),
        (400, "invalid_request_error", "messages.0.content.0.image.source.base64: image exceeds 5 MB maximum"),
        (413, "request_too_large", "Request exceeds the maximum size"),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    ] {
        let server = MockServer::start().await;
        expect_request(&server, request_body(json!([image_block("b25l")])), 2, error_response(status, kind, words))
            .await;
        expect_request(
            &server,
            request_body(json!("[image, which could not be read]")),
            2,
            text_response("Again, please."),
        )
        .await;
        let provider = provider(&server);
        for _ in 0..2 {
            assert_eq!(
                provider.complete(&prompt_of(vec![message_with_images("", &["one"])])).await.unwrap().text,
                "Again, please."
            );
        }
    }
}
