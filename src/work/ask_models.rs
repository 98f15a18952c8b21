//! Asks the first model, and the fallback models if it fails.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::{debug, error, warn};

use super::{alerts, retry_while_unavailable};
use crate::ai::{Completion, Meter, MeteredUsage, Prompt};
use crate::app::{App, Assistant};
use crate::clock::Time;
use crate::concurrency_limit::CallPermit;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::metrics::ModelCall;
use crate::model::{Charge, Price, Usage};
use crate::store::{StoreError, TurnClaim};

/// The answer of a model.
pub(super) struct Answer {
    /// The model's response.
    pub(super) completion: Completion,
    /// The cost of the call, in millionths of a US dollar.
    pub(super) cost: i64,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The fault of the last model that was asked.
    Fault(Fault),
    /// The circuit breaker of every model is open until that time at the earliest.
    NoneAvailableUntil(Time),
}

/// Asks the models in order until one answers. If the message itself is at fault, the next model is not asked, because
/// it would refuse it too. If the prompt is too long, only models with a larger context window are asked next.
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
                earliest_retry = Some(earliest_retry.map_or(until, |earliest| earliest.min(until)));
                continue;
            }
        };
        let breaker_guard = BreakerGuard(assistant);
        // The claim reserved one call. If the budget allows no further call, the last fault is the result.
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
                model,
                left_out,
                "the contact's latest messages do not fit into the model's context window; the oldest are left out"
            );
        }
        debug!(model = assistant.provider.name(), messages = prompt.messages.len(), "asking the model");
        let mut usage_recorder = UsageRecorder::new(app, claim, assistant);
        let outcome = complete(assistant, place, &prompt, &usage_recorder.meter).await;
        usage_recorder.call.end(outcome.as_ref().err());
        std::mem::forget(breaker_guard);
        if let Ok(completion) = &outcome {
            usage_recorder.price = app.config.contact_policy.price(&completion.model).unwrap_or(usage_recorder.price);
        }
        let price = usage_recorder.price;
        drop(usage_recorder);
        let fault = match outcome {
            Ok(completion) => {
                let Usage { input_tokens, output_tokens, .. } = completion.usage;
                debug!(model = completion.model, input_tokens, output_tokens, "the model answered");
                assistant.breaker.record_success();
                alerts::record_recovery(app, "model", assistant.provider.name()).await;
                alerts::record_recovery(app, "model", &answers_subject(app, claim)).await;
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
        (None, earliest) => NoAnswer::NoneAvailableUntil(earliest.unwrap_or_else(|| app.clock.now())),
    }))
}

/// Ends the circuit breaker's probe if a call is canceled. Other turns would otherwise wait for its result.
struct BreakerGuard<'a>(&'a Assistant);

impl Drop for BreakerGuard<'_> {
    fn drop(&mut self) {
        self.0.breaker.end_probe_undecided();
    }
}

/// Counts the calls to one model. When dropped, it charges them to the claim's reservation, even if they were canceled.
struct UsageRecorder<'a> {
    claim: &'a TurnClaim,
    meter: Meter,
    price: Price,
    call: ModelCall<'a>,
}

impl<'a> UsageRecorder<'a> {
    fn new(app: &'a App, claim: &'a TurnClaim, assistant: &Assistant) -> UsageRecorder<'a> {
        let price = assistant.model.as_deref().and_then(|model| app.config.contact_policy.price(model));
        let call = app.metrics.model_calls.begin(assistant.provider.name(), assistant.model.as_deref());
        UsageRecorder { claim, meter: Meter::default(), price: price.unwrap_or_default(), call }
    }
}

impl Drop for UsageRecorder<'_> {
    fn drop(&mut self) {
        let MeteredUsage { calls, calls_of_unknown_usage: unknown, usage } = self.meter.total();
        let micros = self.price.cost_micros(usage.input_tokens, usage.output_tokens);
        self.call.record_usage(usage, micros);
        let Some(reservation) = &self.claim.reservation else { return };
        let tokens = i64::from(usage.input_tokens) + i64::from(usage.output_tokens);
        reservation.record_calls(Charge { calls: i64::from(calls), tokens, micros }, i64::from(unknown));
    }
}

/// The subject of the alert that a number's questions are not answered.
pub(super) fn answers_subject(app: &App, claim: &TurnClaim) -> String {
    let number = app.name_if_several(app.number_of(claim));
    number.map_or("answers".to_owned(), |name| format!("answers on {name}"))
}

async fn record_failure(app: &App, assistant: &Assistant, fault: &Fault) -> Result<(), StoreError> {
    let (name, why, now) = (assistant.provider.name(), fault.why(), app.clock.now());
    let after = if let Fault::Retry { retry_after: after, .. } = fault { *after } else { None };
    if assistant.breaker.record_failure(after, now) {
        error!(model = name, why, "the model keeps failing; it is not asked for a while");
        let message = format!("{name} keeps failing; the last error: {why}");
        retry_while_unavailable(|| app.store.record_alert("model", name.to_owned(), message.clone(), now)).await?;
    } else {
        warn!(model = name, why, "the model gave no answer");
    }
    Ok(())
}

/// Waits for a permit to call a model. The wait may be as long as several calls, and the circuit breaker may open
/// meanwhile, so this checks the breaker again after the wait. Otherwise the waiting turns would run into one timeout
/// after the other.
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
    // A panic is a bug in mynah. It must not leave the turn without an owner.
    let asked = AssertUnwindSafe(assistant.provider.complete_metered(prompt, meter)).catch_unwind().await;
    let outcome = asked.unwrap_or_else(|_| Err(Fault::fail(FaultOwner::Message, "the model adapter panicked")));
    match &outcome {
        Ok(_) => assistant.limit.record_success(),
        // Fewer concurrent calls do not help a model that is slow or returns nonsense.
        Err(Fault::Retry { outlook: RetryOutlook::Overload, .. }) => assistant.limit.record_overload(),
        Err(_) => {}
    }
    outcome
}
