//! What waits, what is taken over, and what runs out of time.

use mynah::work;

use crate::house::{ANA, House, body};

#[tokio::test]
async fn without_a_model_messages_are_accepted_and_wait() {
    let house = House::with(&[("OPENAI_API_KEY", ""), ("OPENAI_BASE_URL", ""), ("MYNAH_AI_MODEL", "")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Here at last.").await;
    house.say(ANA, "hello").await;
    house.advance(3600);
    assert_eq!(house.drain().await, 0);
    assert_eq!(house.states().await, ["open"]);
    let ready = body(house.get("/readyz").await).await;
    assert!(ready.contains("\"configured\":false") && ready.contains("MYNAH_AI_PROVIDER"), "{ready}");
    let base = format!("{}/v1", house.model.uri());
    let house = house.restarted(&[("OPENAI_BASE_URL", &base), ("MYNAH_AI_MODEL", "test-model")]).await;
    house.drain().await;
    assert_eq!(house.texts().await, ["Here at last."]);
}

#[tokio::test]
async fn nothing_is_sent_later_than_23_hours_after_the_last_message() {
    let house = House::new().await;
    house.say(ANA, "hello").await;
    house.advance(23 * 3600);
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (0, vec!["expired".to_owned()]));
    assert_eq!(house.prompts().await.len(), 0, "the model is not asked either");
    house.say(ANA, "hello again").await;
    house.drain().await;
    assert_eq!(house.states().await, ["expired", "done"]);
}

#[tokio::test]
async fn without_a_model_turns_expire_in_their_time() {
    let house = House::with(&[("OPENAI_API_KEY", ""), ("OPENAI_BASE_URL", ""), ("MYNAH_AI_MODEL", "")]).await;
    house.say(ANA, "hello").await;
    house.advance(23 * 3600 - 1);
    assert_eq!(house.app.store.expire_turns(mynah::clock::Clock::now(&house.clock)).await.unwrap(), 0);
    house.advance(1);
    assert_eq!(house.app.store.expire_turns(mynah::clock::Clock::now(&house.clock)).await.unwrap(), 1);
    assert_eq!(house.states().await, ["expired"]);
}

#[tokio::test]
async fn a_turn_that_was_running_when_the_process_died_is_answered_after_the_restart() {
    let house = House::new().await;
    house.say(ANA, "hello").await;
    let claims = house.app.store.claim(mynah::clock::Clock::now(&house.clock), 10, 10).await.unwrap();
    assert_eq!(claims.turns.len(), 1);
    let house = house.restarted(&[]).await;
    house.drain().await;
    assert_eq!((house.texts().await, house.states().await), (vec!["Hello!".to_owned()], vec!["done".to_owned()]));
}

#[tokio::test]
async fn a_worker_stops_when_told_and_leaves_nothing_running() {
    let house = House::new().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let worker = tokio::spawn(work::Worker::new(house.app.clone()).run(stop.clone()));
    house.say(ANA, "hello").await;
    while house.states().await != ["done"] {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(house.texts().await, ["Hello!"]);
}
