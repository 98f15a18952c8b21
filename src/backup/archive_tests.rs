use super::*;

const MADE_AT: i64 = 1_793_527_200_000;

fn hash(content: &[u8]) -> FileHash {
    FileHash::new(Sha256::digest(content).into())
}

fn manifest(database: &[u8]) -> Manifest {
    let rows = BTreeMap::from([("messages".to_owned(), 3)]);
    let digest = hex::encode(Sha256::digest(database));
    Manifest::new(MADE_AT, 5, rows, (database.len() as u64, digest))
}

/// An archive with a database and two files.
fn archive() -> Vec<u8> {
    let database = vec![7; 100_000];
    let mut writer = Writer::new(Vec::new(), &manifest(&database)).unwrap();
    writer.append_database(database.len() as u64, &*database).unwrap();
    let mut files = [&b"a picture"[..], &b"a voice note"[..]];
    files.sort_by_key(|file| hash(file));
    for file in files {
        writer.append_file(&hash(file), file.len() as u64, file).unwrap();
    }
    writer.skip_file(&hash(b"deleted meanwhile"));
    writer.finish().unwrap().1
}

/// An archive of these members, of any kind.
fn tar(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o777);
        // As a hostile archive has it: the library itself refuses such names.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn error(archive: &[u8]) -> String {
    verify(archive).unwrap_err().to_string()
}

#[test]
fn what_was_packed_is_unpacked_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let contents = unpack(&*archive(), folder.path()).unwrap();
    assert_eq!(contents, verify(&*archive()).unwrap());
    assert_eq!(contents.manifest, manifest(&[7; 100_000]));
    assert_eq!((contents.end.files, contents.end.file_bytes, contents.end.missing_files.len()), (2, 21, 1));
    assert_eq!(fs::read(folder.path().join("mynah.db")).unwrap(), [7; 100_000]);
    let picture = hash(b"a picture");
    let path = folder.path().join(format!("media/{:02x}/{picture}", picture.shard()));
    assert_eq!(fs::read(&path).unwrap(), b"a picture");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn an_archive_that_ends_early_is_cut_off_wherever_it_ends() {
    let whole = archive();
    // Up to the two empty blocks at the end, which mean nothing more.
    for length in (600..whole.len() - 1024).step_by(512).chain([601, 50_000, whole.len() - 1025]) {
        let error = error(&whole[..length]);
        assert!(error.contains("cut off") || error.contains("damaged"), "{length}: {error}");
    }
    assert!(error(&whole[..60_000]).contains("cut off: it ends within mynah.db"));
}

#[test]
fn a_changed_byte_is_noticed_in_every_member() {
    let whole = archive();
    let find = |text: &[u8]| whole.windows(text.len()).position(|window| window == text).unwrap();
    for (at, expected) in [
        (find(b"mynah.db\0"), "its list of members"),
        (50_000, "the database has another checksum"),
        (find(b"a picture"), "has another checksum"),
        (find(b"\"files\": 2") + 9, "should hold"),
    ] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let error = error(&damaged);
        assert!(error.contains("damaged") && error.contains(expected), "{at}: {error}");
    }
}

#[test]
fn something_else_is_told_from_a_backup() {
    let foreign = tar(&[("etc/passwd", tar::EntryType::Regular, b"root")]);
    for other in
        [&b""[..], b"this is a letter to my aunt", &[0; 4096], &foreign, b"SQLite format 3\0".repeat(64).as_slice()]
    {
        let error = error(other);
        assert!(error.contains("not a backup of mynah"), "{error}");
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let newer = serde_json::to_string(&Manifest { format: 2, ..manifest(b"") }).unwrap();
    let newer = tar(&[("mynah-backup.json", tar::EntryType::Regular, newer.as_bytes())]);
    assert!(error(&newer).contains("format 2") && error(&newer).contains("newer program"));
}

#[test]
fn a_member_that_does_not_belong_there_is_refused_and_written_nowhere() {
    use tar::EntryType::{Link, Regular, Symlink};
    let database = b"data";
    let manifest = serde_json::to_string(&manifest(database)).unwrap();
    let start = [("mynah-backup.json", Regular, manifest.as_bytes()), ("mynah.db", Regular, &database[..])];
    let picture = format!("media/{:02x}/{}", hash(b"x").shard(), hash(b"x"));
    let other_shard = format!("media/{:02x}/{}", hash(b"x").shard() ^ 1, hash(b"x"));
    let end = br#"{"files":0,"file_bytes":0,"missing_files":[]}"#;
    for extra in [
        vec![("../outside", Regular, &b"x"[..])],
        vec![("/tmp/outside", Regular, b"x")],
        vec![("media/../../outside", Regular, b"x")],
        vec![("mynah.db", Regular, b"data")],
        vec![(picture.as_str(), Symlink, b"")],
        vec![(picture.as_str(), Link, b"")],
        vec![(other_shard.as_str(), Regular, b"x")],
        vec![(picture.as_str(), Regular, b"x"), (picture.as_str(), Regular, b"x")],
        vec![("end.json", Regular, end), ("end.json", Regular, end)],
    ] {
        let members: Vec<_> = start.iter().copied().chain(extra).collect();
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("inner");
        fs::create_dir(&folder).unwrap();
        let error = unpack(&*tar(&members), &folder).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        let beside: Vec<_> = fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(beside, ["inner"]);
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_no_member() {
    let mut writer = Writer::new(Vec::new(), &manifest(b"data")).unwrap();
    assert!(writer.append_database(10, &b"data"[..]).is_err());
}

#[test]
fn an_encrypted_archive_is_known_by_its_first_bytes() {
    assert!(is_encrypted(b"age-encryption.org/v1\n-> X25519 ") && !is_encrypted(&archive()[..64]));
}
