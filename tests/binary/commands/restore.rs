//! `mynah restore`: a backup takes the place of the data, whole or not at all, and repeats nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::Value;

use crate::setup::answer_tally::{marked_text, phone};
use crate::setup::server_process::{CommandOutput, CommandSettings, ServerProcess};
use crate::setup::test_environment::TestEnvironment;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

async fn restore(settings: &CommandSettings, arguments: &[&str]) -> CommandOutput {
    settings.run(&[&["restore"], arguments].concat()).await
}

/// The settings with another data folder beside the first.
fn with_folder(settings: &CommandSettings, name: &str) -> CommandSettings {
    settings.clone().with("MYNAH_DATA_DIR", settings.folder.join(name).to_str().expect("it is there"))
}

fn messages(database: &Path) -> i64 {
    Connection::open(database)
        .expect("it is there")
        .query_row("SELECT COUNT(*) FROM messages", [], |row| row.get(0))
        .expect("it is there")
}

/// A data folder with one exchange, a picture, a setting and a secret, and its backup `whole.tar`.
async fn with_backup() -> (TestEnvironment, CommandSettings) {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone();
    let mut server = ServerProcess::start(&settings).await;
    environment.contact_writes((0, 0)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 1).await;
    fs::write(settings.folder.join("cake.jpg"), b"\xff\xd8\xff and a cake").expect("it is there");
    settings.run(&["conversations", "say", &phone(0), "--file", "cake.jpg", "--json"]).await.json();
    environment.wait_until_all_answered(&mut server, 1, 1).await;
    server.signal("TERM");
    server.wait_for_exit().await;
    assert_eq!(settings.run(&["settings", "set", "MYNAH_TYPING", "false"]).await.status, Some(0));
    assert_eq!(settings.run_with_input(&["secret", "set", "SMTP_URL"], "smtp://canary.example").await.status, Some(0));
    assert_eq!(settings.run(&["backup", "whole.tar"]).await.status, Some(0));
    (environment, settings)
}

