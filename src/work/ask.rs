//! Asking: the model in use, and where that cannot, those that stand behind it.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::{error, warn};

use super::retry_while_unavailable;
use crate::ai::{Completion, Meter, MeteredUsage, Prompt};
use crate::app::{App, Assistant};
use crate::clock::Time;
use crate::concurrency_limit::CallPermit;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::model::{Charge, Price};
use crate::store::{StoreError, TurnClaim};

/// What a model said.
pub(super) struct Answer {
    /// Itself.
    pub(super) completion: Completion,
    /// What it cost, in millionths of a US dollar.
    pub(super) cost: i64,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The last that was asked said so.
    Fault(Fault),
    /// Nobody may be asked before that time: all have failed too often lately.
    NoneAvailableUntil(Time),
}

/// Asks one after the other until one answers. What is wrong with the message itself is not put to the next, which would say
/// the same; one that is too long is, if the next reads more.
pub(super) async fn ask_models(
    app: &App,
    claim: &TurnClaim,
    prompt: &Prompt,
) -> Result<Result<Answer, NoAnswer>, StoreError> {
    let mut last = None;
    let mut earliest_retry: Option<Time> = None;
    let mut too_small_context = 0;
    for assistant in &app.number_of(claim).assistants {
        if assistant.context_tokens <= too_small_context {
            continue;
        }
        let place = match acquire_permit(app, assistant).await {
            Ok(place) => place,
            Err(until) => {
                earliest_retry = Some(earliest_retry.map_or(until, |rest| rest.min(until)));
                continue;
            }
        };
        let breaker_guard = BreakerGuard(assistant);
        // The claim reserved a call for the first of them. Without another there is what is known of the last.
        if let Some(reservation) = &claim.reservation
            && !retry_while_unavailable(|| app.store.reserve_another_call(claim.turn, reservation)).await?
        {
            break;
        }
        let mut prompt = prompt.clone();
        let left_out = prompt.trim_to_tokens(assistant.max_prompt_tokens());
        if left_out > 0 {
            let model = assistant.provider.name();
            warn!(
                turn = claim.turn.0,
                model, left_out, "the model is not shown all that the contact said last: it reads no more"
            );
        }
        let mut usage_recorder = UsageRecorder::new(app, claim, assistant);
        let outcome = complete(assistant, place, &prompt, &usage_recorder.meter).await;
        std::mem::forget(breaker_guard);
        if let Ok(completion) = &outcome {
            usage_recorder.price = app.config.contact_policy.price(&completion.model).unwrap_or(usage_recorder.price);
        }
        let price = usage_recorder.price;
        drop(usage_recorder);
        let fault = match outcome {
            Ok(completion) => {
                assistant.breaker.record_success();
                let cost = price.cost_micros(completion.usage.input_tokens, completion.usage.output_tokens);
                return Ok(Ok(Answer { completion, cost }));
            }
            Err(fault) => fault,
        };
        match &fault {
            Fault::TooLong { .. } => {
                assistant.breaker.end_probe_undecided();
                too_small_context = assistant.context_tokens;
            }
            Fault::Fail { owner: FaultOwner::Message | FaultOwner::Contact, .. } => {
                assistant.breaker.end_probe_undecided();
                return Ok(Err(NoAnswer::Fault(fault)));
            }
            Fault::Retry { .. } | Fault::Unknown { .. } | Fault::Fail { owner: FaultOwner::Operator, .. } => {
                record_failure(app, assistant, &fault).await?;
            }
        }
        last = Some(fault);
    }
    Ok(Err(match (last, earliest_retry) {
        (Some(fault), _) => NoAnswer::Fault(fault),
        (None, rest) => NoAnswer::NoneAvailableUntil(rest.unwrap_or_else(|| app.clock.now())),
    }))
}

/// A call that is given up in the middle must not leave the others waiting for its verdict.
struct BreakerGuard<'a>(&'a Assistant);

impl Drop for BreakerGuard<'_> {
    fn drop(&mut self) {
        self.0.breaker.end_probe_undecided();
    }
}

/// The calls to one model, which are put down to the claim whatever becomes of them, also where they are given up in the
/// middle.
struct UsageRecorder<'a> {
    claim: &'a TurnClaim,
    meter: Meter,
    price: Price,
}

impl<'a> UsageRecorder<'a> {
    fn new(app: &App, claim: &'a TurnClaim, assistant: &Assistant) -> UsageRecorder<'a> {
        let price = assistant.model.as_deref().and_then(|model| app.config.contact_policy.price(model));
        UsageRecorder { claim, meter: Meter::default(), price: price.unwrap_or_default() }
    }
}

impl Drop for UsageRecorder<'_> {
    fn drop(&mut self) {
        let Some(reservation) = &self.claim.reservation else { return };
        let MeteredUsage { calls, calls_of_unknown_usage: unknown, usage } = self.meter.total();
        let tokens = i64::from(usage.input_tokens) + i64::from(usage.output_tokens);
        let micros = self.price.cost_micros(usage.input_tokens, usage.output_tokens);
        reservation.record_calls(Charge { calls: i64::from(calls), tokens, micros }, i64::from(unknown));
    }
}

async fn record_failure(app: &App, assistant: &Assistant, fault: &Fault) -> Result<(), StoreError> {
    let (name, why, now) = (assistant.provider.name(), fault.why(), app.clock.now());
    let after = if let Fault::Retry { retry_after: after, .. } = fault { *after } else { None };
    if assistant.breaker.record_failure(after, now) {
        error!(model = name, why, "the model fails again and again; it is left alone for a while");
        let message = format!("{name} fails again and again; the last: {why}");
        retry_while_unavailable(|| app.store.record_alert("model", name.to_owned(), message.clone(), now)).await?;
    } else {
        warn!(model = name, why, "the model gave no answer");
    }
    Ok(())
}

/// Waits for a place at a model that may be asked. The wait may be as long as several calls, and the model be found to fail
/// meanwhile, so those who have waited ask anew whether they may: they would run into one time-out after the other.
async fn acquire_permit<'a>(app: &App, assistant: &'a Assistant) -> Result<CallPermit<'a>, Time> {
    if let Some(until) = assistant.breaker.rests(app.clock.now()) {
        return Err(until);
    }
    let place = assistant.limit.acquire().await;
    assistant.breaker.try_call(app.clock.now())?;
    Ok(place)
}

async fn complete(
    assistant: &Assistant,
    _place: CallPermit<'_>,
    prompt: &Prompt,
    meter: &Meter,
) -> Result<Completion, Fault> {
    // A panic is a defect of ours, and must not leave the turn in nobody's hands.
    let asked = AssertUnwindSafe(assistant.provider.complete_metered(prompt, meter)).catch_unwind().await;
    let outcome = asked.unwrap_or_else(|_| Err(Fault::fail(FaultOwner::Message, "the model's adapter panicked")));
    match &outcome {
        Ok(_) => assistant.limit.record_success(),
        // One that is slow or talks nonsense is not helped by fewer questions at once.
        Err(Fault::Retry { outlook: RetryOutlook::Overload, .. }) => assistant.limit.record_overload(),
        Err(_) => {}
    }
    outcome
}
