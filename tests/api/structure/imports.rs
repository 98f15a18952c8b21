//! Which file of `src/` imports which, read from its `use` items and from every path that it writes out.
//!
//! Code for tests (`#[cfg(test)]`) is left out: a unit test may call whatever it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The path of a module from the root of the crate: `["store", "queue", "turns"]`. That of `lib.rs` is empty.
pub type Module = Vec<String>;

/// One import of a file by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: Module,
    pub to: Module,
    /// The path as it is meant, from the root of the crate: `store::queue::TurnClaim`.
    pub path: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All imports between files of `src`, each once, without those of a file by itself.
pub fn imports_of(src: &Path) -> BTreeSet<Import> {
    let mut files = BTreeMap::new();
    let mut test_modules = BTreeSet::new();
    for path in rust_files(src) {
        let module = module_of(path.strip_prefix(src).unwrap());
        let syntax = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
        let is_mod_file = path.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
        let mut paths = Paths { module: module.clone(), is_mod_file, ..Paths::default() };
        paths.visit_file(&syntax);
        test_modules.append(&mut paths.test_modules);
        files.insert(module, paths);
    }
    files.retain(|module, _| !test_modules.iter().any(|test| module.starts_with(test)));
    let mut imports = BTreeSet::new();
    for (from, paths) in &files {
        for path in &paths.named {
            let to = defining_file(&files, path, 0);
            if to != *from {
                imports.insert(Import { from: from.clone(), to, path: path.join("::") });
            }
        }
    }
    imports
}

fn module_of(file: &Path) -> Module {
    let mut module: Module = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module == ["lib"] || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// The file in which the item of that path is defined, found through `pub use`.
fn defining_file(files: &BTreeMap<Module, Paths>, path: &[String], depth: usize) -> Module {
    let (length, file) = (0..=path.len())
        .rev()
        .find_map(|length| Some((length, files.get(&path[..length])?)))
        .expect("the root of the crate is a file");
    let exported = path.get(length).and_then(|name| file.exported.get(name));
    match exported {
        Some(exported) if exported != path && depth < 8 => {
            let whole: Vec<String> = exported.iter().chain(&path[length + 1..]).cloned().collect();
            defining_file(files, &whole, depth + 1)
        }
        _ => path[..length].to_vec(),
    }
}

/// The paths that one file names, from the root of the crate.
#[derive(Default)]
struct Paths {
    module: Module,
    /// The modules inside the file that the visit is in.
    inner: Vec<String>,
    named: BTreeSet<Vec<String>>,
    /// What it exports from elsewhere, by its name here.
    exported: BTreeMap<String, Vec<String>>,
    test_modules: BTreeSet<Module>,
    /// Whether the file is a `mod.rs` or `lib.rs`, whose modules lie in its own folder.
    is_mod_file: bool,
}

impl Paths {
    /// The path from the root of the crate; `None` for one into another crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let here = || self.module.iter().chain(&self.inner).cloned().collect::<Vec<_>>();
        let (mut base, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (here(), &path[1..]),
            "super" => (here(), path),
            _ => return None,
        };
        while rest.first().is_some_and(|first| first == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend(rest.iter().filter(|part| *part != "self" && *part != "*").cloned());
        Some(base)
    }

    fn name(&mut self, path: &[String]) {
        self.named.extend(self.absolute(path));
    }

    /// Names each path in a text of tokens that begins with `crate`, `super` or `self`, groups in braces included.
    fn name_in_text(&mut self, text: &str) {
        let text = text.replace(" ::", "::").replace(":: ", "::");
        let starts = ["crate::", "super::", "self::"].into_iter().flat_map(|start| text.match_indices(start));
        let is_inside = |at: usize| text[..at].ends_with(|c: char| c == ':' || c.is_alphanumeric() || c == '_');
        for (at, _) in starts.filter(|(at, _)| !is_inside(*at)) {
            let mut depth = 0;
            let end = text[at..].char_indices().find(|(_, c)| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth < 0 || (depth == 0 && !matches!(c, '}' | ':' | '_') && !c.is_alphanumeric())
            });
            let path = &text[at..end.map_or(text.len(), |(end, _)| at + end)];
            // Anything but a path in braces, such as the block of a `match`, is cut off.
            let trees = [path, path.split('{').next().unwrap_or_default().trim_end_matches(':')];
            if let Some(tree) = trees.iter().find_map(|tree| syn::parse_str::<syn::UseTree>(tree).ok()) {
                let mut paths = Vec::new();
                flatten(&tree, &mut Vec::new(), &mut paths);
                paths.iter().for_each(|(path, _)| self.name(path));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if is_test(&item.attrs) {
            return;
        }
        let mut paths = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut paths);
        for (path, name) in paths {
            self.name(&path);
            if let (false, Some(path)) = (matches!(item.vis, syn::Visibility::Inherited), self.absolute(&path)) {
                self.exported.insert(name, path);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(&parts);
        visit::visit_path(self, path);
    }

    /// `pub(in crate::store)` names no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    /// What stands inside a macro is no syntax yet: its paths are read as words.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.name_in_text(&item.tokens.to_string());
    }

    /// The same for an attribute, which may hold a path in a string: `#[serde(default = "crate::a::b")]`.
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        match &attribute.meta {
            syn::Meta::List(list) => self.name_in_text(&list.tokens.to_string()),
            syn::Meta::NameValue(pair) => visit::visit_expr(self, &pair.value),
            syn::Meta::Path(_) => {}
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = is_test(&item.attrs);
        if item.content.is_some() {
            if !test {
                self.inner.push(item.ident.to_string());
                visit::visit_item_mod(self, item);
                self.inner.pop();
            }
        } else if test {
            let file = item.attrs.iter().find_map(path_attribute);
            let name = file.map_or_else(|| item.ident.to_string(), |file| file.trim_end_matches(".rs").to_owned());
            // `#[path]` is read from the folder of the file: for one that is not `mod.rs`, the file beside it.
            let beside = !self.is_mod_file && item.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
            let folder = if beside { &self.module[..self.module.len() - 1] } else { &self.module[..] };
            self.test_modules.insert(folder.iter().cloned().chain([name]).collect());
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

fn path_attribute(attribute: &syn::Attribute) -> Option<String> {
    match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Every path of a `use`, with the name that it gets here.
fn flatten(tree: &syn::UseTree, before: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    let with = |before: &[String], last: String| before.iter().cloned().chain([last]).collect::<Vec<_>>();
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        syn::UseTree::Name(name) => {
            let name = name.ident.to_string();
            let own = if name == "self" { before.last().cloned().unwrap_or_default() } else { name.clone() };
            found.push((with(before, name), own));
        }
        syn::UseTree::Rename(rename) => {
            found.push((with(before, rename.ident.to_string()), rename.rename.to_string()));
        }
        syn::UseTree::Glob(_) => found.push((before.clone(), "*".to_owned())),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
    }
}
