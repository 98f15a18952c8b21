//! The admin page: who gets in, who may do what, and what the pages show.

mod access;
mod browser;
mod pages;
mod signing_in;
