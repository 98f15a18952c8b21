//! Answers a turn: reads the context window, asks the model, stores the reply and sends its first part.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::ask_models::{self, Answer, NoAnswer};
use super::attachments::{self, WindowWithAttachments};
use super::{
    answered_elsewhere, backoff, deliver, fixed_replies, loop_guard, output_filter, prompt_messages, requeue,
    retry_while_unavailable, typing_indicator,
};
use crate::ai::{Finish, Prompt};
use crate::app::App;
use crate::channel::Channel;
use crate::clock::Time;
use crate::fault::{Fault, FaultOwner};
use crate::metrics::ReplyKind;
use crate::model::{Outgoing, Role};
use crate::store::{
    BuiltInRequest, Draft, HandOver, MAX_PARTS_PER_TEXT, PartClaim, Reply, StoreError, TurnClaim, WindowLine,
};
use crate::text;

/// The longest wait that a model may ask for at its first refusal. At the second refusal the limit is half of it, at
/// the third a third, and so on. If a model asks for more, mynah gives up and tells the contact: an apology now is
/// better than an answer in hours. This keeps the sum of these waits below three quarters of an hour.
///
/// It is also how long a turn waits while every model's circuit breaker is open.
const MODEL_WAIT_TIMEOUT: Duration = Duration::from_secs(900);

/// How long a question beside a command waits before it tries again to get a model slot.
const NO_SLOT_DELAY: Duration = Duration::from_secs(1);

/// Answers a claimed turn. A turn that needs a model returns to the queue if it has no model slot.
pub(super) async fn answer(
    app: &App,
    claim: &TurnClaim,
    has_model_slot: bool,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    crate::failpoint::hit("after-claim");
    let Some(channel) = app.channel(&claim.channel, &claim.account, &claim.from) else {
        // The conversation's number has no channel, so nothing can be sent. The turn returns to the queue.
        return retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now() + backoff::TURN_LONGEST_WAIT))
            .await
            .map(drop);
    };
    let checked;
    let claim = if claim.may_be_answered {
        match answered_elsewhere::claim_if_not_answered(app, claim, channel.as_ref()).await? {
            Some(claim) => checked = claim,
            None => return Ok(()),
        }
        &checked
    } else {
        claim
    };
    let window = retry_while_unavailable(|| app.history(claim)).await?;
    debug!(attempt = claim.attempt, messages = window.len(), request = ?claim.request, "answering");
    // A turn counts once in the loop guard, however often it is claimed.
    if claim.is_first_claim
        && let Some(why) = loop_guard::detect_loop(app, claim, &window).await?
    {
        return loop_guard::pause_conversation(app, claim, why).await;
    }
    match claim.request {
        Some(BuiltInRequest::Operator) => {
            let drafts = retry_while_unavailable(|| app.store.turn_drafts(claim)).await?;
            let parts = drafts.into_iter().flat_map(|draft| split_draft(draft, channel.text_limit())).collect();
            send_reply(app, claim, Reply::Operator, parts).await
        }
        Some(request) if !fixed_replies::also_needs_model(app, request, claim, &window) => {
            let (reply, text) = fixed_replies::fixed_reply(app, claim, request);
            send_texts(app, claim, reply, text::split(&text, channel.text_limit(), MAX_PARTS_PER_TEXT)).await
        }
        request => {
            if app.number_of(claim).assistants.is_empty() {
                return retry_while_unavailable(|| {
                    app.store.release_turn(claim, app.clock.now() + backoff::TURN_LONGEST_WAIT)
                })
                .await
                .map(drop);
            }
            if let Some(budget) = claim.exhausted_budget {
                return apologize_over_budget(app, channel.as_ref(), claim, budget).await;
            }
            if !has_model_slot {
                return retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now() + NO_SLOT_DELAY))
                    .await
                    .map(drop);
            }
            let before = request.map(|request| fixed_replies::fixed_reply(app, claim, request).1).into_iter().collect();
            answer_by_model(app, claim, channel, before, window, stop).await
        }
    }
}

