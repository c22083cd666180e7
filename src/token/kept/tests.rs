use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{keep, mend};

/// A folder of tokens with one token, in which a module keeps this file.
fn token(file: &str) -> (tempfile::TempDir, PathBuf) {
    let tokens = tempfile::tempdir().unwrap();
    let token = tokens.path().join("one");
    fs::create_dir_all(token.join("TOK_OBJ")).unwrap();
    (tokens, token.join(file))
}

/// As a module writes: in place.
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).unwrap();
}

/// `NVTOK.DAT` with this label and this next name.
fn nvtok(label: u8, next: &str) -> Vec<u8> {
    [&[label; 208], next.as_bytes(), &[1; 16]].concat()
}

#[test]
fn a_token_that_was_lost_comes_back_as_it_was_last() {
    for file in ["token.object", "NVTOK.DAT"] {
        let form = |body| nvtok(body, "00000000");
        let (tokens, path) = token(file);
        write(&path, &form(1));
        keep(tokens.path());
        let newest = form(2);
        write(&path, &newest);
        keep(tokens.path());
        let inode = fs::metadata(&path).unwrap().ino();
        for torn in [&b""[..], &newest[..100], &vec![0; newest.len()]] {
            write(&path, torn);
            keep(tokens.path());
            mend(tokens.path());
            assert_eq!(fs::read(&path).unwrap(), newest, "{file} of {} bytes", torn.len());
        }
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mode() & 0o777), (inode, 0o660), "{file}");
        let copy = fs::metadata(tokens.path().join(".one.kept")).unwrap();
        assert_eq!((copy.mode() & 0o777, copy.gid()), (0o660, after.gid()), "{file}");
        let other = form(3);
        write(&path, &other);
        mend(tokens.path());
        assert_eq!(fs::read(&path).unwrap(), other, "what is whole is left alone");
        write(&path, b"");
        mend(tokens.path());
        assert_eq!(fs::read(&path).unwrap(), other, "what was seen whole was copied");
        fs::remove_file(&path).unwrap();
        mend(tokens.path());
        assert!(!path.exists(), "what was taken away stays away");
    }
}

/// As somebody leaves it who may write the folder of tokens and not the token: another's copy would bring another's PIN.
#[test]
fn a_copy_of_somebody_elses_is_not_put_back() {
    let id = |number| Some(rustix::fs::Uid::from_raw(number));
    let gid = |number| Some(rustix::fs::Gid::from_raw(number));
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: giving files to other users needs root");
        return;
    }
    let (owner, stranger) = (1001, 1002);
    for (copys, mode, comes_back) in [
        ((stranger, 7), 0o600, false),
        ((stranger, 7), 0o660, false),
        ((stranger, 5), 0o640, false),
        ((stranger, 5), 0o660, true),
        ((owner, 7), 0o600, true),
        ((0, 7), 0o600, true),
    ] {
        let (tokens, path) = token("token.object");
        let copy = tokens.path().join(".one.kept");
        write(&path, &nvtok(1, "00000000"));
        keep(tokens.path());
        rustix::fs::chown(&path, id(owner), gid(5)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        rustix::fs::chown(&copy, id(copys.0), gid(copys.1)).unwrap();
        fs::write(&path, b"").unwrap();
        mend(tokens.path());
        let whole = fs::metadata(&path).unwrap().len() > 0;
        assert_eq!(whole, comes_back, "{copys:?} {mode:o}");
    }
}

/// Where nothing can be put back, nobody waits for another program to be done.
#[test]
fn a_token_without_a_copy_is_not_waited_for() {
    let (tokens, path) = token("token.object");
    write(&path, b"");
    let quickest = (0..20).map(|_| {
        let begun = Instant::now();
        mend(tokens.path());
        begun.elapsed()
    });
    assert!(quickest.min().unwrap() < super::WRITING);
}

#[test]
fn the_count_of_writings_alone_is_no_news() {
    let (tokens, path) = token("token.object");
    let bytes = |count: u8| [vec![count; 8], vec![9; 300]].concat();
    write(&path, &bytes(1));
    keep(tokens.path());
    write(&path, &bytes(2));
    keep(tokens.path());
    assert_eq!(fs::read(tokens.path().join(".one.kept")).unwrap(), bytes(1));
}

#[test]
fn an_old_copy_names_no_object_that_is_there() {
    let cases: [(&str, &[&str], &str); 6] = [
        ("30000000", &[], "30000000"),
        ("30000000", &["20000000"], "30000000"),
        ("30000000", &["30000000"], "40000000"),
        ("30000000", &["30000000", "90000000", "Z0000000"], "01000000"),
        ("30000000", &["Z0000000", "01000000"], "11000000"),
        ("30000000", &["OBJ.IDX", "IDX.TMP", "zzzzzzzz"], "30000000"),
    ];
    for (next, there, wanted) in cases {
        let (tokens, path) = token("NVTOK.DAT");
        write(&path, &nvtok(1, next));
        keep(tokens.path());
        for name in there {
            write(&tokens.path().join("one/TOK_OBJ").join(name), b"an object");
        }
        write(&path, b"");
        mend(tokens.path());
        assert_eq!(fs::read(&path).unwrap(), nvtok(1, wanted), "{next} {there:?}");
    }
}

#[test]
fn a_list_of_objects_that_was_cut_off_is_written_to_its_end() {
    let all = "00000000\n10000000\n20000000\n";
    for (index, source, wanted) in [
        ("", all, all),
        ("00000000\n1000", all, all),
        (all, all, all),
        // Names were added since, or the copying was cut off itself.
        (all, "00000000\n10000000\n", all),
        (all, "00000000\n2000", all),
        ("00000000\n", "10000000\n20000000\n", "00000000\n"),
        ("", "", ""),
    ] {
        let (tokens, _) = token("NVTOK.DAT");
        let objects = tokens.path().join("one/TOK_OBJ");
        write(&tokens.path().join("one/NVTOK.DAT"), &nvtok(1, "30000000"));
        write(&objects.join("OBJ.IDX"), index.as_bytes());
        write(&objects.join("IDX.TMP"), source.as_bytes());
        mend(tokens.path());
        let after = fs::read_to_string(objects.join("OBJ.IDX")).unwrap();
        assert_eq!(after, wanted, "{index:?} of {source:?}");
    }
}

#[test]
fn links_lead_nowhere() {
    let (tokens, path) = token("NVTOK.DAT");
    let elsewhere = tokens.path().join("elsewhere");
    write(&path, &nvtok(1, "00000000"));
    keep(tokens.path());
    write(&elsewhere, b"");
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    mend(tokens.path());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");
    // A link in the copy's place is replaced.
    let copy = tokens.path().join(".one.kept");
    fs::remove_file(&copy).unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &copy).unwrap();
    write(&path, &nvtok(2, "00000000"));
    keep(tokens.path());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");
    assert_eq!(fs::read(&copy).unwrap(), nvtok(2, "00000000"));
}