/// The same, and one more exchange since, which only the log of the database holds.
async fn with_backup_and_more_since() -> (TestEnvironment, CommandSettings) {
    let (environment, settings) = with_backup().await;
    let mut server = ServerProcess::start(&settings).await;
    settings.run(&["conversations", "mode", &phone(0), "auto", "--json"]).await.json();
    environment.contact_writes((0, 1)).await;
    environment.wait_until_all_answered_once(&mut server, 1, 2).await;
    server.kill9().await;
    (environment, settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_into_an_empty_folder_with_all_that_was_in_it() {
    let (_environment, settings) = with_backup().await;
    let new = with_folder(&settings, "new/data");
    let told = restore(&new, &["whole.tar"]).await;
    assert_eq!(told.status, Some(0), "{told:?}");
    for part in
        ["restored the backup of 2", "3 messages, 1 file", "the age identity is missing: put your copy of it at"]
    {
        assert!(told.stdout.contains(part), "{part:?} is missing in {}", told.stdout);
    }
    let before = new.run(&["secret", "list", "--json"]).await.json();
    assert_eq!(before[0]["state"], "unreadable", "{before}");
    fs::copy(settings.folder.join("identity.age.txt"), settings.folder.join("new/data/identity.age.txt")).unwrap();
    for (arguments, of_whom) in [
        (&["conversations", "list", "--json"][..], "conversations"),
        (&["secret", "list", "--json"], "secrets"),
        (&["settings", "list", "--json"], "settings"),
    ] {
        let (old, new) = (settings.run(arguments).await.json(), new.run(arguments).await.json());
        let known =
            |value: Value| serde_json::to_string(&value).unwrap().replace("new/data/", "").replace("new/data", "");
        assert_eq!(known(old), known(new), "{of_whom}");
    }
    let file = fs::read_dir(settings.folder.join("new/data/media")).unwrap().next().unwrap().unwrap().path();
    let file = fs::read_dir(file).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(file).unwrap(), b"\xff\xd8\xff and a cake");
    let names = |folder: &Path| -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(
        names(&settings.folder.join("new/data")),
        ["identity.age.txt", "media", "mynah.db", "mynah.lock"],
        "nothing else is left"
    );

    let again = with_folder(&settings, "again");
    let report = restore(&again, &["whole.tar", "--json"]).await.json();
    assert_eq!((&report["rows"]["messages"], &report["files"]), (&3.into(), &1.into()), "{report}");
    assert_eq!((&report["age_identity"], &report["replaced"]), (&"missing".into(), &serde_json::json!([])), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_cannot_be_done_says_why_and_changes_nothing() {
    let (_environment, settings) = with_backup().await;
    let folder = settings.folder.clone();
    let whole = fs::read(folder.join("whole.tar")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("cut.tar", &whole[..whole.len() / 2]);
    let mut damaged = whole.clone();
    damaged[20_000] ^= 1;
    write("damaged.tar", &damaged);
    write("letter.tar", b"this is a letter to my aunt");
    write("empty.tar", b"");
    // The backup of a newer program.
    let unpacked = folder.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = |arguments: &[&str]| {
        let ran = Command::new("tar").args(arguments).current_dir(&unpacked).status().unwrap();
        assert!(ran.success());
    };
    tar(&["-xmf", "../whole.tar"]);
    Connection::open(unpacked.join("mynah.db")).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let manifest = fs::read_to_string(unpacked.join("mynah-backup.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    manifest["schema"] = 999.into();
    let database = fs::read(unpacked.join("mynah.db")).unwrap();
    manifest["database_bytes"] = database.len().into();
    manifest["database_sha256"] = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&database)).into();
    fs::write(unpacked.join("mynah-backup.json"), manifest.to_string()).unwrap();
    fs::write(unpacked.join("end.json"), r#"{"files":0,"file_bytes":0,"missing_files":[]}"#).unwrap();
    tar(&["-cf", "../newer.tar", "--format=ustar", "mynah-backup.json", "mynah.db", "end.json"]);

    // A clock that is behind, as of a Raspberry Pi before it has asked for the time.
    let unpacked_again = folder.join("unpacked-again");
    fs::create_dir(&unpacked_again).unwrap();
    let tar = |arguments: &[&str]| {
        let ran = Command::new("tar").args(arguments).current_dir(&unpacked_again).status().unwrap();
        assert!(ran.success());
    };
    tar(&["-xmf", "../whole.tar"]);
    let manifest = fs::read_to_string(unpacked_again.join("mynah-backup.json")).unwrap();
    for (name, made_at) in [("future.tar", 9_000_000_000_000_i64), ("nonsense.tar", i64::MIN)] {
        let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
        manifest["made_at"] = made_at.into();
        fs::write(unpacked_again.join("mynah-backup.json"), manifest.to_string()).unwrap();
        fs::write(unpacked_again.join("end.json"), r#"{"files":0,"file_bytes":0,"missing_files":[]}"#).unwrap();
        tar(&["-cf", &format!("../{name}"), "--format=ustar", "mynah-backup.json", "mynah.db", "end.json"]);
    }

    let (to, no_room) = (with_folder(&settings, "new"), settings.clone().with("MYNAH_TEST_FREE_BYTES", "60000000"));
    for (settings, arguments, says) in [
        (&to, &["cut.tar"][..], &["cut.tar cannot be used", "cut off", "use another copy"][..]),
        (&to, &["damaged.tar"], &["damaged.tar cannot be used", "damaged", "checksum"]),
        (&to, &["letter.tar"], &["not a backup of mynah"]),
        (&to, &["empty.tar"], &["not a backup of mynah"]),
        (&to, &["newer.tar"], &["has schema 999", "newer program"]),
        (&to, &["future.tar"], &["made at 2255-", "set the clock first"]),
        (&to, &["nonsense.tar"], &["damaged", "makes no sense"]),
        (&to, &["none.tar"], &["none.tar cannot be opened"]),
        (&to, &["unpacked"], &["unpacked is a folder"]),
        (&settings, &["whole.tar"], &["there is a database at", "--force", "kept under another name"]),
        (&no_room, &["whole.tar", "--force"], &["too little room", "57 MiB are free"]),
    ] {
        let ran = restore(settings, arguments).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        for word in says {
            assert!(ran.stderr.contains(word), "{word:?} is missing in {ran:?}");
        }
        assert!(ran.stdout.is_empty(), "{ran:?}");
        let left: Vec<_> =
            fs::read_dir(folder.join("new")).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| name == "mynah.lock"), "{arguments:?} left {left:?}");
    }
    assert_eq!(messages(&folder.join("mynah.db")), 3);

    let server = ServerProcess::start(&settings).await;
    let ran = restore(&settings, &["whole.tar", "--force"]).await;
    let pid = server.pid().to_string();
    assert!(ran.status == Some(1) && ran.stderr.contains("already serves") && ran.stderr.contains(&pid), "{ran:?}");
    // Its database is also known by another data folder.
    let database = format!("sqlite://{}", folder.join("mynah.db").display());
    let ran =
        restore(&with_folder(&settings, "other").with("DATABASE_URL", &database), &["whole.tar", "--force"]).await;
    assert!(ran.status == Some(1) && ran.stderr.contains("another process uses the database"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_backup_needs_its_identity() {
    let (_environment, settings) = with_backup().await;
    let keys: Vec<_> = ["right.txt", "wrong.txt"].into_iter().map(|name| settings.folder.join(name)).collect();
    for key in &keys {
        assert!(Command::new("age-keygen").arg("-o").arg(key).stderr(Stdio::null()).status().unwrap().success());
    }
    let recipient = Command::new("age-keygen").arg("-y").arg(&keys[0]).output().unwrap().stdout;
    let recipient = String::from_utf8(recipient).unwrap().trim().to_owned();
    assert_eq!(settings.run(&["backup", "x.age", "--recipient", &recipient]).await.status, Some(0));
    let bytes = fs::read(settings.folder.join("x.age")).unwrap();
    fs::write(settings.folder.join("cut.age"), &bytes[..bytes.len() - 100]).unwrap();
    let new = with_folder(&settings, "new");
    for (arguments, says) in [
        (&["x.age"][..], &["it is encrypted", "--identity"][..]),
        (&["x.age", "--identity", "wrong.txt"], &["it is encrypted", "wrong.txt", "does not open it"]),
        (&["x.age", "--identity", "none.txt"], &["there is no file none.txt"]),
        (&["x.age", "--identity", "whole.tar"], &["whole.tar"]),
        (&["cut.age", "--identity", "right.txt"], &["cut"]),
    ] {
        let ran = restore(&new, arguments).await;
        assert_eq!(ran.status, Some(1), "{ran:?}");
        for word in says {
            assert!(ran.stderr.contains(word), "{word:?} is missing in {ran:?}");
        }
        assert!(!ran.stderr.contains("AGE-SECRET-KEY"), "{ran:?}");
    }
    assert_eq!(restore(&new, &["x.age", "--identity", "right.txt", "--json"]).await.json()["rows"]["messages"], 3);

    // For the installation's own identity, none has to be named.
    let own = fs::read_to_string(settings.folder.join("identity.age.txt")).unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    assert_eq!(settings.run(&["backup", "own.age", "--recipient", &own]).await.status, Some(0));
    let report = restore(&settings, &["own.age", "--force", "--json"]).await.json();
    assert_eq!(report["age_identity"], "fits", "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_data_is_kept_under_other_names() {
    let (_environment, settings) = with_backup_and_more_since().await;
    let report = restore(&settings, &["whole.tar", "--force", "--json"]).await.json();
    assert_eq!(messages(&settings.folder.join("mynah.db")), 3);
    let old: Vec<_> = report["replaced"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    let database = old.iter().find(|path| path.contains("mynah.db.replaced-") && path.ends_with('Z')).unwrap();
    assert_eq!(messages(Path::new(database)), 5, "with what was only in its log: {old:?}");
    assert!(old.iter().any(|path| path.contains("media.replaced-")), "{old:?}");
}

/// A crash at any place leaves the old data or the new, never a mixture, and the next command finishes what was begun.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_crashes_leaves_the_old_data_or_the_new() {
    let (_environment, settings) = with_backup_and_more_since().await;
    let places = ["before-restore-marker", "after-restore-marker"].into_iter().map(str::to_owned);
    for place in places.chain((1..=6).map(|pass| format!("restore-renamed@{pass}"))) {
        let outside = tempfile::tempdir().unwrap();
        let copy = outside.path().join("data");
        let copied = Command::new("cp").arg("-a").arg(&settings.folder).arg(&copy).status();
        assert!(copied.unwrap().success());
        let there = settings.clone().with("MYNAH_DATA_DIR", copy.to_str().unwrap());
        let ran = restore(&there.clone().with("MYNAH_FAILPOINT", &place), &["whole.tar", "--force"]).await;
        assert!(ran.status.is_none(), "{place}: {ran:?}");
        let listed = there.run(&["conversations", "show", &phone(0), "--json"]).await;
        assert_eq!(listed.status, Some(0), "{place}: {listed:?}");
        let expected = if place == "before-restore-marker" { 5 } else { 3 };
        assert_eq!(messages(&copy.join("mynah.db")), expected, "{place}");
        assert!(!copy.join("restore-in-progress").exists(), "{place}");
        let kept: Vec<_> = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path()).collect();
        let old = kept.iter().find(|path| {
            path.to_str().unwrap().contains("mynah.db.replaced-") && path.to_str().unwrap().ends_with('Z')
        });
        match (expected, old) {
            (5, None) => {}
            (3, Some(old)) => assert_eq!(messages(old), 5, "{place}: the old data is whole"),
            other => panic!("{place}: {other:?}"),
        }
        // What was prepared and not used is gone with the next restore.
        let again = restore(&there, &["whole.tar", "--force"]).await;
        assert_eq!(again.status, Some(0), "{place}: {again:?}");
        assert!(!copy.join("mynah.db.restored").exists() && !copy.join("media.restored").exists(), "{place}");
    }
}

/// Between the backup and its loss, everything was answered that waits in the backup. Twilio's list shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_repeats_no_reply_that_twilio_lists() {
    let environment = TestEnvironment::new().await;
    let settings = environment.settings.clone();
    let mut server = ServerProcess::start(&settings).await;
    for sender in 0..3 {
        environment.contact_writes((sender, 0)).await;
    }
    environment.wait_until_all_answered_once(&mut server, 3, 1).await;
    // Three turns wait for the model when the backup is made.
    environment.model.paused.send_replace(true);
    let calls = environment.model.calls.load(std::sync::atomic::Ordering::SeqCst);
    for sender in 0..3 {
        environment.contact_writes((sender, 1)).await;
    }
    environment.wait_for_model_calls(calls + 3).await;
    assert_eq!(settings.run(&["backup", "old.tar"]).await.status, Some(0));
    environment.model.paused.send_replace(false);
    // Then they are answered, and so is what comes after them.
    for sender in 0..4 {
        for number in 2..4 {
            environment.contact_writes((sender, number)).await;
        }
    }
    wait_until("all is answered", TEST_TIMEOUT, || async {
        let jobs = settings.run(&["jobs", "list", "--json"]).await.json();
        (jobs == serde_json::json!([]) && environment.sent_messages().len() >= 10).then_some(())
    })
    .await;
    environment.twilio.wait_until_idle().await;
    server.kill9().await;
    // One message came while nobody served.
    environment.twilio.add_inbound(&phone(5), &marked_text((5, 0)));
    let before = environment.sent_messages();

    let told = restore(&settings, &["old.tar", "--force"]).await;
    assert!(told.status == Some(0) && told.stdout.contains("3 turns and 0 reply parts were unfinished"), "{told:?}");
    server.restart(&settings).await;
    wait_until("the missed message is answered", TEST_TIMEOUT, || async {
        environment.sent_messages().iter().any(|(to, _)| to.ends_with(&phone(5))).then_some(())
    })
    .await;
    wait_until("nothing waits", TEST_TIMEOUT, || async {
        let jobs = settings.run(&["jobs", "list", "--json"]).await.json();
        jobs.as_array().unwrap().iter().all(|job| job["state"] == "skipped").then_some(())
    })
    .await;
    let after = environment.sent_messages();
    assert_eq!(after[..before.len()], before[..]);
    let new: Vec<_> = after[before.len()..].iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(new, [format!("whatsapp:{}", phone(5))], "{}", server.log());

    // The history has what the lost process said, so the next answer is to the next question only.
    environment.contact_writes((0, 4)).await;
    wait_until("the next message is answered", TEST_TIMEOUT, || async {
        (environment.sent_messages().len() > after.len()).then_some(())
    })
    .await;
    let last = environment.sent_messages().pop().unwrap();
    assert_eq!(last, (format!("whatsapp:{}", phone(0)), "re: #0-4#".to_owned()));
}

/// The owner stops the service with sudo, and restores with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_root_restores_belongs_to_the_owner_of_the_data_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (_environment, settings) = with_backup().await;
    let new = settings.folder.join("new");
    fs::create_dir(&new).unwrap();
    // Only root can give a folder away; for others, the folder and what is restored are theirs anyway.
    let is_root = fs::metadata(&new).unwrap().uid() == 0;
    if is_root {
        chown(&new, Some(1234), Some(1235)).unwrap();
    }
    let owner = fs::metadata(&new).unwrap();
    let restored = restore(&with_folder(&settings, "new"), &["whole.tar"]).await;
    assert_eq!(restored.status, Some(0), "{restored:?}");
    let mut folders = vec![new];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid()), (owner.uid(), owner.gid()), "{}", path.display());
            seen += 1;
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert_eq!(seen, 5, "the database, the lock, and the folders with the picture");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_was_erased_since_the_backup_is_erased_again() {
    let (_environment, settings) = with_backup().await;
    let erased = settings.run(&["conversations", "erase", &phone(0), "--yes", "--json"]).await;
    assert_eq!(erased.status, Some(0), "{erased:?}");
    // Without the identity, mynah cannot know the person again.
    let identity = settings.folder.join("identity.age.txt");
    let aside = settings.folder.join("aside.txt");
    fs::rename(&identity, &aside).unwrap();
    let ran = restore(&settings, &["whole.tar", "--force"]).await;
    assert!(ran.status == Some(1) && ran.stderr.contains("cannot erase them again"), "{ran:?}");
    assert_eq!(messages(&settings.folder.join("mynah.db")), 0, "nothing has changed");
    fs::rename(&aside, &identity).unwrap();
    let told = restore(&settings, &["whole.tar", "--force"]).await;
    assert!(told.status == Some(0) && told.stdout.contains("1 person erased since the backup"), "{told:?}");
    assert_eq!(messages(&settings.folder.join("mynah.db")), 0);
}
