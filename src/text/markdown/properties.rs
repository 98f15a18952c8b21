use proptest::collection::vec;
use proptest::prelude::*;

use super::to_whatsapp;

/// A piece of a document: its Markdown, and the words that must be in the result, in order.
#[derive(Clone, Debug)]
struct Piece {
    markdown: String,
    words: String,
}

fn piece(markdown: impl Into<String>, words: impl Into<String>) -> Piece {
    Piece { markdown: markdown.into(), words: words.into() }
}

fn joined(pieces: &[Piece], between: &str) -> Piece {
    let all = |of: fn(&Piece) -> &str| pieces.iter().map(of).collect::<Vec<_>>().join(between);
    piece(all(|piece| &piece.markdown), all(|piece| &piece.words))
}

fn word() -> impl Strategy<Value = Piece> {
    let plain = prop_oneof![
        8 => "[a-z]{1,7}",
        1 => "[A-Z][a-z]{0,4}[.,!?]",
        1 => prop::sample::select(vec![
            "été", "مرحبا", "שלום", "🎉", "👩‍👩‍👧", "世界", "snake_case_name", "2 * 3 * 4", "5*3*2", "x < y", "C&A", "a\u{200b}b", "20 €",
            "https://a.example/b_c_d/*e*/f",
        ]).prop_map(str::to_owned),
    ];
    plain.prop_map(|text| piece(text.clone(), text))
}

fn line(bold: bool) -> impl Strategy<Value = Piece> {
    let leaf = prop_oneof![
        6 => word(),
        1 => "[a-z]{1,5}( [a-z*_~#<]{1,5})?".prop_map(|code| piece(format!("`{code}`"), code)),
        1 => "[a-z]{1,5}".prop_map(|label| piece(format!("[{label}](https://{label}.example/x_y)"), format!("{label} {label} example x y"))),
        1 => "[a-z]{1,5}".prop_map(|name| piece(format!("<https://{name}.example>"), format!("https {name} example"))),
    ]
    .prop_map(|mut leaf| {
        if leaf.markdown.contains("](") {
            leaf.words = leaf.words.replacen(' ', " https ", 1);
        }
        leaf
    });
    let inner = leaf.prop_recursive(3, 12, 4, move |inner| {
        let some = (vec(inner, 1..4), prop_oneof![5 => Just(" "), 1 => Just("\n")])
            .prop_map(|(all, between)| joined(&all, between));
        let wrap = |sign: &'static str| {
            move |inside: Piece| {
                // Adjacent markers (`*_*x*_*`), or nested markers of one kind, mean something else in Markdown.
                let signs = ['*', '_', '~'];
                let clash = sign.chars().any(|sign| inside.markdown.contains(sign))
                    || inside.markdown.starts_with(signs)
                    || inside.markdown.ends_with(signs);
                let end: String = sign.chars().rev().collect();
                if clash { inside } else { piece(format!("{sign}{}{end}", inside.markdown), inside.words) }
            }
        };
        prop_oneof![
            2 => some.clone(),
            1 => some.clone().prop_map(wrap("_")),
            1 => some.clone().prop_map(wrap("~~")),
            1 => some.clone().prop_map(wrap("*")),
            2 => some.clone().prop_map(wrap(if bold { "**" } else { "~~_" })),
            1 => some.prop_map(wrap(if bold { "**_" } else { "*~~" })),
        ]
    });
    vec(inner, 1..4).prop_map(|all| joined(&all, " "))
}

fn in_container(first: &str, inside: &Piece) -> Piece {
    let later = if first == "> " { first.to_owned() } else { " ".repeat(first.len()) };
    let lines: Vec<String> = (inside.markdown.lines().enumerate())
        .map(
            |(number, line)| {
                if number == 0 { format!("{first}{line}") } else { format!("{later}{line}").trim_end().to_owned() }
            },
        )
        .collect();
    piece(lines.join("\n"), inside.words.clone())
}

