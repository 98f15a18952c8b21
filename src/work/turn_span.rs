//! The span of a turn. Its fields stand on each line that is logged while somebody works on the turn.

use tracing::{Span, error_span};

use super::WorkItem;
use crate::app::App;
use crate::model::{ConversationId, TurnId};

/// Where a turn belongs.
pub(super) struct TurnPlace<'a> {
    pub(super) turn: TurnId,
    pub(super) conversation: ConversationId,
    pub(super) channel: &'a str,
    pub(super) account: &'a str,
    pub(super) our_address: &'a str,
}

impl TurnPlace<'_> {
    /// Returns the span. `number` is our number, if there are several.
    pub(super) fn span(&self, app: &App) -> Span {
        let number = app.name_if_several(app.number(self.account, self.our_address));
        let conversation = tracing::field::display(self.conversation);
        error_span!("turn", turn = self.turn.0, conversation, number, channel = self.channel)
    }
}

impl WorkItem {
    /// Returns the turn that the work is about.
    pub(super) fn place(&self) -> TurnPlace<'_> {
        match self {
            WorkItem::Answer(claim) => TurnPlace {
                turn: claim.turn,
                conversation: claim.conversation,
                channel: &claim.channel,
                account: &claim.account,
                our_address: &claim.from,
            },
            WorkItem::Deliver(claim) => TurnPlace {
                turn: claim.outgoing.reference.turn,
                conversation: claim.conversation,
                channel: &claim.channel,
                account: &claim.account,
                our_address: &claim.outgoing.from,
            },
            WorkItem::Reconcile(claim) => TurnPlace {
                turn: claim.part.turn,
                conversation: claim.conversation,
                channel: &claim.channel,
                account: &claim.account,
                our_address: &claim.from,
            },
        }
    }
}
