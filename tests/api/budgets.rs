//! What the model may cost.

use wiremock::ResponseTemplate;

use crate::house::{ANA, BEN, House};

const SPENT: &str = "No more today.";

#[tokio::test]
async fn five_hundred_turns_that_race_for_ten_calls_make_ten() {
    let house = House::with(&[("MYNAH_BUDGET_DAY", "10 calls"), ("MYNAH_TEXT_BUDGET", SPENT)]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for number in 0..500 {
        house.say(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    house.drain().await;
    assert_eq!(house.prompts().await.len(), 10);
    let texts = house.texts().await;
    assert_eq!(texts.iter().filter(|text| *text == "Hello!").count(), 10);
    assert_eq!(texts.iter().filter(|text| *text == SPENT).count(), 490, "everybody is told, nobody twice");
    let alerts = house.app.store.alerts(10).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].cause.as_str(), alerts[0].count), (1, "budget", 490));
    // The next day is a new one.
    house.advance(86_400);
    house.say(ANA, "hello").await;
    house.drain().await;
    assert_eq!(house.texts().await.last().unwrap(), "Hello!");
}

#[tokio::test]
async fn one_contact_cannot_spend_what_is_meant_for_all() {
    let house = House::with(&[("MYNAH_BUDGET_CONTACT_DAY", "2 calls"), ("MYNAH_TEXT_BUDGET", SPENT)]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for from in [ANA, ANA, ANA, BEN] {
        house.say(from, "hello").await;
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["Hello!", "Hello!", SPENT, "Hello!"]);
    house.say(ANA, "/help").await;
    house.drain().await;
    assert!(house.texts().await[4].starts_with("I'm an automated assistant"), "what costs nothing is not limited");
}

#[tokio::test]
async fn tokens_and_money_count_as_they_were_used_and_stand_beside_the_turn() {
    let house = House::with(&[
        ("MYNAH_BUDGET_MONTH", "1 usd, 100000 tokens"),
        ("MYNAH_PRICES", "test=100/1000"),
        ("MYNAH_TEXT_BUDGET", SPENT),
    ])
    .await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    house.drain().await;
    let turn = "FROM turns WHERE id = 1";
    let used = house.count(&format!("SELECT input_tokens + output_tokens {turn}"));
    let cost = house.count(&format!("SELECT input_tokens * 100 + output_tokens * 1000 {turn}"));
    assert!(used > 0 && house.count(&format!("SELECT cost_micros {turn}")) == cost);
    let spent = |column: &str| house.count(&format!("SELECT {column} FROM spent WHERE period = '2026-11'"));
    assert_eq!((spent("calls"), spent("tokens"), spent("micros")), (1, used, cost));
    house.meddle("UPDATE spent SET micros = 1000000");
    house.say(ANA, "hello?").await;
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!", SPENT]);
}

#[tokio::test]
async fn a_call_that_failed_counts_as_a_call_and_takes_no_tokens() {
    let house = House::with(&[("MYNAH_BUDGET_DAY", "5 calls, 100000 tokens")]).await;
    house.twilio_takes_everything().await;
    house.ask_model().respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&house.model).await;
    house.model_says("Hello!").await;
    house.say(ANA, "hello").await;
    for _ in 0..4 {
        house.drain().await;
        house.advance(600);
    }
    let spent = |column: &str| house.count(&format!("SELECT {column} FROM spent WHERE period = '2026-11-01'"));
    assert_eq!((house.texts().await.len(), spent("calls")), (1, 3));
    assert_eq!(spent("tokens"), house.count("SELECT input_tokens + output_tokens FROM turns"));
}

#[tokio::test]
async fn money_is_reserved_at_the_price_of_the_dearest_model_that_may_be_asked() {
    let dear = ("MYNAH_PRICES", "claude-sonnet-5=3/15, spare=1/1");
    let first = [("MYNAH_AI_PROVIDER", "anthropic"), ("ANTHROPIC_API_KEY", "sk-ant-test"), ("MYNAH_AI_MODEL", "")];
    let behind =
        [("MYNAH_AI_2_PROVIDER", "anthropic"), ("MYNAH_AI_2_API_KEY", "sk-ant-test"), ("MYNAH_AI_MODEL", "spare")];
    // In both houses the model is the provider's default, which no setting names.
    for models in [first, behind] {
        let house = House::with(&[&models[..], &[dear, ("MYNAH_BUDGET_DAY", "0.01 usd")]].concat()).await;
        for number in 0..60 {
            house.say(&format!("whatsapp:+1202555{number:04}"), "hello").await;
        }
        let claims = house.app.store.claim(house.app.clock.now(), 64, 64).await.unwrap();
        let asked = claims.turns.iter().filter(|claim| claim.over_budget.is_none()).count();
        assert!(claims.turns.len() == 60 && (1..=2).contains(&asked), "{asked} calls at once");
    }
}
