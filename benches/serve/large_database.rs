//! Generates a database like one after busy years.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use rusqlite::Connection;

use super::server_process::mynah;

/// Answered turns that make about a gigabyte: 3.3 KB each, with two messages.
pub const GIGABYTE: u32 = 290_000;
/// Answered turns that make ten million messages.
pub const TEN_MILLION: u32 = 5_000_000;

/// Generates a database of `turns` answered turns in `folder`, where [`super::server_process::Server::mynah`] expects
/// it. Returns its size in bytes. `mynah migrate` creates its schema.
pub fn generate(folder: &Path, turns: u32) -> Result<u64> {
    let data = folder.join("data");
    let migrate = Command::new(mynah())
        .arg("migrate")
        .current_dir(folder)
        .env_clear()
        .env("MYNAH_DATA_DIR", &data)
        .stdout(Stdio::null())
        .status()?;
    ensure!(migrate.success(), "mynah migrate failed: {migrate}");
    let path = data.join("mynah.db");
    let connection = Connection::open(&path)?;
    // One turn every 100 s, the last on 9 October 2025. The ids of conversations and messages are UUIDv7s of their
    // times.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = OFF;
         PRAGMA synchronous = OFF;
         PRAGMA cache_size = -2000000;
         PRAGMA foreign_keys = OFF;
         BEGIN;
         CREATE TEMP TABLE n AS
             WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {turns})
             SELECT n, n % 30000 AS contact, 1760000000000 - ({turns} - n) * 100000 AS at FROM c;
         INSERT INTO contacts (id, name, created_at) SELECT n, 'Maria Garcia', at FROM n WHERE n <= 30000;
         INSERT INTO addresses (kind, value, contact_id, created_at)
             SELECT 'phone', printf('+1777%07d', id), id, created_at FROM contacts;
         INSERT INTO conversations (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at)
             SELECT unhex(printf('%012x7000800000%06x', created_at, id)), id, 'twilio', 'whatsapp:+14155238886',
                 printf('whatsapp:+1777%07d', id), created_at, 1760000000000 FROM contacts;
         INSERT INTO turns (id, conversation_id, state, created_at, claimed_at, finished_at, attempts, model,
                 input_tokens, output_tokens, tokens_estimated)
             SELECT n, c.id, 'done', at, at, at + 900, 1, 'bench', 212, 96, 0
             FROM n JOIN conversations c ON c.contact_id = n.contact + 1;
         INSERT INTO messages (id, conversation_id, turn_id, role, content, metadata, channel, provider_id, created_at)
             SELECT unhex(printf('%012x7000800001%06x', created_at, id)), conversation_id, id, 'user',
                 'Hello! Do you have a table for four on Friday evening, near the window if possible?',
                 '{{\"ChannelMetadata\":\"' || hex(zeroblob(60)) || '\",\"ProfileName\":\"Maria Garcia\"}}',
                 'twilio', printf('SM%032x', 1000000000 + id), created_at
             FROM turns ORDER BY id;
         INSERT INTO messages (id, conversation_id, turn_id, role, content, metadata, created_at)
             SELECT unhex(printf('%012x7001800002%06x', finished_at, id)), conversation_id, id, 'assistant',
                 'Yes, we have a table. ' || hex(zeroblob(150)), '{{}}', finished_at
             FROM turns ORDER BY id;
         INSERT INTO parts (id, conversation_id, body, state, attempts, first_tried_at, sent_at, provider_id,
                 status, status_rank, status_at)
             SELECT id * 16 + 1, conversation_id, 'Yes, we have a table. ' || hex(zeroblob(150)), 'sent', 1, finished_at,
                 finished_at, printf('SM%032x', 2000000000 + id), 'delivered', 5, finished_at
             FROM turns ORDER BY id;
         INSERT INTO webhook_log (channel, received_at, path, headers, body, status, processing_us, message_id)
             SELECT 'twilio', created_at, '/webhooks/twilio', hex(zeroblob(210)), hex(zeroblob(390)), 200, 900, id
             FROM messages WHERE role = 'user' ORDER BY id;
         COMMIT;
         PRAGMA journal_mode = WAL;"
    ))?;
    drop(connection);
    Ok(std::fs::metadata(path)?.len())
}
