//! Settings that each number has for itself are read from the number.

use std::collections::BTreeMap;
use std::fs;

use super::imports::{root, rust_files};

/// These are the first number's alone in the configuration; whoever answers on another one would speak for it.
const OWN: [&str; 9] = [
    "config.texts",
    "config.twilio",
    "config.ai",
    "config.fallbacks",
    "config.work.system_prompt",
    "config.work.max_context_messages",
    "config.contact_policy.model_may_hand_over",
    "config.contact_policy.links",
    "config.contact_policy.reopen_template",
];

#[test]
fn settings_of_a_number_are_read_from_that_number() {
    let mut wrong = Vec::new();
    for room in ["app.rs", "app", "work", "web"] {
        let path = root().join("src").join(room);
        let files = if path.is_dir() { rust_files(&path) } else { vec![path] };
        assert!(!files.is_empty(), "src/{room} holds no file");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let lines = text.lines().filter(|line| {
                OWN.iter().any(|name| line.contains(&format!("app.{name}")) || line.contains(&format!("self.{name}")))
            });
            wrong.extend(lines.map(|line| format!("{}: {}", file.display(), line.trim())));
        }
    }
    assert!(wrong.is_empty(), "ask App::number_of instead:\n{}", wrong.join("\n"));
}

/// A name that nothing bears any more would find nothing.
#[test]
fn the_listed_settings_of_a_number_exist_in_the_source() {
    let structs = structs();
    for path in OWN {
        let mut parent = "App".to_owned();
        for field in path.split('.') {
            let fields = structs.get(&parent).unwrap_or_else(|| panic!("{path}: there is no struct {parent}"));
            let kind = fields.get(field).unwrap_or_else(|| panic!("{path}: {parent} has no field {field}"));
            parent = kind.clone();
        }
        let field = path.rsplit('.').next().unwrap();
        assert!(structs["NumberConfig"].contains_key(field), "{path}: NumberConfig has no field {field}");
    }
}

/// The structs of the app and of the configuration: the fields of each, and the name of their type.
fn structs() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut files = rust_files(&root().join("src/config"));
    files.push(root().join("src/app.rs"));
    let mut found = BTreeMap::new();
    for file in files {
        for item in syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap().items {
            let syn::Item::Struct(item) = item else { continue };
            let fields =
                item.fields.iter().filter_map(|field| Some((field.ident.as_ref()?.to_string(), kind(&field.ty)?)));
            found.insert(item.ident.to_string(), fields.collect());
        }
    }
    found
}

fn kind(kind: &syn::Type) -> Option<String> {
    match kind {
        syn::Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}
