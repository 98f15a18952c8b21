//! SQL stands in the store alone.

use std::fs;

use super::imports::{root, rust_files};

#[test]
fn sql_stands_in_the_store_alone() {
    let src = root().join("src");
    // The offline responder keeps an index of its own in memory; nothing of the business is in it.
    let allowed = [src.join("store"), src.join("ai/offline")];
    let verbs = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "];
    let (inside, outside): (Vec<_>, Vec<_>) = rust_files(&src)
        .into_iter()
        .filter(|file| {
            fs::read_to_string(file).unwrap().lines().any(|line| verbs.iter().any(|verb| line.contains(verb)))
        })
        .partition(|file| allowed.iter().any(|folder| file.starts_with(folder)));
    for folder in &allowed {
        assert!(inside.iter().any(|file| file.starts_with(folder)), "no SQL was found in {}", folder.display());
    }
    assert!(outside.is_empty(), "{outside:?}");
}
