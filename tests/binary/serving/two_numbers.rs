//! Two numbers of two accounts, with the real program.

use std::sync::Arc;

use mynah::clock::{Clock, FastClock, SystemClock};
use mynah::simulator::{Simulator, SimulatorConfig};
use serde_json::json;

use crate::setup::server_process::{CLOCK_SPEED, ServerProcess};
use crate::setup::test_environment::{TestEnvironment, serve};
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcd02";
const TOKEN: &str = "00112233445566778899aabbccddeeff";
const SALES: &str = "+14155550002";
const ANA: &str = "+12025550101";

/// Waits for what a phone receives.
async fn wait_until_received(twilio: &Simulator, text: &str) {
    wait_until(text, TEST_TIMEOUT, || async {
        twilio.conversation(ANA).iter().any(|bubble| !bubble.from_contact && bubble.text == text).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_numbers_answer_each_by_its_account_and_in_its_own_words() {
    let environment = TestEnvironment::new().await;
    let folder = environment.settings.folder.clone();
    let webhook =
        format!("http://127.0.0.1:{}/webhooks/twilio", environment.settings.port).parse().expect("an address");
    let clock: Arc<dyn Clock> =
        if CLOCK_SPEED == 1 { Arc::new(SystemClock) } else { Arc::new(FastClock::new(CLOCK_SPEED)) };
    let sales = Simulator::new(SimulatorConfig::new(ACCOUNT, TOKEN.to_owned(), SALES, webhook, clock));
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("the folder is there");
    let file = format!(
        "twilio_account_sid = '{ACCOUNT}'\ntwilio_auth_token_file = './token'\ntwilio_whatsapp_from = '{SALES}'\n\
         twilio_api_base_url = '{}'\nsystem_prompt_file = './sales.md'\ntext_help = 'Help from sales.'\n\
         text_human = 'A person of sales.'\n",
        serve(sales.api()).await
    );
    write("token", TOKEN);
    write("sales.md", "You answer for sales.");
    write("sales.toml", &format!("{file}listen = 'x'"));
    let settings =
        environment.settings.clone().with("MYNAH_NUMBERS", "sales.toml").with("MYNAH_TEXT_HELP", "Help from main.");
    let refused = settings.run(&["check", "--offline"]).await;
    let error = "file sales.toml key listen (line 8): found a setting that all numbers share";
    assert!(refused.status == Some(1) && refused.stdout.contains(error), "{refused:?}");

    write("sales.toml", &file);
    let check = settings.run(&["check"]).await;
    assert_eq!(check.status, Some(0), "{check:?}");
    for line in [
        "ok       Twilio         main: Twilio accepts",
        &format!("ok       Twilio         sales: Twilio accepts the credentials of account {ACCOUNT}"),
        "ok       model          main: ",
        "ok       model          sales: ",
    ] {
        assert!(check.stdout.contains(line), "{line}: {check:?}");
    }
    let _server = ServerProcess::start(&settings).await;
    for (twilio, text) in [(&environment.twilio, "Help from main."), (&sales, "Help from sales.")] {
        assert_eq!(twilio.send_inbound(ANA, "Ana", "/help").await.expect("an answer").status, 200);
        wait_until_received(twilio, text).await;
        assert_eq!(twilio.conversation(ANA).len(), 2, "one answer, and the other number's is not here");
    }

    let list = settings.run(&["conversations", "list", "--json"]).await.json();
    let rows = list.as_array().expect("a list");
    let numbers: Vec<_> = rows.iter().map(|row| row["number"].clone()).collect();
    assert_eq!(numbers, [json!("sales"), json!("main")]);
    let table = settings.run(&["conversations", "list"]).await.stdout;
    assert!(table.lines().next().is_some_and(|line| line.contains(&format!("  sales  whatsapp:{ANA}"))), "{table}");
    let id = rows[0]["id"].as_str().expect("an id");
    let shown = settings.run(&["conversations", "show", id]).await.stdout;
    assert!(shown.contains(&format!("on sales (whatsapp:{SALES})")), "{shown}");
    assert_eq!(settings.run(&["conversations", "mode", id, "human"]).await.status, Some(0));
    wait_until_received(&sales, "A person of sales.").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_configuration_without_sender_and_model_is_sound_where_another_number_has_both() {
    let environment = TestEnvironment::new().await;
    let keys = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM", "TWILIO_API_BASE_URL"];
    let model = ["OPENAI_BASE_URL", "OPENAI_API_KEY", "MYNAH_AI_MODEL"];
    let settings = environment.settings.clone().with("MYNAH_PUBLIC_URL", "https://bot.example.org");
    let without = |keys: &[&str]| keys.iter().fold(settings.clone(), |settings, key| settings.without(key));
    let write =
        |text: &str| std::fs::write(environment.settings.folder.join("sales.toml"), text).expect("the folder is there");
    let whole = format!(
        "twilio_account_sid = '{ACCOUNT}'\ntwilio_auth_token = '{TOKEN}'\ntwilio_whatsapp_from = '{SALES}'\n\
         openai_api_key = 'sk-sales'"
    );
    write(&whole);
    let check = without(&[&keys[..], &model].concat()).with("MYNAH_NUMBERS", "sales.toml");
    let check = check.run(&["check", "--offline"]).await;
    assert_eq!(check.status, Some(0), "{check:?}");
    for line in [
        "skipped  Twilio         main: no account and no sender are set",
        "skipped  model          main: no model is set; nobody can write to this number, because it has no sender",
        "skipped  model          sales: configured, not called (--offline)",
    ] {
        assert!(check.stdout.contains(line), "{line}: {check:?}");
    }
    // If contacts can write to a number, it needs a model.
    let check = without(&model).with("MYNAH_NUMBERS", "sales.toml").run(&["check", "--offline"]).await;
    assert!(check.status == Some(1) && check.stdout.contains("failed   model          main: "), "{check:?}");
    // It is not ready either if no number has a model.
    write(whole.rsplit_once('\n').expect("two lines").0);
    let check = without(&[&keys[..], &model].concat()).with("MYNAH_NUMBERS", "sales.toml");
    let check = check.run(&["check", "--offline"]).await;
    for number in ["main", "sales"] {
        assert!(check.stdout.contains(&format!("failed   model          {number}: ")), "{check:?}");
    }
    assert_eq!(check.status, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_tells_which_numbers_voice_notes_are_not_read() {
    let environment = TestEnvironment::new().await;
    let sales = format!("twilio_whatsapp_from = '{SALES}'\nanthropic_api_key = 'sk-ant-1'");
    std::fs::write(environment.settings.folder.join("sales.toml"), sales).expect("the folder is there");
    let settings = environment.settings.clone().without("OPENAI_BASE_URL").with("MYNAH_NUMBERS", "sales.toml");
    let check = settings.run(&["check", "--offline"]).await;
    let line = "skipped  transcription  sales: voice notes are not transcribed here";
    assert!(check.status == Some(0) && check.stdout.matches("transcription").count() == 2, "{check:?}");
    assert!(check.stdout.contains(line), "{check:?}");
}
