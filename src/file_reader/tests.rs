use super::*;

/// Returns a reader that runs a shell script in place of the executable.
fn reader_running_script(script: &str) -> FileReader {
    FileReader { arguments: vec!["-c".to_owned(), script.to_owned()], ..FileReader::from_program("/bin/sh".into()) }
}

async fn read_error_of(script: &str) -> String {
    reader_running_script(script).read(&Bytes::from_static(b"file"), true).await.content.unwrap_err()
}

#[tokio::test]
async fn the_report_of_the_child_is_the_outcome() {
    let text =
        reader_running_script(r#"cat >/dev/null; echo '"pdf"'; echo '{"text":{"text":"Rye","truncated":true}}'"#);
    // Without an environment, the shell finds `cat` in its default path.
    let found = text.read(&Bytes::from_static(b"file"), true).await;
    assert_eq!(found.kind, FileKind::Pdf);
    assert!(matches!(found.content, Ok(Content::Text(DocumentText { text, truncated: true })) if text == "Rye"));
    let picture = reader_running_script(
        r#"echo '"webp"'; echo '{"picture":{"kind":"jpeg","width":3,"height":2}}'; printf 'a\nb'"#,
    );
    let found = picture.read(&Bytes::from_static(b"file"), true).await;
    let Ok(Content::Picture(image)) = found.content else { panic!("{found:?}") };
    assert_eq!((found.kind, image.media_type, image.width, image.height), (FileKind::Webp, "image/jpeg", 3, 2));
    assert_eq!(image.bytes, Bytes::from_static(b"a\nb"));
    let other = reader_running_script(r#"echo '"ogg"'; echo '"other"'"#).read(&Bytes::new(), true).await;
    assert!(matches!(other.content, Ok(Content::Other)), "{other:?}");
    assert_eq!(read_error_of(r#"echo '"pdf"'; echo '{"unreadable":"it is empty"}'"#).await, "it is empty");
}

#[tokio::test]
async fn a_child_that_fails_has_met_a_file_that_cannot_be_read() {
    for script in ["exit 1", "kill -ABRT $$", "kill -KILL $$"] {
        let found = reader_running_script(&format!(r#"echo '"pdf"'; {script}"#)).read(&Bytes::new(), true).await;
        assert_eq!(found.kind, FileKind::Pdf, "reported before it died");
        let why = found.content.unwrap_err();
        assert!(why.starts_with("reading it took too much memory or time, or crashed"), "{why}");
    }
    for garbage in ["", "echo", "echo pdf", r#"echo '"pdf"'; echo '{"text":1}'"#, r#"echo '"pdf"'; printf '"other"'"#] {
        assert_eq!(read_error_of(garbage).await, "the reader's output is malformed", "{garbage}");
    }
    let missing =
        FileReader::from_program("/nonexistent/mynah".into()).read(&Bytes::new(), true).await.content.unwrap_err();
    assert!(missing.starts_with("cannot start the process that reads files"), "{missing}");
}

/// The clock is paused, so tokio advances it to the deadline as soon as there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_end_is_ended() {
    assert_eq!(read_error_of("read line; while :; do :; done").await, "it took too long to read");
    assert_eq!(read_error_of(r#"exec <&- >&-; while :; do :; done"#).await, "it took too long to read");
}

#[tokio::test]
async fn a_child_that_writes_too_much_is_not_read_to_its_end() {
    let head = r#""jpeg"~{"picture":{"kind":"jpeg","width":3,"height":2}}~"#.replace('~', "\n");
    let tail = MAX_OUTPUT_BYTES as usize + 1 - (head.len() - 2);
    let script = format!(
        "printf '{head}'; line=$(printf '%1024s' ''); i=0; while [ $i -lt {} ]; do printf '%s' \"$line\"; i=$((i+1)); done; \
         printf '%{}s' ''",
        tail / 1024,
        tail % 1024
    );
    assert_eq!(read_error_of(&script).await, "the reader's output is too large");
    let endless = read_error_of("echo '\"jpeg\"'; while echo xxxxxxxxxxxxxxxx; do :; done").await;
    assert!(endless.contains("crashed the reader"), "{endless}");
}

#[tokio::test]
async fn a_child_that_was_interrupted_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let been = folder.path().join("been");
    let script = format!(
        r#"if [ -e '{0}' ]; then echo '"ogg"'; echo '"other"'; else : > '{0}'; kill -TERM $$; fi"#,
        been.display()
    );
    let found = reader_running_script(&script).read(&Bytes::new(), true).await;
    assert!(matches!(found.content, Ok(Content::Other)), "{found:?}");
}

#[tokio::test]
async fn a_child_is_given_nothing_but_the_file() {
    // Cargo sets these variables for every test.
    let script = r#"[ -z "$CARGO_MANIFEST_DIR$HOME$CARGO" ] && [ "$(pwd)" = / ] && [ "$*" = "" ] || exit 1
                    echo '"ogg"'; echo '"other"'"#;
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(reader_running_script(script).read(&Bytes::new(), true).await.content.is_ok());
    let flag = reader_running_script(r#"[ "$0" = --no-pictures ] || exit 1; echo '"png"'; echo '"other"'"#);
    assert!(flag.read(&Bytes::new(), false).await.content.is_ok());
    assert!(flag.read(&Bytes::new(), true).await.content.is_err());
}

#[tokio::test]
async fn our_own_executable_is_found_while_it_runs() {
    let own = FileReader::from_current_executable().unwrap();
    assert!(own.program.exists());
    assert_eq!(own.program == Path::new("/proc/self/exe"), Path::new("/proc/self/exe").exists());
}
