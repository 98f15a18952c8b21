//! Who writes: addresses of one person, contacts that are merged, opt-outs and blocks.

pub mod addresses;
pub mod merge;
pub mod opt_out_and_block;
mod two_addresses;
