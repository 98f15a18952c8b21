//! The floors of the house: a module imports only lower floors, and rooms on one floor do not know each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, as the map in `src/lib.rs` tells them.
fn floors() -> BTreeMap<String, usize> {
    let map = fs::read_to_string(crate_root().join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    for line in map.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let Some((floor, rooms)) = line.split_once(" | ") else { continue };
        let Ok(floor) = floor.parse::<usize>() else { continue };
        for room in rooms.split("[`").skip(1) {
            floors.insert(room.split('`').next().unwrap().to_owned(), floor);
        }
    }
    floors
}

fn crate_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The rooms that a line names by `crate::…`, groups in braces included.
fn imported_rooms(line: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = Vec::new();
    for rest in line.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => rooms.push(word(std::mem::take(&mut item).trim())),
                        _ => {}
                    }
                    if c != ',' || depth > 0 {
                        item.push(c);
                    }
                }
                rooms.push(word(item.trim()));
            }
            None => rooms.push(word(rest)),
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn a_floor_imports_only_lower_floors() {
    let floors = floors();
    assert!(floors.len() > 15, "the map in src/lib.rs was read: {floors:?}");
    let mut files = Vec::new();
    source_files(&crate_root().join("src"), &mut files);
    let mut climbs = Vec::new();
    for file in files {
        let inside = file.strip_prefix(crate_root().join("src")).unwrap();
        let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if room == "main" || room == "lib" {
            continue;
        }
        let floor =
            floors.get(&room).unwrap_or_else(|| panic!("the map in src/lib.rs does not tell the floor of {room}"));
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for other in imported_rooms(line) {
                let Some(below) = floors.get(&other) else { continue };
                if other != room && below >= floor && !(*floor == 0 && *below == 0) {
                    climbs.push(format!(
                        "src/{}:{}: {room} (floor {floor}) names {other} (floor {below})",
                        inside.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(climbs.is_empty(), "\n{}", climbs.join("\n"));
}

#[test]
fn imports_in_braces_are_seen_too() {
    assert_eq!(imported_rooms("use crate::{web, work::{self, drain}};"), ["web", "work"]);
    assert_eq!(imported_rooms("    let a: crate::store::Store = crate::app::open();"), ["store", "app"]);
    assert!(imported_rooms("use std::fmt;").is_empty());
}

#[test]
fn sql_stands_in_the_store_alone() {
    let mut files = Vec::new();
    source_files(&crate_root().join("src"), &mut files);
    let verbs = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "];
    let strays: Vec<_> = files
        .iter()
        .filter(|file| !file.starts_with(crate_root().join("src/store")))
        // The offline responder keeps an index of its own in memory; nothing of the business is in it.
        .filter(|file| !file.starts_with(crate_root().join("src/ai/offline")))
        .filter(|file| {
            fs::read_to_string(file).unwrap().lines().any(|line| verbs.iter().any(|verb| line.contains(verb)))
        })
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn what_a_number_has_of_its_own_is_asked_of_the_number() {
    // These are the first number's alone in the configuration; whoever answers on another one would speak for it.
    let own = [
        "config.texts",
        "config.twilio",
        "config.ai",
        "config.fallbacks",
        "config.work.system_prompt",
        "config.work.max_context_messages",
        "config.people.model_may_hand_over",
        "config.people.links",
        "config.people.reopen_template",
    ];
    let mut files = Vec::new();
    source_files(&crate_root().join("src"), &mut files);
    let mut strays = Vec::new();
    for room in ["app", "work", "web"] {
        for file in files.iter().filter(|file| file.starts_with(crate_root().join("src").join(room))) {
            let text = fs::read_to_string(file).unwrap();
            let wrong = text.lines().filter(|line| {
                let names =
                    |name: &&str| line.contains(&format!("app.{name}")) || line.contains(&format!("self.{name}"));
                own.iter().any(names)
            });
            strays.extend(wrong.map(|line| format!("{}: {}", file.display(), line.trim())));
        }
    }
    assert!(strays.is_empty(), "ask App::number_of instead:\n{}", strays.join("\n"));
}
