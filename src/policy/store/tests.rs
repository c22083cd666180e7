use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// As where the file system tells of times by the second or two, and a file is edited twice within one.
#[test]
fn a_file_is_read_again_while_another_change_could_leave_it_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let private = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    private(folder.path(), 0o700);
    let policies = Policies::new(&Home::at(folder.path()));
    let path = policies.path(&Whose::Everyone);
    let edit = |most: u32| {
        std::fs::write(&path, format!("policy = 1\nrate = {{ day = {most} }}\n")).unwrap();
        private(&path, 0o600);
    };
    let says = |most: &str| {
        let policy = policies.current(&Whose::Everyone).unwrap().policy.unwrap();
        assert!(policy.text().contains(most), "{}", policy.text());
    };
    edit(9);
    says("9");
    edit(3);
    let mark = Mark::of(&path).unwrap().unwrap();
    policies
        .known
        .lock()
        .unwrap()
        .get_mut(&Whose::Everyone)
        .unwrap()
        .mark = Some(mark);
    says("3");
    assert!(is_fresh(mark));
}
