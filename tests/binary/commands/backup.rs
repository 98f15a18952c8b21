//! `mynah backup`, and the backups that `serve` makes by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::setup::server_process::{CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;
#[cfg(feature = "failpoints")]
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// What is left of backups in a folder, apart from the named files.
fn leftovers(folder: &Path, known: &[&str]) -> Vec<String> {
    let names = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it is there").file_name().into_string().expect("it is there"));
    names.filter(|name| (name.contains("backup.new") || name.contains(".tar")) && !known.contains(&&**name)).collect()
}

fn members(archive: &Path) -> Vec<String> {
    let listed = Command::new("tar").arg("-tf").arg(archive).output().expect("it is there");
    assert!(listed.status.success(), "{listed:?}");
    String::from_utf8(listed.stdout).expect("it is there").lines().map(str::to_owned).collect()
}

async fn with_a_message() -> (TestEnvironment, CommandSettings) {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    server.signal("TERM");
    server.wait_for_exit().await;
    let settings = environment.settings.clone();
    (environment, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_a_server_holds_all_and_disturbs_no_answer() {
    let environment = Arc::new(TestEnvironment::new().await);
    let settings = environment.settings.clone();
    let mut server = ServerProcess::start(&settings).await;
    let picture = settings.folder.join("cake.jpg");
    fs::write(&picture, b"\xff\xd8\xff and a cake").unwrap();
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    let phone = crate::setup::answer_tally::phone(0);
    settings.run(&["conversations", "say", &phone, "--file", "cake.jpg", "--json"]).await.json();
    environment.wait_until_all_answered(&mut server, 1, 1).await;
    settings.run(&["conversations", "mode", &phone, "auto", "--json"]).await.json();
    let talking = environment.contacts_write(4, 30);
    let file = settings.folder.join("one.tar");
    for number in 0..3 {
        let made = settings.run(&["backup", "one.tar", "--json", "--force"]).await.json();
        assert!(made["rows"]["messages"].as_u64().unwrap() >= 2, "{number}: {made}");
        assert_eq!((&made["files"], &made["encrypted"]), (&1.into(), &false.into()), "{made}");
        assert_eq!(made["bytes"], fs::metadata(&file).unwrap().len());
        assert!(made["age_identity_to_keep"].as_str().unwrap().ends_with("identity.age.txt"), "{made}");
    }
    talking.join_all().await;
    environment.wait_until_all_answered(&mut server, 4, 30).await;

    let text = settings.run(&["backup", "two.tar"]).await;
    assert_eq!(text.status, Some(0), "{text:?}");
    for part in ["backed up to two.tar (", "1 file,", "not in it: the age identity (", "mynah restore two.tar"] {
        assert!(text.stdout.contains(part), "{part:?} is missing in {}", text.stdout);
    }
    assert!(text.stderr.is_empty(), "no progress without a terminal: {}", text.stderr);
    let members = members(&file);
    assert_eq!(members[..2], ["mynah-backup.json", "mynah.db"]);
    assert!(members[2].starts_with("media/") && members[3] == "end.json" && members.len() == 4, "{members:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(leftovers(&settings.folder, &["one.tar", "two.tar"]).is_empty());
    let identity = fs::read_to_string(settings.folder.join("identity.age.txt")).unwrap();
    let secret = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let archive = fs::read(&file).unwrap();
    assert!(!archive.windows(secret.len()).any(|window| window == secret.as_bytes()), "the identity is in the backup");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_made_says_why_and_leaves_nothing() {
    let (_environment, settings) = with_a_message().await;
    let folder = settings.folder.clone();
    fs::write(folder.join("taken.tar"), "something of ours").unwrap();
    fs::create_dir(folder.join("subfolder")).unwrap();
    let elsewhere = settings.clone().with("MYNAH_DATA_DIR", folder.join("empty").to_str().unwrap());
    let no_room = settings.clone().with("MYNAH_TEST_FREE_BYTES", "60000000");
    // A limit on the size of files, as a full disk: while the database is copied, and while the backup is written.
    let limited = |blocks: u32| {
        let line = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        settings.clone().wrapped_in(&["sh", "-c", &line])
    };
    let database = fs::metadata(folder.join("mynah.db")).unwrap().len();
    let (early, late) = (limited(100), limited(u32::try_from(database / 512).unwrap() + 1));
    let secret_key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ0UJHZW";
    for (settings, arguments, status, says) in [
        (&settings, &["taken.tar"][..], 1, &["taken.tar exists already", "--force"][..]),
        (&settings, &["subfolder"], 1, &["subfolder is a folder"]),
        (&settings, &["missing/x.tar"], 1, &["there is no folder missing"]),
        (&elsewhere, &["x.tar"], 1, &["there is no database at", "MYNAH_DATA_DIR"]),
        (&no_room, &["x.tar"], 1, &["too little room", "are needed", "57 MiB are free"]),
        (&early, &["x.tar"], 1, &["cannot be copied to", "backup.new/mynah.db"]),
        (&late, &["x.tar"], 1, &["x.tar cannot be written", "File too large"]),
        (&settings, &["x.tar", "--recipient", "age1nonsense"], 2, &["begins with age1"]),
        (&settings, &["x.tar", "--recipient", secret_key], 2, &["which is secret"]),
    ] {
        let ran = settings.run(&[&["backup"], arguments].concat()).await;
        assert_eq!(ran.status, Some(status), "{arguments:?} {ran:?}");
        for word in says {
            assert!(ran.stderr.contains(word), "{word:?} is missing in {ran:?}");
        }
        assert!(ran.stdout.is_empty(), "{ran:?}");
        assert!(leftovers(&folder, &["taken.tar"]).is_empty(), "{arguments:?}: {:?}", leftovers(&folder, &[]));
    }
    // Nothing but a backup is replaced, whatever was mistyped.
    std::os::unix::fs::symlink(folder.join("nowhere"), folder.join("link.tar")).unwrap();
    let data = folder.join("mynah.db").display().to_string();
    let identity = folder.join("identity.age.txt").display().to_string();
    for file in ["taken.tar", &data, &identity, "link.tar", "/dev/null"] {
        let ran = settings.run(&["backup", file, "--force"]).await;
        assert!(ran.status == Some(1) && ran.stderr.contains("is no backup"), "{file}: {ran:?}");
    }
    assert!(settings.run(&["backup", "link.tar"]).await.stderr.contains("exists already"));
    fs::remove_file(folder.join("link.tar")).unwrap();
    assert_eq!(fs::read_to_string(folder.join("taken.tar")).unwrap(), "something of ours");
    let shown = settings.clone().with("MYNAH_BACKUP_RECIPIENTS", secret_key).run(&["backup", "x.tar"]).await;
    assert!(shown.stderr.contains("an age identity, which is secret") && !shown.stderr.contains("0UJHZW"), "{shown:?}");

    let lock = fs::File::open(&folder).unwrap();
    lock.lock().unwrap();
    let second = settings.run(&["backup", "x.tar"]).await;
    assert!(second.status == Some(1) && second.stderr.contains("another backup of"), "{second:?}");
    drop(lock);
    // What a killed backup has left.
    fs::create_dir(folder.join("backup.new")).unwrap();
    fs::write(folder.join("backup.new/mynah.db"), "half").unwrap();
    fs::write(folder.join(".x.tar.new"), "half").unwrap();
    assert_eq!(settings.run(&["backup", "x.tar"]).await.status, Some(0));
    assert!(leftovers(&folder, &["taken.tar", "x.tar"]).is_empty());
}

/// The owner of a broken set-up wants a backup before repairing it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_needs_no_valid_configuration_and_no_identity() {
    let (_environment, settings) = with_a_message().await;
    fs::remove_file(settings.folder.join("identity.age.txt")).unwrap();
    let broken = settings.clone().with("MYNAH_WORKERS", "many");
    assert_eq!(broken.run(&["backup", "x.tar", "--json"]).await.json()["rows"]["messages"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_is_told_and_the_rest_is_backed_up() {
    let (environment, settings) = with_a_message().await;
    let mut server = ServerProcess::start(&settings).await;
    let phone = crate::setup::answer_tally::phone(0);
    for name in ["gone.jpg", "damaged.jpg", "whole.jpg"] {
        fs::write(settings.folder.join(name), format!("\u{ff}{name}")).unwrap();
        let picture = [b"\xff\xd8\xff", name.as_bytes()].concat();
        fs::write(settings.folder.join(name), picture).unwrap();
        settings.run(&["conversations", "say", &phone, "--file", name, "--json"]).await.json();
    }
    environment.wait_until_all_answered(&mut server, 1, 1).await;
    let mut stored = stored_files(&settings.folder.join("media"));
    stored.sort();
    let name_in = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()[3..]).into_owned();
    for path in &stored {
        match name_in(path).as_str() {
            "gone.jpg" => fs::remove_file(path).unwrap(),
            "damaged.jpg" => fs::write(path, "something else").unwrap(),
            _ => {}
        }
    }
    let made = settings.run(&["backup", "x.tar", "--json"]).await.json();
    assert_eq!((&made["files"], made["missing_files"].as_array().unwrap().len()), (&1.into(), 2), "{made}");
    let told = settings.run(&["backup", "y.tar"]).await;
    assert!(told.stdout.contains("2 of the conversations are missing or damaged"), "{told:?}");
}

fn stored_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it is there").path()) {
        if entry.is_dir() { found.extend(stored_files(&entry)) } else { found.push(entry) }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_backup_opens_with_the_age_tool() {
    let (_environment, settings) = with_a_message().await;
    let identity = settings.folder.join("backup-identity.txt");
    let made = Command::new("age-keygen").arg("-o").arg(&identity).stderr(Stdio::null()).status().unwrap();
    assert!(made.success());
    let recipient = Command::new("age-keygen").arg("-y").arg(&identity).output().unwrap().stdout;
    let recipient = String::from_utf8(recipient).unwrap().trim().to_owned();
    let made = settings.run(&["backup", "flag.tar.age", "--recipient", &recipient, "--json"]).await.json();
    assert_eq!(made["encrypted"], true);
    let by_setting = settings.clone().with("MYNAH_BACKUP_RECIPIENTS", &recipient);
    let told = by_setting.run(&["backup", "setting.tar.age"]).await;
    assert!(told.stdout.contains(", encrypted)") && !told.stdout.contains("whoever can read this file"), "{told:?}");
    for name in ["flag.tar.age", "setting.tar.age"] {
        let path = settings.folder.join(name);
        let bytes = fs::read(&path).unwrap();
        let phone = crate::setup::answer_tally::phone(0);
        assert!(!bytes.windows(phone.len()).any(|window| window == phone.as_bytes()), "a phone number in clear");
        let plain = settings.folder.join("plain.tar");
        let opened =
            Command::new("age").args(["-d", "-o"]).arg(&plain).arg("-i").arg(&identity).arg(&path).status().unwrap();
        assert!(opened.success());
        assert_eq!(members(&plain), ["mynah-backup.json", "mynah.db", "end.json"]);
    }
}

/// The program's clock runs 60 times as fast, so a minute is a second.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_makes_backups_by_the_clock_and_keeps_the_newest() {
    let environment = TestEnvironment::new().await;
    let folder = environment.settings.folder.join("backups");
    let settings = environment.settings.clone().with("MYNAH_BACKUP_EVERY", "1m").with("MYNAH_BACKUP_KEEP", "2");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("mynah-before-upgrade.tar"), "not made by the clock").unwrap();
    let mut server = ServerProcess::start(&settings).await;
    let scheduled = || {
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("mynah-127.0.0.1-2")).collect();
        names.sort();
        names
    };
    let first = wait_until("the first backup", TEST_TIMEOUT, || async { scheduled().first().cloned() }).await;
    wait_until("the first is removed", TEST_TIMEOUT, || async { (!scheduled().contains(&first)).then_some(()) }).await;
    assert!(scheduled().len() <= 3 && folder.join("mynah-before-upgrade.tar").exists(), "{:?}", scheduled());
    let jobs = settings.run(&["schedule", "--json"]).await.json();
    let row = jobs.as_array().unwrap().iter().find(|job| job["job"] == "backup").unwrap();
    assert!(row["failed"] == false && row["result"].as_str().unwrap().contains("backups/mynah-"), "{row}");
    let checked = settings.run(&["check", "--offline"]).await;
    assert!(checked.stdout.contains("backup") && checked.stdout.contains("the last one"), "{}", checked.stdout);

    // It fails, which is an alert, and works again, which ends it.
    let blocked = environment.settings.folder.join("a-file");
    fs::write(&blocked, "").unwrap();
    let set = |value: String| {
        let settings = settings.clone();
        async move { settings.run(&["settings", "set", "MYNAH_BACKUP_DIR", &value]).await }
    };
    assert_eq!(set(blocked.join("x").display().to_string()).await.status, Some(0));
    let alert = || async {
        let alerts = settings.run(&["alert", "list", "--json"]).await.json();
        alerts.as_array().unwrap().iter().find(|alert| alert["cause"] == "backup").cloned()
    };
    let failed = wait_until("the alert", TEST_TIMEOUT, alert).await;
    assert!(failed["message"].as_str().unwrap().contains("MYNAH_BACKUP_DIR"), "{failed}");
    assert_eq!(set(folder.display().to_string()).await.status, Some(0));
    server.wait_for_log("what an alert was about is well again").await;
    server.signal("TERM");
    assert!(server.wait_for_exit().await.success());
    assert!(leftovers(&environment.settings.folder, &[]).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_backup_can_be_turned_off() {
    let environment = TestEnvironment::new().await;
    let mut server = ServerProcess::start(&environment.settings.clone().with("MYNAH_BACKUP_EVERY", "0")).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    assert!(!environment.settings.folder.join("backups").exists());
}
