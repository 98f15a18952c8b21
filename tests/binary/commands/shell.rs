//! Completion scripts and manual pages.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::setup::test_environment::TestEnvironment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shell_gets_a_completion_script_that_knows_the_commands() {
    let environment = TestEnvironment::new().await;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = environment.settings.run(&["completions", shell]).await;
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(ran.stdout.contains("conversations") && ran.stdout.contains("data-dir"), "{shell}");
    }
    let script = environment.settings.run(&["completions", "bash"]).await.stdout;
    let mut bash = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success(), "bash accepts the script");
    let wrong = environment.settings.run(&["completions", "tcsh"]).await;
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(2), ""));
    assert!(wrong.stderr.contains("possible values: bash"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manual_has_a_page_for_each_command_and_none_for_the_hidden_one() {
    let environment = TestEnvironment::new().await;
    let page = environment.settings.run(&["man"]).await;
    assert_eq!((page.status, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.contains(".TH mynah 1") && page.stdout.contains("mynah\\-serve(1)"), "{}", page.stdout);

    let folder = environment.settings.folder.join("share/man/man1");
    let folder_argument = folder.to_str().unwrap();
    let ran = environment.settings.run(&["man", "--dir", folder_argument]).await;
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    for name in ["mynah.1", "mynah-serve.1", "mynah-conversations-say.1"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(text.contains(".SH NAME"), "{name}");
    }
    assert!(!folder.join("mynah-read-file.1").exists());

    let occupied = folder.join("mynah.1/below");
    let refused = environment.settings.run(&["man", "--dir", occupied.to_str().unwrap()]).await;
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.starts_with("mynah: cannot write the manual pages to "), "{refused:?}");
}
