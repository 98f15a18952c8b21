use super::to_whatsapp;

#[track_caller]
fn assert_converts(rows: &[(&str, &str)]) {
    for (markdown, expected) in rows {
        assert_eq!(to_whatsapp(markdown), *expected, "from {markdown:?}");
    }
}

#[test]
fn emphasis_takes_the_markers_of_whatsapp() {
    assert_converts(&[
        ("**bold**", "*bold*"),
        ("__bold__", "*bold*"),
        ("*italic*", "_italic_"),
        ("_italic_", "_italic_"),
        ("~~gone~~", "~gone~"),
        ("~gone~", "~gone~"),
        ("***both***", "*_both_*"),
        ("___both___", "*_both_*"),
        ("**_both_**", "*_both_*"),
        ("_**both**_", "*_both_*"),
        ("*__both__*", "*_both_*"),
        ("~~**_all_**~~", "*_~all~_*"),
        ("**a *b* c**", "*a _b_ c*"),
        ("*a **b** c*", "_a *b* c_"),
        ("**a __b__ c**", "*a b c*"),
        ("**Price:** 20 €, *per night*, ~~25~~", "*Price:* 20 €, _per night_, ~25~"),
        ("(**a**), \"**b**\" **c**!", "(*a*), \"*b*\" *c*!"),
        ("**a `x` b**", "*a `x` b*"),
    ]);
}

#[test]
fn signs_that_are_not_emphasis_stay() {
    assert_converts(&[
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("5*3*2", "5*3*2"),
        ("2*3*", "2*3*"),
        ("snake_case_names and __init__x", "snake_case_names and __init__x"),
        ("width*height*depth", "width*height*depth"),
        ("x**2 + y**2", "x**2 + y**2"),
        ("5**3**2", "5**3**2"),
        ("10~20~30", "10~20~30"),
        ("~5 min or ~10 min", "~5 min or ~10 min"),
        ("a lone * and ** too", "a lone * and ** too"),
        ("dial *121# now", "dial *121# now"),
        ("a < b and c > d", "a < b and c > d"),
        ("1 <2 & 3", "1 <2 & 3"),
        ("#hashtag", "#hashtag"),
        ("[not a link] (really)", "[not a link] (really)"),
    ]);
}

#[test]
fn markers_that_whatsapp_would_show_are_dropped_or_moved() {
    assert_converts(&[
        ("un**frigging**believable", "unfriggingbelievable"),
        ("**Note**s", "Notes"),
        ("共**3**个", "共3个"),
        ("これは**太字**です", "これは太字です"),
        ("**중요:**입니다 **a**", "중요:입니다 *a*"),
        ("他说**“你好”**。", "他说“你好”。"),
        ("**「太字」**です、*a*", "「太字」です、_a_"),
        ("**Total:**5 and ***x!***y", "Total:5 and ***x!***y"),
        ("**a *b*!**c **d *e*!**f", "a _b_!c d _e_!f"),
        ("a ** b ** c", "a ** b ** c"),
        (r"\*\*「a」\*\*b", "**「a」**b"),
        ("**「a」\n**b", "**「a」\n**b"),
        ("**&nbsp;x&nbsp;**", "\u{a0}*x*".trim_start()),
        ("**one\ntwo**", "*one*\n*two*"),
        ("a **b\nc** d", "a *b*\n*c* d"),
        ("*a\n**b\nc** d*", "_a_\n*_b_*\n_*c* d_"),
        ("~~a  \nb~~", "~a~\n~b~"),
        ("**a<br>b**", "*a*\n*b*"),
        ("**https://a.example/x**", "https://a.example/x"),
    ]);
}

