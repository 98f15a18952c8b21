//! A file imports only files of lower floors and rooms, and no files import each other in a circle.
//!
//! The floors are those of the table in `src/lib.rs`, the rooms those of the tables in `src/store/mod.rs` and
//! `src/config/mod.rs`. A message names the two files and the import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::imports::{Import, Module, imports_of, root};

/// The floor of each module, as the table in `src/lib.rs` lists them.
fn floors() -> BTreeMap<String, usize> {
    let mut floors = BTreeMap::new();
    for (floor, rooms) in table_rows("src/lib.rs") {
        let Ok(floor) = floor.parse::<usize>() else { continue };
        for room in rooms.split("[`").skip(1) {
            floors.insert(room.split('`').next().unwrap().to_owned(), floor);
        }
    }
    floors
}

/// The rooms that the table at the top of a `mod.rs` lists, the lowest first.
fn rooms(file: &str) -> Vec<String> {
    let rows = table_rows(file).into_iter();
    rows.filter_map(|(room, _)| Some(room.strip_prefix('`')?.strip_suffix('`')?.to_owned())).collect()
}

/// The first two columns of the tables in a file's own documentation.
fn table_rows(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")?.split_once(" | "));
    rows.map(|(first, second)| (first.to_owned(), second.to_owned())).collect()
}

fn describe(import: &Import) -> String {
    format!("{} imports {} ({})", import.from.join("/"), import.to.join("/"), import.path)
}

#[test]
fn a_file_imports_only_lower_floors() {
    let floors = floors();
    assert!(floors.len() > 15, "the table in src/lib.rs was read: {floors:?}");
    let mut upward = Vec::new();
    for import in imports_of(&root().join("src")) {
        let Some(from) = import.from.first().filter(|from| *from != "main") else { continue };
        // Through the root any floor is reached by another name.
        let Some(to) = import.to.first() else {
            upward.push(format!("the root is imported: {}", describe(&import)));
            continue;
        };
        if from == to {
            continue;
        }
        let floor = |room: &String| *floors.get(room).unwrap_or_else(|| panic!("src/lib.rs lists no floor of {room}"));
        let (from, to) = (floor(from), floor(to));
        if to >= from && (from, to) != (0, 0) {
            upward.push(format!("floor {from} imports floor {to}: {}", describe(&import)));
        }
    }
    assert!(upward.is_empty(), "\n{}", upward.join("\n"));
}

#[test]
fn a_file_imports_only_lower_rooms() {
    let imports = imports_of(&root().join("src"));
    for (folder, least) in [("store", 8), ("config", 3)] {
        let rooms = rooms(&format!("src/{folder}/mod.rs"));
        assert!(rooms.len() >= least, "src/{folder}/mod.rs lists its rooms: {rooms:?}");
        let inside = root().join("src").join(folder);
        for entry in fs::read_dir(&inside).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            assert!(!entry.path().is_dir() || rooms.contains(&name), "src/{folder}/mod.rs does not list {name}");
        }
        let missing: Vec<_> = rooms.iter().filter(|room| !inside.join(room).is_dir()).collect();
        assert!(missing.is_empty(), "src/{folder}/mod.rs lists {missing:?}, which are no folders");
        let height = |module: &Module| rooms.iter().position(|room| module.get(1) == Some(room));
        let upward = imports.iter().filter(|import| import.from[..].first().is_some_and(|first| first == folder));
        let upward = upward.filter(|import| import.to.first().is_some_and(|first| first == folder));
        let upward = upward.filter(|import| match (height(&import.from), height(&import.to)) {
            (Some(from), Some(to)) => to > from,
            // Files beside the rooms stand above them all.
            (Some(_), None) => true,
            (None, _) => false,
        });
        let upward: Vec<_> = upward.map(describe).collect();
        assert!(upward.is_empty(), "\n{}", upward.join("\n"));
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for Import { from, to, .. } in imports_of(&root().join("src")) {
        // A `mod.rs` and what lies below it may meet.
        if !from.starts_with(&to) && !to.starts_with(&from) {
            imports.entry(from).or_default().insert(to);
        }
    }
    assert!(imports.len() > 150, "the imports were read");
    let circle = circle(&imports);
    assert!(circle.is_none(), "files import each other: {}", circle.unwrap());
}

/// The files of one circle, each importing the next, if there is any.
fn circle(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Option<String> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|file| circle_through(imports, file, &mut Vec::new(), &mut done))
}

fn circle_through(
    imports: &BTreeMap<Module, BTreeSet<Module>>,
    file: &Module,
    path: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<String> {
    if let Some(at) = path.iter().position(|earlier| earlier == file) {
        let names: Vec<_> = path[at..].iter().chain([file]).map(|module| module.join("/")).collect();
        return Some(names.join(" -> "));
    }
    if done.contains(file) {
        return None;
    }
    path.push(file.clone());
    let found = imports.get(file).into_iter().flatten().find_map(|next| circle_through(imports, next, path, done));
    path.pop();
    done.insert(file.clone());
    found
}

#[test]
fn imports_are_read_through_groups_re_exports_and_macros() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("lib.rs", "mod a; mod b; mod c; mod d; mod f; mod g;"),
        ("a.rs", "use crate::{b::Deep, c::{self, C}}; fn f() { println!(\"{}\", crate::c::N); super::b::g(); }"),
        ("b/mod.rs", "mod deep; pub use self::deep::Deep; pub fn g() {}"),
        ("b/deep.rs", "pub struct Deep; #[cfg(test)] mod tests { use crate::a::f; }"),
        ("c.rs", "pub(in crate::b) const N: u8 = 0; fn h(_: crate::b::Deep) { assert!(super::d::e::up()); }"),
        ("d/mod.rs", "mod e; mod f; #[cfg(test)] #[path = \"f.rs\"] mod g;"),
        ("d/f.rs", "mod only_for_tests {}"),
        ("f.rs", "#[serde(default = \"crate::c::N\")] struct F; fn i() { m! { use crate::{a::X, d::{e}}; } }"),
        ("g.rs", "use super::*;"),
        ("d/e.rs", "pub fn up() -> bool { matches!(super::super::c::N, 0) }"),
    ] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found: BTreeSet<_> = imports_of(folder.path())
        .iter()
        .map(|import| format!("{} -> {}", import.from.join("/"), import.to.join("/")))
        .collect();
    let expected = [
        "a -> b",
        "a -> b/deep",
        "a -> c",
        "b -> b/deep",
        "c -> b/deep",
        "c -> d/e",
        "d/e -> c",
        "f -> a",
        "f -> c",
        "f -> d/e",
        "g -> ",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn a_circle_is_found_and_named() {
    let module = |name: &str| vec![name.to_owned()];
    let edges = |list: &[(&str, &str)]| {
        let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (from, to) in list {
            imports.entry(module(from)).or_default().insert(module(to));
        }
        imports
    };
    assert_eq!(circle(&edges(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    let found = circle(&edges(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    assert_eq!(found.as_deref(), Some("b -> c -> d -> b"));
}
