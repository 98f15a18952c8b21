//! mynah serve while all goes well: messages answered, stopped by a signal, several numbers, files that others cannot
//! read.

mod alerts;
mod canaries;
mod file_permissions;
mod live_settings;
mod logs;
mod messages;
mod metrics;
mod monitoring_files;
mod stopping;
mod two_numbers;
mod without_a_model;