#[test]
fn code_is_not_touched() {
    assert_converts(&[
        ("`**x** _y_ <br> &amp;`", "`**x** _y_ <br> &amp;`"),
        ("``a`b``", "```a`b```"),
        ("`` `a` ``", "``` `a` ```"),
        ("```\n**x**\n\n\n\n  y  \n```", "```\n**x**\n\n\n\n  y  \n```"),
        ("```rust\nfn main() {}\n```", "```\nfn main() {}\n```"),
        ("~~~json title=x\n{}\n~~~", "```\n{}\n```"),
        ("see:\n```\nx\n```\nend", "see:\n```\nx\n```\nend"),
        ("````\n```\nx\n```\n````", "````\n```\nx\n```\n````"),
        ("    indented", "```\nindented\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        ("- a\n  ```sh\n  ls\n\n  pwd\n  ```", "- a\n  ```\n  ls\n\n  pwd\n  ```"),
        ("a\n\n```\n```\n\nb", "a\n\nb"),
    ]);
}

#[test]
fn a_fence_of_markdown_is_unwrapped() {
    assert_converts(&[
        ("```markdown\n# Hi\n**x**\n```", "*Hi*\n*x*"),
        ("```md\n- [a](https://b.example)\n```", "- a (https://b.example)"),
        ("Here:\n```Markdown\n*x*\n```\nDone", "Here:\n\n_x_\n\nDone"),
        ("````md\n```md\n**x**\n```\n````", "*x*"),
    ]);
}

#[test]
fn headings_become_one_bold_line() {
    assert_converts(&[
        ("# Title", "*Title*"),
        ("###### Six ######", "*Six*"),
        ("## A **b** c", "*A b c*"),
        ("## **All**", "*All*"),
        ("# A *b*", "*A _b_*"),
        ("Title\n===", "*Title*"),
        ("Title\n---\ntext", "*Title*\ntext"),
        ("One\ntwo\n===", "*One two*"),
        ("One\ntwo\n---\nthree", "One\ntwo\n\nthree"),
        ("# A<br>b", "*A b*"),
        ("text\n# Title\n\nmore", "text\n\n*Title*\n\nmore"),
        ("# A\n## B\n- c", "*A*\n*B*\n- c"),
        ("# [a](https://b.example/)", "*a (https://b.example/)*"),
        ("#", ""),
    ]);
}

#[test]
fn links_show_where_they_lead() {
    assert_converts(&[
        ("[Menu](https://a.example/menu)", "Menu (https://a.example/menu)"),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("[a.example](https://a.example/)", "https://a.example/"),
        ("<https://a.example/?q=1>", "https://a.example/?q=1"),
        ("<hi@a.example>", "hi@a.example"),
        ("[hi@a.example](mailto:hi@a.example)", "hi@a.example"),
        ("[Write to us](mailto:hi@a.example?subject=x)", "Write to us (hi@a.example)"),
        ("[Call](tel:+4912345)", "Call (+4912345)"),
        ("[+49 (123) 45](tel:+4912345)", "+49 (123) 45"),
        ("[**Menu**](https://a.example \"title\")", "*Menu* (https://a.example)"),
        ("**[Menu](https://a.example)**", "*Menu (https://a.example)*"),
        ("[](https://a.example)", "https://a.example"),
        ("[label]()", "label"),
        ("[Prices](#prices)", "Prices"),
        ("[a](<https://a.example/b c>)", "a (https://a.example/b%20c)"),
        ("![A room](https://a.example/r.jpg)", "A room (https://a.example/r.jpg)"),
        ("![](https://a.example/r.jpg)", "https://a.example/r.jpg"),
        ("[Menu][1]\n\n[1]: https://a.example", "Menu (https://a.example)"),
        ("see https://a.example/__init__/*x*/_y_ now", "see https://a.example/__init__/*x*/_y_ now"),
        ("[a](https://a.example) **b**", "a (https://a.example) *b*"),
        ("(https://a.example/a_(b))**c**", "(https://a.example/a_(b))*c*"),
    ]);
}

#[test]
fn text_that_looks_like_a_link_definition_is_not_lost() {
    assert_converts(&[
        ("[Ann]: hello", "[Ann]: hello"),
        ("One\n\n[Ann]: hello\n\nTwo", "One\n\n[Ann]: hello\n\nTwo"),
        ("- a\n\n[2]: https://a.example", "- a\n\n[2]: https://a.example"),
    ]);
}

#[test]
fn lists_keep_their_bullets_numbers_and_depth() {
    assert_converts(&[
        ("* a\n* b", "- a\n- b"),
        ("+ a\n\n+ b", "- a\n\n- b"),
        ("1. a\n2. b", "1. a\n2. b"),
        ("1. a\n1. b\n1. c", "1. a\n2. b\n3. c"),
        ("3. a\n5. b", "3. a\n5. b"),
        ("7. a\n\n---\n\n1. b", "7. a\n\n1. b"),
        ("1) a\n2) b", "1. a\n2. b"),
        ("1. a\n\ntext\n\n2. b", "1. a\n\ntext\n\n2. b"),
        ("- a\n    - b\n        - c\n- d", "- a\n  - b\n    - c\n- d"),
        ("1. a\n   - b\n2. c", "1. a\n   - b\n2. c"),
        ("1. a\n  - b\n2. c", "1. a\n- b\n2. c"),
        ("1. **A**\n\n   text\n\n2. **B**", "1. *A*\n\n   text\n\n2. *B*"),
        ("- [ ] open\n- [x] done", "- open\n- done"),
        ("- a\nlazy", "- a\n  lazy"),
        ("Choose:\n- a\n- b\n\nThanks", "Choose:\n- a\n- b\n\nThanks"),
        ("-\n- b", "- b"),
        ("- - a", "- - a"),
        ("- a\n- ***\n- b", "- a\n\n- b"),
        ("10. a\n    - b", "10. a\n    - b"),
        ("- a\n# T", "- a\n\n*T*"),
    ]);
}

#[test]
fn quotes_are_marked_on_each_line() {
    assert_converts(&[
        ("> a\nb", "> a\n> b"),
        ("> a\n>\n> b", "> a\n>\n> b"),
        ("> a\n\nb", "> a\n\nb"),
        ("> > a", "> a"),
        ("> # T\n> - a\n>   - b", "> *T*\n> - a\n>   - b"),
        ("> a\n\n> b", "> a\n\n> b"),
        ("> ```\n> x\n>\n> y\n> ```", "> ```\n> x\n>\n> y\n> ```"),
        ("- a\n  > b\n  > c", "- a\n  > b\n  > c"),
        ("> **a\n> b**", "> *a*\n> *b*"),
        (">", ""),
    ]);
}

#[test]
fn tables_become_lines_of_header_and_value() {
    assert_converts(&[
        (
            "| Room | Price |\n|---|---:|\n| Single | **50** € |\n| Double | 80 € |",
            "*Room:* Single\n*Price:* *50* €\n\n*Room:* Double\n*Price:* 80 €",
        ),
        ("| **A** | B: |\n|---|---|\n| 1 | |\n| | 2 |", "*A:* 1\n\n*B:* 2"),
        ("| | Mo |\n|---|---|\n| 9 h | free |", "9 h\n*Mo:* free"),
        ("| A | B |\n|---|---|", "*A*\n*B*"),
        ("| A | B |\n|---|---|\n| 1 | |", "*A:* 1\n\n*B*"),
        ("a\n\n|A|\n|-|\n|1<br>2|\n\nb", "a\n\n*A:* 1\n2\n\nb"),
        ("|A|\n|-|\n|[x](https://a.example)|\n|`b\\|c`|", "*A:* x (https://a.example)\n\n*A:* `b|c`"),
        ("> |A|\n> |-|\n> |1|\n> |2|", "> *A:* 1\n>\n> *A:* 2"),
        ("| not | a table |", "| not | a table |"),
    ]);
}

#[test]
fn breaks_rules_and_blank_lines_are_evened_out() {
    assert_converts(&[
        ("a\nb", "a\nb"),
        ("a  \nb\\\nc", "a\nb\nc"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("a\n\n---\n\nb", "a\n\nb"),
        ("a\n***\nb", "a\n\nb"),
        ("---", ""),
        ("a<br><br><br><br>b", "a\n\nb"),
        ("  a   \n\n  b   ", "a\n\nb"),
        ("a\r\n\r\nb\rc", "a\n\nb\nc"),
        ("", ""),
        (" \n\t\n", ""),
    ]);
}

#[test]
fn html_goes_and_its_text_stays() {
    assert_converts(&[
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
        ("<b>x</b> and <span class=\"y\">z</span>", "x and z"),
        ("<div>\n  <p>Hello <b>you</b></p>\n  <p>there</p>\n</div>", "Hello you\n\nthere"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("a <!-- b --> c", "a  c"),
        ("<!-- gone -->\n\ntext", "text"),
        ("<details><summary>More</summary>\n\n**x**\n</details>", "More\n\n*x*"),
        ("Reply with <name> or <date>", "Reply with <name> or <date>"),
        ("<name>", "<name>"),
        ("<div>a &amp; b < c</div>", "a & b < c"),
        ("&amp; &lt;b&gt; &copy; &#8364; &uuml;", "& <b> © € ü"),
        (r"\*a\* \# \_b\_", "*a* # _b_"),
    ]);
}

#[test]
fn other_scripts_and_emoji_pass() {
    assert_converts(&[
        ("مرحبا **بك** في", "مرحبا *بك* في"),
        ("שלום *עולם*", "שלום _עולם_"),
        ("👩‍👩‍👧 **🎉 ok** 🇩🇪", "👩‍👩‍👧 *🎉 ok* 🇩🇪"),
        ("你好，**世界**。", "你好，*世界*。"),
        ("a\u{200b}b\u{200d}c\u{feff}", "a\u{200b}b\u{200d}c\u{feff}"),
        ("e\u{301} ไทย नमस्ते", "e\u{301} ไทย नमस्ते"),
        ("\u{202e}abc\u{202c}", "\u{202e}abc\u{202c}"),
    ]);
}

#[test]
fn a_whole_answer_reads_well() {
    let markdown = "## Your booking\n\nHi **Ana**, here it is:\n\n| Day | Time |\n|---|---|\n| Mon | 9:00 |\n\n---\n\n\
        1. Bring your *ID*\n2. Come early:\n   - by [bus](https://bus.example)\n   - on foot\n\n> We look forward to it";
    let expected = "*Your booking*\n\nHi *Ana*, here it is:\n\n*Day:* Mon\n*Time:* 9:00\n\n1. Bring your _ID_\n\
        2. Come early:\n   - by bus (https://bus.example)\n   - on foot\n\n> We look forward to it";
    assert_eq!(to_whatsapp(markdown), expected);
}

#[test]
fn hostile_nesting_neither_panics_nor_swells() {
    let length = 100_000;
    let units = [
        ">",
        "- ",
        "1. ",
        "> - ",
        "*",
        "**a",
        "*a **b ",
        "_a*b~c",
        "[",
        "![",
        "[a](",
        "<",
        "<a ",
        "<!--",
        "`",
        "```md\n",
        "|",
        "a|",
        "&",
        "\\",
        "# ",
        "<div>\n",
        "</div",
        "[a]: b\n",
        "~~a ",
        "http://",
        "https://a*b*",
        "\n",
        "> \n",
        "-\n",
        " ",
        "<p><",
        "***a** ",
        "(",
        "a\n-\n",
        "*a\n",
        "![a](b",
        "[a][b]",
        "<br>",
        "\u{200d}",
        "🇩🇪",
    ];
    for unit in units {
        let mut text = unit.repeat(length / unit.len());
        assert!(to_whatsapp(&text).len() <= 8 * length, "{unit:?}");
        text.push_str("x\ny\nz\n\n**w**");
        assert!(to_whatsapp(&text).len() <= 8 * length, "{unit:?}, then text");
    }
    let deep_and_long = format!("{}{}", "- ".repeat(length / 4), "x\n".repeat(length / 4));
    assert!(to_whatsapp(&deep_and_long).len() <= 20 * length);
    let table = format!("|{}|\n|-|\n{}", "h ".repeat(length / 4), "|a\n".repeat(length / 6));
    assert!(to_whatsapp(&table).len() <= 20 * length);
}
