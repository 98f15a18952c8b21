//! A defect in an adapter costs its own call and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use mynah::ai::{Completion, Prompt, Provider};
use mynah::app::{App, Assistant};
use mynah::channel::{Channel, Lookup};
use mynah::clock::Time;
use mynah::fault::Fault;
use mynah::limit::Limit;
use mynah::model::{Delivery, Event, Inbound, Outgoing, ProviderId, Refusal};
use tokio::sync::Notify;

use crate::house::{ANA, House};

struct Broken(Option<Arc<dyn Channel>>);

#[async_trait]
impl Provider for Broken {
    fn name(&self) -> &str {
        "broken"
    }
    async fn complete(&self, _: &Prompt) -> Result<Completion, Fault> {
        panic!("a defect")
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

/// The real channel, whose send panics after the message has gone out.
#[async_trait]
impl Channel for Broken {
    fn name(&self) -> &'static str {
        "twilio"
    }
    fn text_limit(&self) -> usize {
        1500
    }
    fn verify(&self, delivery: &Delivery) -> Result<(), Refusal> {
        self.0.as_ref().unwrap().verify(delivery)
    }
    fn events(&self, delivery: &Delivery, now: Time) -> Result<Vec<Event>, Refusal> {
        self.0.as_ref().unwrap().events(delivery, now)
    }
    async fn send(&self, outgoing: &Outgoing) -> Result<ProviderId, Fault> {
        self.0.as_ref().unwrap().send(outgoing).await.unwrap();
        panic!("a defect")
    }
    async fn typing(&self, _: &ProviderId) -> Result<(), Fault> {
        Ok(())
    }
    async fn find_sent(&self, lookup: &Lookup) -> Result<Vec<ProviderId>, Fault> {
        self.0.as_ref().unwrap().find_sent(lookup).await
    }
    async fn list_inbound(&self, _: Time) -> Result<Vec<Inbound>, Fault> {
        Ok(Vec::new())
    }
    async fn check(&self) -> Result<String, Fault> {
        Ok(String::new())
    }
}

async fn house(broken_model: bool, broken_channel: bool) -> House {
    let mut house = House::new().await;
    let app = Arc::into_inner(house.app).unwrap();
    let App { config, clock, store, mut channels, mut assistant, .. } = app;
    if broken_model {
        assistant = Some(Assistant { provider: Arc::new(Broken(None)), limit: Limit::new(1) });
    }
    if broken_channel {
        channels = vec![Arc::new(Broken(channels.pop()))];
    }
    house.app = Arc::new(App { config, clock, store, channels, assistant, wake: Notify::new() });
    house
}

#[tokio::test]
async fn a_model_that_panics_leaves_no_turn_behind() {
    let house = house(true, false).await;
    house.say(ANA, "hello").await;
    house.drain().await;
    assert_eq!((house.states().await, house.texts().await.len()), (vec!["dead".to_owned()], 1));
}

#[tokio::test]
async fn a_channel_that_panics_after_it_has_sent_is_in_doubt() {
    let house = house(false, true).await;
    house.say(ANA, "hello").await;
    house.drain().await;
    assert_eq!(house.count("SELECT COUNT(*) FROM parts WHERE state = 'unknown'"), 1);
    assert_eq!(house.texts().await.len(), 1);
}
