use redb::StorageBackend as _;

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn an_overlay_reads_back_what_was_written_and_leaves_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let content: Vec<u8> = (0..10_000_u32).map(|at| at as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let overlay = Overlay::new(System.open(&path, Open::Read).unwrap()).unwrap();
    let mut expected = content.clone();
    expected[4_090..4_100].fill(7);
    overlay.write(4_090, &[7; 10]).unwrap();
    expected.resize(20_000, 0);
    overlay.set_len(20_000).unwrap();
    expected[15_000..15_003].fill(9);
    overlay.write(15_000, &[9; 3]).unwrap();
    expected.truncate(4_095);
    overlay.set_len(4_095).unwrap();
    expected.resize(12_000, 0);
    overlay.set_len(12_000).unwrap();
    let mut found = vec![1; 12_000];
    overlay.read(0, &mut found).unwrap();
    assert!(found == expected);
    overlay.read(4_000, &mut found[..200]).unwrap();
    assert!(found[..200] == expected[4_000..4_200]);
    assert!(overlay.read(11_999, &mut found[..2]).is_err());
    assert!(std::fs::read(&path).unwrap() == content);
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_a_store_makes_is_its_owners_alone_unless_a_mode_is_set_and_its_lock_always_is() {
    use crate::spill::testing::batch_of;
    use crate::spill::{Persist, SpillOptions, Storage};

    let above = tempfile::tempdir().unwrap();
    for (mode, file, folder) in [("0600", 0o600, 0o700), ("0640", 0o640, 0o750)] {
        let path = above.path().join(mode);
        let options = SpillOptions {
            mode: mode.parse().unwrap(),
            persist: Persist::Always,
            ..SpillOptions::new(&path)
        };
        let (mut storage, _) = Storage::open(&options).unwrap();
        storage.append(0, &batch_of(0, ["frame"])).unwrap();
        storage.commit().unwrap();
        storage.make_named(&"client".into(), 0).unwrap();
        assert_eq!(mode_of(&path), folder);
        assert_eq!(mode_of(&path.join("cursors")), folder);
        assert_eq!(mode_of(&path.join("cursors/client.cursor")), file);
        for name in System
            .names(&path)
            .unwrap()
            .into_iter()
            .filter(|name| name != "cursors")
        {
            let expected = if name == "lock" { 0o600 } else { file };
            assert_eq!(mode_of(&path.join(&name)), expected, "{name}");
        }
    }
    let _ = std::fs::set_permissions(above.path().join("0600/lock"), std::fs::Permissions::from_mode(0o644));
    drop(Storage::open(&SpillOptions::new(above.path().join("0600"))).unwrap());
    assert_eq!(
        mode_of(&above.path().join("0600/lock")),
        0o600,
        "of an older version, too"
    );
}