/// Tells the contact that a budget is spent, and raises an alert, without asking a model.
async fn apologize_over_budget(
    app: &App,
    channel: &dyn Channel,
    claim: &TurnClaim,
    budget: &str,
) -> Result<(), StoreError> {
    let why = format!("the budget {budget} is spent");
    error!(why, "a budget is spent, so no model is asked");
    let now = app.clock.now();
    retry_while_unavailable(|| app.store.record_alert("budget", budget.to_owned(), why.clone(), now)).await?;
    apologise(app, channel, claim, &app.number_of(claim).config.texts.budget, why).await
}

/// Asks the model and stores its answer. `leading_texts` are texts of our own that go before the answer.
async fn answer_by_model(
    app: &App,
    claim: &TurnClaim,
    channel: &Arc<dyn Channel>,
    mut leading_texts: Vec<String>,
    window: Vec<WindowLine>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let latest = || window.iter().rev().find_map(|line| line.provider_id.clone());
    let typing = app.config.work.typing.then(latest).flatten();
    let typing = typing.map(|inbound| typing_indicator::keep_typing(Arc::clone(channel), inbound));
    let own = &app.number_of(claim).config;
    let attachments_read = tokio::select! {
        biased;
        seen = attachments::read_all(app, claim, channel, window) => seen?,
        () = stop.cancelled() => {
            return retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now())).await.map(drop);
        }
    };
    let Some(WindowWithAttachments { window, has_unreadable: unreadable, is_only_unreadable: nothing_else }) =
        attachments_read
    else {
        // The contact opted out meanwhile, for example. Releasing a stale claim settles what it reserved and changes
        // nothing else.
        let claim_held = retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now())).await?;
        log_if_stale(claim_held);
        return Ok(());
    };
    if unreadable {
        leading_texts.push(own.texts.media.clone());
    }
    if nothing_else {
        let reply = Reply::OwnText { text: leading_texts.join("\n\n"), hand_over: None };
        return send_texts(app, claim, reply, leading_texts).await;
    }
    if window.len() >= own.max_context_messages && window.iter().all(|line| line.turn == claim.turn) {
        let shown = window.len();
        warn!(shown, "the contact's latest messages fill the context window, so the model sees no earlier ones");
    }
    let pictures = attachments::load_pictures(app, claim, &window).await?;
    let prompt = Prompt {
        system: own.system_prompt.clone(),
        messages: prompt_messages::from_window(window, pictures),
        may_hand_over: own.model_may_hand_over,
    };
    let answering = app.running_turns.begin(claim.turn);
    let outcome = tokio::select! {
        biased;
        outcome = ask_models::ask_models(app, claim, &prompt) => outcome?,
        () = stop.cancelled() => {
            return retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now())).await.map(drop);
        }
        // The contact wrote more, which has normally returned the turn to the queue already, or was erased. Releasing it
        // covers the rest.
        () = answering.cancellation.cancelled() => {
            info!("the answer is no longer wanted: the contact wrote more, or was erased");
            return retry_while_unavailable(|| app.store.release_turn(claim, app.clock.now())).await.map(drop);
        }
    };
    drop((typing, answering));
    match outcome {
        Ok(Answer { completion, cost }) => {
            let hand_over =
                completion.hand_over.map(|why| fixed_replies::hand_over(app, why, Some(own.texts.human.clone())));
            let wordless = completion.text.trim().is_empty() && hand_over.is_none();
            let declined = completion.finish == Finish::Refusal && wordless;
            let text = if declined { own.texts.declined.clone() } else { completion.text };
            let output_filter::FilteredAnswer { sent_text: sent, history_text: said } =
                output_filter::filter_answer(app, claim, &text).await;
            let mut parts = text::split(&sent, channel.text_limit(), MAX_PARTS_PER_TEXT);
            if parts.is_empty() && hand_over.is_none() {
                let why = "the model's answer contains no text".to_owned();
                return retry_later(app, channel.as_ref(), claim, Fault::retry(why)).await;
            }
            parts.splice(..0, leading_texts);
            let (model, usage) = (completion.model, completion.usage);
            let reply = Reply::Answer { text: said, model, usage, cost, hand_over };
            send_texts(app, claim, reply, parts).await
        }
        Err(NoAnswer::NoneAvailableUntil(until)) => wait_for_model(app, channel.as_ref(), claim, until).await,
        Err(NoAnswer::Fault(fault)) => retry_or_apologize(app, channel.as_ref(), claim, fault).await,
    }
}

