use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ai::PromptMessage;

const EXAMPLE: [(&str, &str); 8] = [
    ("allergies.md", include_str!("../../../assets/example/allergies.md")),
    ("cakes.md", include_str!("../../../assets/example/cakes.md")),
    ("delivery.md", include_str!("../../../assets/example/delivery.md")),
    ("find-us.md", include_str!("../../../assets/example/find-us.md")),
    ("jobs.md", include_str!("../../../assets/example/jobs.md")),
    ("opening-hours.md", include_str!("../../../assets/example/opening-hours.md")),
    ("payment.md", include_str!("../../../assets/example/payment.md")),
    ("prices.md", include_str!("../../../assets/example/prices.md")),
];

const DISCLAIMER: &str =
    "This is the offline responder: it quotes the business's notes, and no language model is involved.";

fn prompt(said: &[(Role, &str)]) -> Prompt {
    let lines = said.iter().map(|(role, text)| PromptMessage::new(*role, *text)).collect();
    Prompt { system: String::new(), messages: lines, may_hand_over: false }
}

async fn ask(offline: &Offline, question: &str) -> String {
    offline.complete(&prompt(&[(Role::User, question)])).await.unwrap().text
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn load_error(folder: &Path) -> String {
    Offline::from_folder(folder).err().expect("refused").to_string()
}

#[tokio::test]
async fn the_example_business_answers_what_people_ask() {
    let offline = Offline::from_example(&EXAMPLE).unwrap();
    let mut wrong = Vec::new();
    for (question, heading) in [
        ("What time do you open on Sunday?", "When are you open?"),
        ("when are you open", "When are you open?"),
        ("Opening hours please", "When are you open?"),
        ("Where are you?", "Where are you?"),
        ("Where is the shop located, near the station?", "Where are you?"),
        ("How do I order a birthday cake?", "How do I order a cake?"),
        ("how much is a croissant", "Pastries and coffee"),
        ("Do you have gluten free bread?", "Gluten-free"),
        ("Is anything vegan?", "Vegan"),
        ("I have a nut allergy", "Allergens"),
        ("Do you deliver?", "Do you deliver?"),
        ("What does delivery cost?", "What does delivery cost?"),
        ("Can I pay by card?", "How can I pay?"),
        ("I want a refund", "Refunds and complaints"),
        ("do you have any jobs?", "Do you have jobs?"),
        ("Can I bring my dog", "Wheelchairs, prams and dogs"),
        ("wedding cakes", "Wedding cakes"),
        ("are you open at christmas or on public holidays?", "Public holidays"),
    ] {
        let answer = ask(&offline, question).await;
        if !answer.starts_with(&format!("**{heading}**\n\n")) {
            wrong.push(format!("{question}: {answer}"));
        }
        assert!(answer.ends_with(&format!("\n\n{DISCLAIMER}")), "{answer}");
        assert!(answer.encode_utf16().count() <= 1_600, "{question}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn a_question_that_no_note_answers_gets_the_list_of_topics() {
    let offline = Offline::from_example(&EXAMPLE).unwrap();
    for question in [
        "Who won the football match yesterday?",
        "Can you repair my bicycle tyre and chain?",
        "👍",
        "Wo wohnt der König?",
        "",
    ] {
        assert_eq!(
            ask(&offline, question).await,
            format!(
                "I found nothing on that in the notes. I can answer questions on:\n\n- Allergies and diets\n- Ordering cakes\n\
                 - Delivery\n- Where to find us\n- Jobs and apprenticeships\n- Opening hours\n- Payment and refunds\n- Prices\n\
                 \n{DISCLAIMER}"
            ),
            "{question}"
        );
    }
}

#[tokio::test]
async fn a_greeting_is_greeted_and_thanks_are_welcome() {
    let offline = Offline::from_example(&EXAMPLE).unwrap();
    let answer = ask(&offline, "Good morning!").await;
    assert!(answer.starts_with("Hello! I can answer questions on:\n\n- Allergies and diets\n"), "{answer}");
    assert_eq!(ask(&offline, "Merci beaucoup").await, "You're welcome! Write again whenever you have a question.");
}

#[tokio::test]
async fn only_messages_since_the_last_answer_are_the_question() {
    let offline = Offline::from_example(&EXAMPLE).unwrap();
    let prompt = prompt(&[
        (Role::User, "Do you sell vegan focaccia?"),
        (Role::Operator, "Yes."),
        (Role::User, "Great."),
        (Role::User, "And do you have parking?"),
    ]);
    let completion = offline.complete(&prompt).await.unwrap();
    assert!(completion.text.starts_with("**Parking and bicycles**"), "{}", completion.text);
    assert_eq!(
        (completion.finish, completion.usage, completion.model.as_str()),
        (Finish::Stop, Usage::default(), "offline")
    );
}

#[tokio::test]
async fn notes_are_found_in_folders_below_and_without_accents() {
    let folder = folder(&[
        ("menu/speisen.MD", "Dienstags gibt es Käsespätzle für 9 €.".as_bytes()),
        ("menu/image.png", b"\xff\xfe"),
        (".obsidian/hidden.md", b"# Hidden\n\nspatzle"),
        ("hours.md", b"# Hours\n\nNine to five."),
    ]);
    let offline = Offline::from_folder(folder.path()).unwrap();
    let answer = ask(&offline, "kasespatzle?").await;
    assert!(answer.starts_with("**Speisen**\n\nDienstags gibt es Käsespätzle für 9 €."), "{answer}");
    let place = folder.path().display();
    assert_eq!(offline.check().await.unwrap(), format!("the offline responder has 2 passages from 2 notes in {place}"));
    drop(fs::remove_dir_all(folder.path()));
    assert_eq!(ask(&offline, "kasespatzle?").await, answer, "the files are read only once");
}

#[tokio::test]
async fn a_single_note_tells_its_headings_as_topics() {
    let note = "# FAQ\n\n## Hours\n\nNine to five.\n\n## Place\n\nHere.";
    let offline = Offline::from_example(&[("faq.md", note)]).unwrap();
    let answer = ask(&offline, "hello").await;
    assert!(answer.starts_with("Hello! I can answer questions on:\n\n- Hours\n- Place\n\n"), "{answer}");
}

#[test]
fn notes_that_cannot_be_used_are_named() {
    let missing = Path::new("/nowhere/notes");
    assert!(load_error(missing).starts_with("cannot read the notes in /nowhere/notes: "));
    let empty = folder(&[("readme.txt", b"x")]);
    assert!(load_error(empty.path()).starts_with(&format!("the folder {} contains no notes", empty.path().display())));
    let blank = folder(&[("blank.md", b" \n")]);
    assert!(load_error(blank.path()).starts_with(&format!("the folder {} contains no notes", blank.path().display())));
    let latin = folder(&[("caf\u{e9}.md", b"caf\xe9")]);
    assert!(load_error(latin.path()).contains("/caf\u{e9}.md is not UTF-8 text"));
    let mebibyte = vec![b'x'; 1 << 20];
    let large = folder(&[("fits.md", &mebibyte), ("large.md", &[&mebibyte[..], b"x"].concat())]);
    assert!(load_error(large.path()).contains("/large.md is larger than 1 MiB"));
}

#[test]
fn notes_beyond_the_total_are_refused() {
    let folder = folder(&[]);
    for number in 0..65 {
        let file = fs::File::create(folder.path().join(format!("{number}.md"))).unwrap();
        file.set_len(1 << 20).unwrap();
    }
    assert!(load_error(folder.path()).ends_with("are larger than 64 MiB in total: remove some"));
}

proptest! {
    #[test]
    fn no_question_breaks_the_search(text in "\\PC{0,80}|[\"*:()^+{}a-z -]{0,40}") {
        let index = Index::new(&[Passage { title: "T".into(), heading: String::new(), text: "near or not and".into() }]);
        prop_assert!(index.unwrap().search(&Question::parse(&text)).is_ok());
    }
}
