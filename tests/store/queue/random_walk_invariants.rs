//! What must hold after each step of a random walk, and what must have happened by its end.

use mynah::model::{PartRef, TurnId};

use super::random_walk::RandomWalk;
use crate::setup::fresh_store::sid;

impl RandomWalk<'_> {
    /// The turn, if it is about to be sent to a contact who opted out or is blocked.
    pub(super) fn unwanted_turns(&self, turn: TurnId) -> Vec<String> {
        self.fresh.rows(&format!(
            "SELECT t.id, t.command FROM turns t JOIN conversations c ON c.id = t.conversation_id
             JOIN contacts p ON p.id = c.contact_id WHERE t.id = {turn} AND (p.blocked_at IS NOT NULL
             OR (p.opted_out_at IS NOT NULL AND COALESCE(t.command, '') <> 'opt_out'))"
        ))
    }

    /// Each row that the query finds names a violation.
    pub(super) fn check_invariants(&mut self) {
        const INVARIANT_VIOLATIONS: &str = "
            SELECT 'two open turns in a conversation' FROM turns WHERE state = 'open'
                GROUP BY conversation_id HAVING COUNT(*) > 1
            UNION ALL SELECT 'two active turns in a conversation' FROM turns
                WHERE state IN ('running', 'retry', 'sending') GROUP BY conversation_id HAVING COUNT(*) > 1
            UNION ALL SELECT 'two parts of a conversation in flight' FROM parts
                WHERE state IN ('sending', 'unknown') GROUP BY conversation_id HAVING COUNT(*) > 1
            UNION ALL SELECT 'a message of no turn of its conversation ' || m.provider_id FROM messages m
                LEFT JOIN turns t ON t.id = m.turn_id AND t.conversation_id = m.conversation_id WHERE t.id IS NULL
            UNION ALL SELECT 'a turn without a message ' || id FROM turns t WHERE NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.turn_id = t.id)
            UNION ALL SELECT 'two answers of a turn ' || turn_id FROM messages m JOIN turns t ON t.id = m.turn_id
                WHERE m.role = 'assistant' AND COALESCE(t.command, '') <> 'operator'
                GROUP BY turn_id HAVING COUNT(*) > 1
            UNION ALL SELECT 'an operator who is not heard ' || m.turn_id FROM messages m JOIN turns t ON t.id = m.turn_id
                WHERE m.role = 'operator' AND COALESCE(t.command, '') <> 'operator'
            UNION ALL SELECT 'a contact who is closed with an operator ' || m.turn_id FROM messages m
                JOIN turns t ON t.id = m.turn_id
                WHERE m.role = 'user' AND t.command = 'operator' AND t.state IN ('running', 'sending', 'done')
            UNION ALL SELECT 'two conversations of a contact ' || contact_id FROM conversations WHERE ended_at IS NULL
                GROUP BY contact_id HAVING COUNT(*) > 1
            UNION ALL SELECT 'two user IDs of a contact ' || contact_id FROM addresses WHERE kind = 'bsuid'
                GROUP BY contact_id HAVING COUNT(*) > 1
            UNION ALL SELECT 'a conversation of nobody ' || reply_to FROM conversations c
                WHERE NOT EXISTS (SELECT 1 FROM contacts p WHERE p.id = c.contact_id)
            UNION ALL SELECT 'an answer that goes to somebody else ' || reply_to FROM conversations c JOIN addresses a
                ON c.reply_to = 'whatsapp:' || a.value WHERE a.contact_id <> c.contact_id
            UNION ALL SELECT 'a part before its turn ' || p.turn_id FROM parts p JOIN parts e
                ON e.turn_id = p.turn_id AND e.number < p.number AND e.state <> 'sent'
                WHERE p.state IN ('sending', 'unknown', 'sent')
            UNION ALL SELECT 'a gap in the parts of ' || turn_id FROM parts
                GROUP BY turn_id HAVING MIN(number) <> 1 OR MAX(number) <> COUNT(*)
            UNION ALL SELECT 'a part of another conversation ' || p.turn_id FROM parts p JOIN turns t ON t.id = p.turn_id
                WHERE t.conversation_id <> p.conversation_id
            UNION ALL SELECT 'an end and no end ' || id FROM turns
                WHERE (state IN ('done', 'dead', 'expired', 'skipped')) <> (finished_at IS NOT NULL)
            UNION ALL SELECT 'an ended turn that is due or held ' || id FROM turns
                WHERE state IN ('done', 'dead', 'expired', 'skipped') AND (due_at IS NOT NULL OR token IS NOT NULL)
            UNION ALL SELECT 'a claim without a token ' || id FROM turns WHERE (state = 'running') <> (token IS NOT NULL)
            UNION ALL SELECT 'a turn that is sent by nobody ' || t.id FROM turns t WHERE t.state = 'sending' AND 1 <> (
                SELECT COUNT(*) FROM parts p WHERE p.turn_id = t.id AND (p.state = 'sending'
                    OR (p.state IN ('ready', 'unknown') AND p.due_at IS NOT NULL)))
            UNION ALL SELECT 'parts in the air of a turn that is not sending ' || t.id FROM parts p
                JOIN turns t ON t.id = p.turn_id
                WHERE p.state IN ('ready', 'sending', 'unknown') AND t.state <> 'sending'
            UNION ALL SELECT 'done but not sent ' || t.id FROM turns t WHERE t.state = 'done' AND (
                NOT EXISTS (SELECT 1 FROM parts p WHERE p.turn_id = t.id)
                OR EXISTS (SELECT 1 FROM parts p WHERE p.turn_id = t.id AND p.state <> 'sent'))
            UNION ALL SELECT 'waits for nobody, or not for the one it should ' || o.id FROM turns o
                WHERE o.state = 'open' AND (o.due_at IS NULL) <> EXISTS (
                    SELECT 1 FROM turns a WHERE a.conversation_id = o.conversation_id
                    AND a.state IN ('running', 'retry', 'sending'))
            UNION ALL SELECT 'a retry without a time ' || id FROM turns WHERE state = 'retry' AND due_at IS NULL
            UNION ALL SELECT 'out of order ' || t.id FROM turns t JOIN turns l
                ON l.conversation_id = t.conversation_id AND l.id > t.id AND l.claimed_at IS NOT NULL
                WHERE t.state IN ('open', 'running', 'retry', 'sending')
            UNION ALL SELECT 'sent without an id ' || turn_id FROM parts
                WHERE (state = 'sent') <> (provider_id IS NOT NULL)";
        let wrong = self.fresh.rows(INVARIANT_VIOLATIONS);
        assert!(wrong.is_empty(), "{wrong:?} after {}", self.last_step);
        for row in self.fresh.rows("SELECT id, state, finished_at FROM turns WHERE finished_at IS NOT NULL") {
            let (turn, end) = row.split_once('|').unwrap();
            let first = self.turn_ends.entry(turn.parse().unwrap()).or_insert_with(|| end.to_owned());
            assert_eq!(first, end, "turn {turn} ended twice, after {}", self.last_step);
        }
        for row in self.fresh.rows("SELECT turn_id, number, provider_id FROM parts WHERE state = 'sent'") {
            let cells: Vec<&str> = row.split('|').collect();
            let part = PartRef { turn: TurnId(cells[0].parse().unwrap()), number: cells[1].parse().unwrap() };
            assert_eq!(self.created_at_provider.get(&part), Some(&sid(cells[2])), "{part} after {}", self.last_step);
        }
    }

    pub(super) fn check_final_states(&self) {
        assert_eq!(
            self.fresh.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'"),
            [self.received_messages.len().to_string()]
        );
        let ends = self.fresh.rows("SELECT state, COUNT(*) FROM turns GROUP BY state ORDER BY state");
        // A walk in which all turns end in the same state tests little.
        for end in ["dead|", "done|", "expired|"] {
            assert!(ends.iter().any(|row| row.starts_with(end)), "{ends:?}");
        }
        let states = self.fresh.rows("SELECT DISTINCT state FROM parts ORDER BY state");
        assert!(["failed", "sent"].iter().all(|state| states.iter().any(|found| found == state)), "{states:?}");
    }
}
