//! The other commands at the shell, what they print, and their exit statuses.

mod ai;
mod alerts;
mod backup;
mod beside_a_server;
mod chat;
mod check;
mod check_behind_proxies;
mod demo;
mod erase;
mod exit_statuses;
mod export;
mod help;
mod init;
mod number;
mod operator;
mod read_file;
mod restore;
mod schedule;
mod secret;
mod send_test;
mod settings;
mod shell;
mod short_ids;
