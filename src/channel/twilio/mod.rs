//! WhatsApp through Twilio.
