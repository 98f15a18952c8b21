//! Text for WhatsApp: Markdown turned into its markup, and long texts split into messages.
