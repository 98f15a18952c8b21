//! What the model may cost: reserved by the claim, settled by what became of the call.

use mynah::model::{Budget, Budgets, Charge, Command, Usage};
use mynah::store::{Admission, Reply, StoreOptions, TurnClaim};

use crate::setup::fresh_store::{ANN, BEN, DEFAULT_OPTIONS, FreshStore, MERGE_WINDOW, START, answer, at};

const RESERVATION: Charge = Charge { calls: 1, tokens: 1_000, micros: 500 };

const DAY: i64 = 86_400_000;

fn calls(most: i64) -> Budget {
    Budget { calls: Some(most), ..Budget::NONE }
}

fn options_with_budgets(budgets: Budgets) -> StoreOptions {
    StoreOptions { budgets, call_reservation: RESERVATION, ..DEFAULT_OPTIONS }
}

/// Calls, tokens and millionths of a dollar of each account, by name.
fn usage_rows(fresh: &FreshStore) -> Vec<String> {
    fresh.rows("SELECT scope, period, calls, tokens, micros FROM spent ORDER BY scope, period")
}

fn reply(tokens: (u32, u32), cost: i64) -> Reply {
    let usage = Usage { input_tokens: tokens.0, output_tokens: tokens.1, estimated: false };
    Reply::Answer { text: "Hello.".into(), model: "parrot-1".into(), usage, cost, hand_over: None }
}

/// The model was asked once by a claim: what that took, if it is known.
fn record_call(claim: &TurnClaim, took: Option<(i64, i64)>) {
    let (tokens, micros) = took.unwrap_or_default();
    claim.reservation.as_ref().unwrap().record_calls(Charge { calls: 1, tokens, micros }, i64::from(took.is_none()));
}

pub async fn a_call_is_reserved_with_its_claim_and_settled_with_its_reply(fresh: &FreshStore) {
    let all = Budgets { contact_day: calls(9), day: calls(9), month: calls(9) };
    let fresh = &fresh.with_options(options_with_budgets(all));
    let claim = fresh.claimed_turn(ANN).await;
    let each = |figures: &str| {
        let contact = format!("contact {}", claim.contact);
        [("all", "2026-09"), ("all", "2026-09-21"), (contact.as_str(), "2026-09-21")]
            .map(|(scope, period)| format!("{scope}|{period}|{figures}"))
    };
    assert!(claim.reservation.is_some() && claim.exhausted_budget.is_none());
    assert_eq!(usage_rows(fresh), each("1|1000|500"), "before anybody asks the model");
    record_call(&claim, Some((42, 77)));
    fresh.reply(&claim, reply((30, 12), 77), vec!["Hello.".into()], at(2_000)).await.unwrap().unwrap();
    assert_eq!(usage_rows(fresh), each("1|42|77"));
    assert_eq!(fresh.rows("SELECT input_tokens, output_tokens, cost_micros FROM turns"), ["30|12|77"]);
}

pub async fn a_failed_call_is_counted_and_a_call_that_was_not_made_is_not(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: calls(99), ..Budgets::NONE }));
    let only = |figures: &str| [format!("all|2026-09-21|{figures}")];
    let claim = fresh.claimed_turn(ANN).await;
    assert!(fresh.release_turn(&claim, at(2_000)).await.unwrap());
    assert_eq!(usage_rows(fresh), only("0|0|0"), "given back untouched");
    assert!(!fresh.release_turn(&claim, at(2_000)).await.unwrap());
    assert!(!fresh.retry_turn(&claim, at(2_000), "stale".into()).await.unwrap());
    assert_eq!(usage_rows(fresh), only("0|0|0"), "and once");
    let claim = fresh.due_turn(at(2_000)).await;
    record_call(&claim, Some((0, 0)));
    assert!(fresh.retry_turn(&claim, at(3_000), "401".into()).await.unwrap());
    assert_eq!(usage_rows(fresh), only("1|0|0"), "refused before any work");
    let claim = fresh.due_turn(at(3_000)).await;
    record_call(&claim, None);
    assert!(fresh.release_turn(&claim, at(4_000)).await.unwrap());
    assert_eq!(usage_rows(fresh), only("2|1000|500"), "given up in the middle: what is reserved for it stays");
    let claim = fresh.due_turn(at(4_000)).await;
    record_call(&claim, Some((42, 77)));
    let apology = Reply::Apology { why: "empty".into() };
    fresh.reply(&claim, apology, vec!["Sorry.".into()], at(4_000)).await.unwrap().unwrap();
    assert_eq!(usage_rows(fresh), only("3|1042|577"), "an answer that was of no use");
    // A word that no model answers costs nothing, though one might have.
    let help = fresh.contact_sends_command(BEN, "SM2", at(5_000), Command::Help).await;
    let claim = fresh.due_turn(at(5_000)).await;
    assert!(claim.turn == help && claim.reservation.is_some(), "a question may be in the same burst");
    let words = Reply::OwnText { text: "Help!".into(), hand_over: None };
    fresh.reply(&claim, words, vec!["Help!".into()], at(5_000)).await.unwrap().unwrap();
    assert_eq!(usage_rows(fresh), only("3|1042|577"));
    fresh.contact_sends_command("+15550000003", "SM3", at(6_000), Command::Reset).await;
    assert_eq!(fresh.due_turn(at(6_000)).await.reservation, None);
    assert_eq!(usage_rows(fresh), only("3|1042|577"));
}

