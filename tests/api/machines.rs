//! Another machine at the other end, and people who are none.

use crate::house::{ANA, House};

/// How often the model answered that contact.
async fn answers(house: &House, who: &str) -> usize {
    house.posted().await.iter().filter(|(to, text)| to == who && text == "Hello!").count()
}

async fn say(house: &House, from: &str, text: &str) {
    house.say(from, text).await;
    house.drain().await;
}

#[tokio::test]
async fn what_is_left_to_a_person_costs_nothing() {
    let house = House::with(&[("MYNAH_BUDGET_DAY", "100 calls")]).await;
    house.twilio_takes_everything().await;
    house.model_says("Hello!").await;
    for _ in 0..5 {
        say(&house, ANA, "Thank you!").await;
    }
    assert_eq!((answers(&house, ANA).await, house.count("SELECT SUM(calls) FROM spent")), (4, 4));
}