/// Puts a turn back until a model may be asked, without using up an attempt, but gives up after [`MODEL_WAIT_TIMEOUT`].
/// That time counts from `waiting_since`, so a message that arrived late or was held back may wait as long as any
/// other.
async fn wait_for_model(app: &App, channel: &dyn Channel, claim: &TurnClaim, until: Time) -> Result<(), StoreError> {
    let now = app.clock.now();
    if now.since(claim.waiting_since) > MODEL_WAIT_TIMEOUT {
        let why = "no model could be asked for too long, because each of them kept failing".to_owned();
        return apologise(app, channel, claim, &app.number_of(claim).config.texts.busy, why).await;
    }
    log_if_stale(retry_while_unavailable(|| app.store.release_turn(claim, until)).await?);
    app.wake.notify_one();
    Ok(())
}

async fn retry_or_apologize(
    app: &App,
    channel: &dyn Channel,
    claim: &TurnClaim,
    fault: Fault,
) -> Result<(), StoreError> {
    match fault {
        // Retrying is safe: a model call has no effect that a second call would double.
        fault @ (Fault::Retry { .. } | Fault::Unknown { .. }) => retry_later(app, channel, claim, fault).await,
        fault @ (Fault::TooLong { .. } | Fault::Fail { .. }) => {
            if matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }) {
                error!(why = fault.why(), "the turn cannot be answered; the operator must act");
                let now = app.clock.now();
                let subject = ask_models::answers_subject(app, claim);
                retry_while_unavailable(|| {
                    app.store.record_alert("model", subject.clone(), fault.why().to_owned(), now)
                })
                .await?;
            } else {
                warn!(why = fault.why(), "the turn cannot be answered");
            }
            apologise(app, channel, claim, fixed_replies::apology(app, claim, &fault), fault.why().to_owned()).await
        }
    }
}

/// Schedules a retry, or apologizes if the retries are used up or would come too late.
async fn retry_later(app: &App, channel: &dyn Channel, claim: &TurnClaim, fault: Fault) -> Result<(), StoreError> {
    let sorry = fixed_replies::apology(app, claim, &fault);
    let (after, why) = match fault {
        Fault::Retry { retry_after: after, why, .. } => (after, why),
        other => (None, other.why().to_owned()),
    };
    if let Some(after) = after
        && after * u32::try_from(claim.attempt).unwrap_or(u32::MAX) > MODEL_WAIT_TIMEOUT
    {
        warn!(
            attempts = claim.attempt,
            ?after,
            why,
            "the model asks for a longer wait than a contact can be expected to accept"
        );
        let why = format!("no answer in reasonable time: the model asks to wait for {} s; {why}", after.as_secs());
        return apologise(app, channel, claim, sorry, why).await;
    }
    let due =
        app.clock.now() + backoff::wait(claim.attempt, backoff::TURN_FIRST_WAIT, backoff::TURN_LONGEST_WAIT, after);
    if claim.attempt >= backoff::MAX_TURN_ATTEMPTS || due >= claim.deadline {
        warn!(attempts = claim.attempt, why, "no answer after all attempts");
        let why = format!("no answer after {} attempts; the last error: {why}", claim.attempt);
        return apologise(app, channel, claim, sorry, why).await;
    }
    warn!(attempt = claim.attempt, why, "no answer yet; retrying later");
    log_if_stale(retry_while_unavailable(|| app.store.retry_turn(claim, due, why.clone())).await?);
    app.wake.notify_one();
    Ok(())
}

/// Tells the contact once that there is no answer. The turn ends `dead` with the reason.
async fn apologise(
    app: &App,
    channel: &dyn Channel,
    claim: &TurnClaim,
    sorry: &str,
    why: String,
) -> Result<(), StoreError> {
    let mut parts = text::split(sorry, channel.text_limit(), MAX_PARTS_PER_TEXT);
    if parts.is_empty() {
        parts.push("…".into());
    }
    // A command beside the question still gets its fixed reply.
    parts.splice(..0, claim.request.map(|request| fixed_replies::fixed_reply(app, claim, request).1));
    send_texts(app, claim, Reply::Apology { why }, parts).await
}