pub async fn another_call_of_a_claim_is_reserved_like_the_first(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: calls(3), ..Budgets::NONE }));
    let claim = fresh.claimed_turn(ANN).await;
    assert!(
        fresh.reserve_another_call(claim.turn, claim.reservation.as_ref().unwrap()).await.unwrap(),
        "the first is the claim's"
    );
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|1|1000|500"]);
    // Another by a server that did not like the first, and then another model.
    record_call(&claim, Some((0, 0)));
    record_call(&claim, Some((0, 0)));
    assert!(fresh.reserve_another_call(claim.turn, claim.reservation.as_ref().unwrap()).await.unwrap());
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|3|3000|1500"]);
    record_call(&claim, Some((42, 77)));
    assert!(
        !fresh.reserve_another_call(claim.turn, claim.reservation.as_ref().unwrap()).await.unwrap(),
        "three were made"
    );
    fresh.reply(&claim, reply((30, 12), 77), vec!["Hello.".into()], at(2_000)).await.unwrap().unwrap();
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|3|42|77"]);
}

pub async fn a_reservation_is_settled_even_if_the_claim_is_lost(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: calls(99), ..Budgets::NONE }));
    let mut number = 0;
    for how in ["stop", "person", "burst"] {
        for answered in [false, true] {
            fresh.execute_sql("DELETE FROM spent");
            number += 1;
            let ann = format!("+1555100{number:04}");
            let claim = fresh.claimed_turn(&ann).await;
            match how {
                "stop" => {
                    fresh.contact_sends_command(&ann, &format!("SM-{number}"), at(1_500), Command::OptOut).await;
                }
                "person" => {
                    assert!(fresh.take_over(claim.conversation, None, "x".into(), None, at(1_500)).await.unwrap());
                }
                _ => drop(
                    fresh
                        .contact_writes_with(
                            &ann,
                            &format!("SM-{number}"),
                            at(1_500),
                            Admission { restart_running_turn: true, ..Admission::default() },
                        )
                        .await,
                ),
            }
            if answered {
                record_call(&claim, Some((42, 77)));
                let late = fresh.reply(&claim, reply((30, 12), 77), vec!["Hello.".into()], at(2_000)).await.unwrap();
                assert_eq!(late, None, "{how}");
                assert_eq!(usage_rows(fresh), ["all|2026-09-21|1|42|77"], "{how}");
            } else {
                for _ in 0..2 {
                    assert!(!fresh.release_turn(&claim, at(2_000)).await.unwrap());
                    assert_eq!(usage_rows(fresh), ["all|2026-09-21|0|0|0"], "{how}");
                }
            }
            fresh.execute_sql("DELETE FROM turns");
        }
    }
    fresh.execute_sql("DELETE FROM spent");
    let claim = fresh.claimed_turn(BEN).await;
    record_call(&claim, Some((42, 77)));
    assert!(fresh.give_up_turn(&claim, "x".into(), "Sorry.".into(), at(2_000)).await.unwrap());
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|1|42|77"]);
}

pub async fn a_call_that_may_have_been_made_when_the_process_died_keeps_its_estimate(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: calls(99), ..Budgets::NONE }));
    let dead = fresh.claimed_turn(ANN).await;
    assert_eq!(fresh.recover(at(5_000), "Sorry.".into()).await.unwrap().retried_turns, 1);
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|1|1000|500"]);
    let claim = fresh.due_turn(at(5_000)).await;
    record_call(&claim, Some((42, 77)));
    fresh.reply(&claim, reply((30, 12), 77), vec!["Hello.".into()], at(6_000)).await.unwrap().unwrap();
    assert!(!fresh.release_turn(&dead, at(6_000)).await.unwrap());
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|2|1042|577"]);
}

