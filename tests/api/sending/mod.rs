//! What goes out: parts posted once each, delivery statuses, operators' files, templates, and WhatsApp's 24 hours.

mod customer_service_window;
mod delivery_status;
mod operator_files;
mod parts;
mod templates;