/// Generates a document. With `bold`, it also has headings and tables, whose headers are bold.
fn document(bold: bool) -> impl Strategy<Value = Piece> {
    let one_line = move || line(bold).prop_map(|line| piece(line.markdown.replace('\n', " "), line.words));
    let code = vec("[a-z*_#> ~|<&-]{0,9}", 1..4).prop_map(|lines| {
        let code = format!("x{}", lines.join("\n"));
        piece(format!("```rust\n{code}\n```"), code)
    });
    let special = if bold {
        let heading = (1..5usize, one_line())
            .prop_map(|(level, line)| piece(format!("{} {}", "#".repeat(level), line.markdown), line.words));
        let table = (word(), word(), vec((word(), one_line()), 1..4)).prop_map(|(a, b, rows)| {
            let (a, b) = (header_text(&a), header_text(&b));
            let mut table = piece(format!("| {a} | {b} |\n|---|---|"), "");
            for (one, two) in rows {
                table.markdown.push_str(&format!("\n| {} | {} |", one.markdown, two.markdown));
                table.words.push_str(&format!(" {a} {} {b} {}", one.words, two.words));
            }
            table
        });
        prop_oneof![heading, table].boxed()
    } else {
        line(false).boxed()
    };
    let leaf = prop_oneof![4 => line(bold), 1 => code, 2 => special, 1 => Just(piece("___\n\nend", "end"))];
    let blocks = leaf.prop_recursive(3, 16, 4, |inner| {
        let inside = (vec(inner, 1..3), Just("\n\n")).prop_map(|(all, between)| joined(&all, between));
        let items = (vec(inside.clone(), 1..4), prop_oneof![Just("\n"), Just("\n\n")]);
        prop_oneof![
            inside.clone().prop_map(|inside| in_container("> ", &inside)),
            (items.clone(), prop_oneof![Just("- "), Just("* "), Just("+ ")]).prop_map(|((items, between), bullet)| {
                joined(&items.iter().map(|item| in_container(bullet, item)).collect::<Vec<_>>(), between)
            }),
            (items, 1..12usize).prop_map(|((items, between), first)| {
                let numbered = items.iter().enumerate().map(|(at, item)| {
                    let marker = format!("{}. ", first + at);
                    let mut item = in_container(&marker, item);
                    item.words.insert_str(0, &marker);
                    item
                });
                // Add text after the list, because the next list would otherwise continue its numbers.
                joined(&[joined(&numbered.collect::<Vec<_>>(), between), piece("then", "then")], "\n\n")
            }),
        ]
    });
    vec(blocks, 1..5).prop_map(|all| joined(&all, "\n\n"))
}

/// Returns a header's text, without a link or a bar.
fn header_text(word: &Piece) -> String {
    word.words.replace("https://a.example/b_c_d/*e*/f", "h")
}

fn letters(text: &str) -> String {
    text.chars().filter(|sign| sign.is_alphanumeric()).collect()
}

fn without_emphasis(text: &str) -> String {
    text.replace(['*', '_'], "")
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_second_pass_changes_nothing_where_nothing_is_bold(document in document(false)) {
        let once = to_whatsapp(&document.markdown);
        prop_assert_eq!(to_whatsapp(&once), once);
    }

    #[test]
    fn a_second_pass_changes_nothing_but_the_markers_of_bold(document in document(true)) {
        let once = to_whatsapp(&document.markdown);
        prop_assert_eq!(without_emphasis(&to_whatsapp(&once)), without_emphasis(&once));
    }

    #[test]
    fn every_word_is_kept_in_its_order(document in document(true)) {
        prop_assert_eq!(letters(&to_whatsapp(&document.markdown)), letters(&document.words));
    }

    #[test]
    fn letters_survive_any_heap_of_signs(text in "([a-zäß世م]|[*_~#>+()!\\[\\]{}:;.=&\\\\\" \n-]){0,80}") {
        // The text after a fence's marker is its language, which is removed.
        let text = text.replace("~~~", "~~ ~");
        // `&sc;` is one letter of another script.
        let text = text.replace('&', "& ");
        prop_assert_eq!(letters(&to_whatsapp(&text)), letters(&text));
    }

    #[test]
    fn no_line_outside_code_ends_in_a_space_and_one_blank_line_is_the_most(document in document(true)) {
        let text = to_whatsapp(&document.markdown);
        prop_assert_eq!(text.trim(), &text);
        if !text.contains("```") {
            prop_assert!(!text.contains("\n\n\n"), "{:?}", text);
            prop_assert!(text.lines().all(|line| line == line.trim_end()), "{:?}", text);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "(\\PC|[*_~`#>|<&!\\[\\]()\n\t \r:./-]|https://|```md\n|<br>|\\|-\\|\n){0,60}") {
        let _ = to_whatsapp(&to_whatsapp(&text));
    }
}