pub async fn each_limit_holds_by_itself(fresh: &FreshStore) {
    let one = Budget { calls: Some(1), ..Budget::NONE };
    let tokens = Budget { tokens: Some(1_000), ..Budget::NONE };
    let money = Budget { micros: Some(500), ..Budget::NONE };
    let mut number = 0;
    for limit in [one, tokens, money] {
        for (budgets, name) in [
            (Budgets { contact_day: limit, ..Budgets::NONE }, "of one contact for a day"),
            (Budgets { day: limit, ..Budgets::NONE }, "of all for a day"),
            (Budgets { month: limit, ..Budgets::NONE }, "of all for a month"),
        ] {
            fresh.execute_sql("DELETE FROM spent; DELETE FROM turns");
            let fresh = &fresh.with_options(options_with_budgets(budgets));
            let (mine, other) = (format!("+15551{number:06}"), format!("+15552{number:06}"));
            number += 1;
            let claim = fresh.claimed_turn(&mine).await;
            assert_eq!((claim.exhausted_budget, claim.reservation.is_some()), (None, true), "{name} {limit:?}");
            // What one of them has reserved is spent for all others, before it is known what it took.
            fresh.contact_writes(&other, &format!("SM-other-{number}"), START).await;
            let expected = (name != "of one contact for a day").then_some(name);
            if expected.is_some() && limit.calls.is_none() {
                // It may take less. It does not.
                fresh.assert_nothing_due(START + MERGE_WINDOW).await;
                record_call(&claim, Some((RESERVATION.tokens, RESERVATION.micros)));
                let parts = vec!["Hello.".to_owned()];
                fresh.reply(&claim, reply((900, 100), 500), parts, START + MERGE_WINDOW).await.unwrap().unwrap();
            }
            let claim = fresh.due_turn(START + MERGE_WINDOW + std::time::Duration::from_secs(2)).await;
            assert_eq!(claim.exhausted_budget, expected, "{name} {limit:?}");
            assert!(expected.is_none() || claim.reservation.is_none());
        }
    }
}

pub async fn a_day_ends_at_midnight_and_a_month_with_its_last_day(fresh: &FreshStore) {
    // 2026-09-21T14:13:20Z.
    for (budgets, days) in [
        (Budgets { contact_day: calls(1), ..Budgets::NONE }, 1),
        (Budgets { day: calls(1), ..Budgets::NONE }, 1),
        (Budgets { month: calls(1), ..Budgets::NONE }, 10),
    ] {
        fresh.execute_sql("DELETE FROM spent; DELETE FROM contacts");
        fresh.execute_sql("DELETE FROM turns");
        let fresh = &fresh.with_options(options_with_budgets(budgets));
        let midnight = (START.0 / DAY + days) * DAY - START.0;
        for (when, over) in [(0, false), (midnight - 1_001, true), (midnight - 1_000, false)] {
            fresh.execute_sql("UPDATE turns SET state = 'done', live = NULL, finished_at = 1, token = NULL");
            fresh.contact_writes(ANN, &format!("SM-{days}-{when}-{}", budgets.day.is_none()), at(when)).await;
            let claim = fresh.due_turn(at(when) + MERGE_WINDOW).await;
            assert_eq!(claim.exhausted_budget.is_some(), over, "{budgets:?} {when}");
        }
    }
}

pub async fn a_call_counts_for_the_day_of_its_claim_whenever_it_is_settled(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: calls(9), ..Budgets::NONE }));
    let claim = fresh.claimed_turn(ANN).await;
    record_call(&claim, Some((42, 77)));
    fresh.reply(&claim, reply((30, 12), 77), vec!["Hello.".into()], at(DAY / 2)).await.unwrap().unwrap();
    assert_eq!(usage_rows(fresh), ["all|2026-09-21|1|42|77"]);
}

pub async fn turns_that_race_for_the_rest_of_a_budget_do_not_spend_it_twice(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: calls(10), ..Budgets::NONE }));
    for number in 0..60 {
        fresh.contact_writes(&format!("+1555000{number:04}"), &format!("SM{number}"), START).await;
    }
    async fn claimed(fresh: &FreshStore) -> (usize, usize) {
        let (mut within, mut over) = (0, 0);
        loop {
            let claims = fresh.claim(START + MERGE_WINDOW, 7, 7).await.unwrap();
            if claims.is_empty() {
                return (within, over);
            }
            for claim in claims.turns {
                if claim.exhausted_budget.is_some() { over += 1 } else { within += 1 }
            }
        }
    }
    let (one, two, three) = tokio::join!(claimed(fresh), claimed(fresh), claimed(fresh));
    assert_eq!((one.0 + two.0 + three.0, one.1 + two.1 + three.1), (10, 50));
}