/// Splits an operator's message into parts that can be sent.
fn split_draft(draft: Draft, limit: usize) -> Vec<Draft> {
    if draft.template.is_some() {
        return vec![draft];
    }
    let text = text::sanitize(&draft.text).into_owned();
    if draft.file.is_some() {
        return vec![Draft { text, ..draft }];
    }
    text::split(&text, limit, MAX_PARTS_PER_TEXT).into_iter().map(Draft::from).collect()
}

/// Stores and sends a reply that consists of text only.
async fn send_texts(app: &App, claim: &TurnClaim, reply: Reply, parts: Vec<String>) -> Result<(), StoreError> {
    send_reply(app, claim, reply, parts.into_iter().map(Draft::from).collect()).await
}

/// Stores the reply and sends its first part, if there is time for that.
async fn send_reply(app: &App, claim: &TurnClaim, reply: Reply, parts: Vec<Draft>) -> Result<(), StoreError> {
    crate::failpoint::hit("before-reply");
    let now = app.clock.now();
    if now >= claim.deadline {
        // An answer that is not sent must not enter the history. The next claim ends the turn, or has it answered again
        // if the contact has written in the meantime.
        let why = match reply {
            Reply::Answer { .. } | Reply::OwnText { .. } | Reply::Operator => {
                "the answer came after its deadline".to_owned()
            }
            Reply::Apology { why } => why,
        };
        warn!(why, "the answer came too late to be sent");
        log_if_stale(retry_while_unavailable(|| app.store.retry_turn(claim, now, why.clone())).await?);
        app.wake.notify_one();
        return Ok(());
    }
    // If a person takes over meanwhile, a command still gets its fixed reply, but the question beside it is left to
    // them.
    let reply_if_human = match (&reply, claim.request) {
        (Reply::Answer { .. } | Reply::Apology { .. }, Some(request)) => {
            let (reply, text) = fixed_replies::fixed_reply(app, claim, request);
            Some((reply, vec![Draft::from(text)]))
        }
        _ => None,
    };
    let replied = retry_while_unavailable(|| {
        app.store.reply_unless_human(claim, reply.clone(), parts.clone(), reply_if_human.clone(), now)
    })
    .await?;
    let Some(replied) = replied else {
        info!("nothing is sent: another worker took over, or the conversation ended");
        app.wake.notify_one();
        return Ok(());
    };
    let reply = reply_if_human.filter(|_| replied.is_alternative).map_or(reply, |(reply, _)| reply);
    let kind = reply_kind(&reply);
    debug!(reply = ?kind, parts = parts.len(), "the reply is stored");
    if let Reply::OwnText { hand_over: Some(HandOver { why, .. }), .. }
    | Reply::Answer { hand_over: Some(HandOver { why, .. }), .. } = &reply
    {
        error!(why, "a person is wanted");
    }
    if let Reply::Answer { text, .. } | Reply::OwnText { text, .. } = reply {
        let line = WindowLine { turn: claim.turn, role: Role::Assistant, content: text, provider_id: None };
        app.append_to_history(claim.conversation, replied.revision, Some(&line)).await;
    }
    let first = PartClaim {
        token: replied.token,
        attempt: 1,
        conversation: claim.conversation,
        channel: claim.channel.clone(),
        account: claim.account.clone(),
        deadline: replied.draft.expires_at.unwrap_or(claim.free_text_until),
        file: replied.draft.file,
        outgoing: Outgoing {
            from: claim.from.clone(),
            to: replied.to,
            text: replied.draft.text,
            template: replied.draft.template,
            media_url: None,
            reference: replied.part,
        },
    };
    requeue::run_part(app, &first, deliver::deliver(app, &first)).await?;
    app.metrics.turns.record(kind, app.clock.now().since(claim.waiting_since));
    Ok(())
}

fn reply_kind(reply: &Reply) -> ReplyKind {
    match reply {
        Reply::Answer { .. } => ReplyKind::Answer,
        Reply::OwnText { .. } => ReplyKind::FixedText,
        Reply::Apology { .. } => ReplyKind::Apology,
        Reply::Operator => ReplyKind::Operator,
    }
}

fn log_if_stale(claim_held: bool) {
    if !claim_held {
        info!("another worker took over");
    }
}
