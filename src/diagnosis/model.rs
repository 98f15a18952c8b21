//! The models: each one answers a short prompt.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use super::finding::Finding;
use crate::ai::{Prompt, PromptMessage, Provider};
use crate::app::{App, Assistant, Number};
use crate::model::Role;

pub(super) const NAME: &str = "model";
const FALLBACK: &str = "fallback";

const REMEDY: &str = "check the model's server, its address and its key; `mynah serve` retries by itself meanwhile";

/// Asks every model of every number. Numbers can share a model, which is asked once.
pub(super) async fn check(app: &App, offline: bool) -> Vec<Finding> {
    let mut assistants: Vec<&Arc<Assistant>> = Vec::new();
    for assistant in app.numbers.iter().flat_map(|number| &number.assistants) {
        if !assistants.iter().any(|known| Arc::ptr_eq(known, assistant)) {
            assistants.push(assistant);
        }
    }
    let answers = join_all(
        assistants
            .iter()
            .map(|assistant| async { if offline { None } else { Some(ask(assistant.provider.as_ref()).await) } }),
    );
    let answers: Vec<_> = assistants.iter().copied().zip(answers.await).collect();
    let answer_of = |assistant: &Arc<Assistant>| {
        let found = answers.iter().find(|(known, _)| Arc::ptr_eq(known, assistant));
        found.and_then(|(_, answer)| answer.as_ref())
    };
    let mut findings = Vec::new();
    for number in &app.numbers {
        let name = app.name_if_several(number);
        findings.extend(judge_absence(app, number).map(|finding| finding.of_number(name)));
        let checks = std::iter::once(NAME).chain(std::iter::repeat(FALLBACK));
        for (check, assistant) in checks.zip(&number.assistants) {
            let finding = match answer_of(assistant) {
                None => Finding::skipped(check, "configured, not called (--offline)"),
                Some(Ok(found)) => Finding::ok(check, found),
                Some(Err(why)) => Finding::of_fault(check, why, REMEDY),
            };
            findings.push(finding.of_number(name));
        }
    }
    findings
}

/// Judges a number that has no model.
fn judge_absence(app: &App, number: &Number) -> Option<Finding> {
    if !number.assistants.is_empty() {
        None
    } else if number.channel.is_none() && app.has_any_model() {
        let found = "no model is set; nobody can write to this number, because it has no sender";
        Some(Finding::skipped(NAME, found))
    } else {
        let remedy = "set MYNAH_AI_PROVIDER, OPENAI_API_KEY or ANTHROPIC_API_KEY";
        Some(Finding::failed(NAME, "not configured: messages are accepted and wait", remedy))
    }
}

/// Asks for one word. A model that is listed may still refuse to answer, for example because the account is empty.
async fn ask(provider: &dyn Provider) -> Result<String, String> {
    let why = |fault: crate::fault::Fault| fault.why().to_owned();
    let found = provider.check().await.map_err(why)?;
    let prompt = Prompt {
        system: "You are being tested. Answer with one word.".to_owned(),
        messages: vec![PromptMessage::new(Role::User, "Hello")],
        may_hand_over: false,
    };
    let began = Instant::now();
    provider.complete(&prompt).await.map_err(why)?;
    Ok(format!("{found}; a test prompt was answered in {:.1} s", began.elapsed().as_secs_f32()))
}