pub async fn without_a_budget_nothing_is_counted(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    assert_eq!((&claim.reservation, claim.exhausted_budget), (&None, None));
    fresh.reply(&claim, answer("Hello."), vec!["Hello.".into()], at(2_000)).await.unwrap().unwrap();
    assert_eq!(usage_rows(fresh), [""; 0]);
}

pub async fn usage_is_deleted_by_whole_months(fresh: &FreshStore) {
    for period in ["2026-07", "2026-07-31", "2026-08", "2026-08-01"] {
        fresh.execute_sql(&format!("INSERT INTO spent VALUES ('all', '{period}', 1, 1, 1)"));
    }
    // In the middle of August, July is over and August is not.
    let august = at(-37 * DAY);
    assert_eq!(fresh.delete_old_charges(august).await.unwrap(), 2);
    assert_eq!(fresh.rows("SELECT period FROM spent ORDER BY period"), ["2026-08", "2026-08-01"]);
}

pub async fn a_turn_waits_for_a_budget_that_is_full_of_calls_in_progress(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets {
        day: Budget { tokens: Some(1_500), ..Budget::NONE },
        ..Budgets::NONE
    }));
    for number in 1..=4 {
        fresh.contact_writes(&format!("+1555000000{number}"), &format!("SM{number}"), START).await;
    }
    let first = fresh.claim(at(1_000), 10, 10).await.unwrap();
    assert!(first.turns.len() == 2 && first.turns.iter().all(|claim| claim.exhausted_budget.is_none()), "{first:?}");
    assert_eq!(first.next_due, Some(at(3_000)), "for two calls 2,000 tokens are set aside");
    for claim in &first.turns {
        record_call(claim, Some((40, 0)));
        fresh.reply(claim, reply((30, 10), 0), vec!["Hello.".into()], at(2_000)).await.unwrap().unwrap();
    }
    let then = fresh.claim(at(3_000), 10, 10).await.unwrap();
    assert!(
        then.turns.len() == 2 && then.turns.iter().all(|claim| claim.exhausted_budget.is_none()),
        "80 are spent: {then:?}"
    );
    for claim in &then.turns {
        record_call(claim, Some((900, 0)));
        fresh.reply(claim, reply((800, 100), 0), vec!["Hello.".into()], at(4_000)).await.unwrap().unwrap();
    }
    for number in 5..=6 {
        fresh.contact_writes(&format!("+1555000000{number}"), &format!("SM{number}"), at(4_000)).await;
    }
    let last = fresh.claim(at(5_000), 10, 10).await.unwrap();
    let over: Vec<_> = last.turns.iter().map(|claim| claim.exhausted_budget).collect();
    assert_eq!(over, [Some("of all for a day"); 2], "nothing is under way any more, and neither asks the model");
}

pub async fn a_turn_does_not_wait_for_a_used_up_budget_even_if_another_budget_may_free_up(fresh: &FreshStore) {
    let tokens = Budget { tokens: Some(1_000), ..Budget::NONE };
    let fresh = &fresh.with_options(options_with_budgets(Budgets { day: tokens, month: calls(1), ..Budgets::NONE }));
    let under_way = fresh.claimed_turn(ANN).await;
    assert!(under_way.reservation.is_some());
    fresh.contact_writes(BEN, "SM2", START).await;
    assert_eq!(fresh.due_turn(START + MERGE_WINDOW).await.exhausted_budget, Some("of all for a month"));
}

pub async fn a_turn_does_not_wait_for_reservations_of_a_dead_process(fresh: &FreshStore) {
    let fresh = &fresh.with_options(options_with_budgets(Budgets {
        day: Budget { tokens: Some(2_000), ..Budget::NONE },
        ..Budgets::NONE
    }));
    for (from, id) in [(ANN, "SM1"), (BEN, "SM2")] {
        fresh.contact_writes(from, id, START).await;
    }
    assert_eq!(fresh.due_turns(START + MERGE_WINDOW).await.len(), 2);
    assert_eq!(fresh.recover(at(5_000), "Sorry.".into()).await.unwrap().retried_turns, 2);
    // One after the other: the first turn's reservation is its own, and no worker has the second.
    let first = fresh.claim(at(5_000), 1, 1).await.unwrap().turns;
    assert_eq!((first.len(), first[0].exhausted_budget), (1, Some("of all for a day")));
    let words = Reply::OwnText { text: "No more today.".into(), hand_over: None };
    fresh.reply(&first[0], words, vec!["No more today.".into()], at(5_000)).await.unwrap().unwrap();
    assert_eq!(fresh.due_turn(at(5_000)).await.exhausted_budget, Some("of all for a day"));
}
