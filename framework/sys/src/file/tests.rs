use std::fs::File;
use std::io::{self, Write};

use super::{allocated_bytes, free_bytes, lock_exclusive, reserve, sync_folder};

const MIB: u64 = 1 << 20;

#[test]
fn reserved_space_is_allocated_and_the_length_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"abc").unwrap();
    reserve(&file, 0, MIB).unwrap();
    assert!(allocated_bytes(&path).unwrap() >= MIB);
    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
}

#[test]
fn a_hole_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hole");
    File::create(&path).unwrap().set_len(64 * MIB).unwrap();
    assert!(allocated_bytes(&path).unwrap() < MIB);
}

#[test]
fn more_than_the_disk_has_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let refused = reserve(&file, 0, 1 << 60).unwrap_err().kind();
    assert!(
        matches!(refused, io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge),
        "{refused:?}"
    );
}

#[test]
fn what_is_free_is_what_can_be_reserved() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("segment")).unwrap();
    let free = free_bytes(folder.path()).unwrap();
    reserve(&file, 0, free / 1000).unwrap();
    assert!(reserve(&file, 0, free.saturating_mul(1000)).is_err());
    let missing = free_bytes(folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[test]
fn one_holder_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let first = File::create(&path).unwrap();
    let second = File::open(&path).unwrap();
    assert!(lock_exclusive(&first).unwrap());
    assert!(!lock_exclusive(&second).unwrap());
    drop(first);
    assert!(lock_exclusive(&second).unwrap());
}

#[test]
fn a_folder_can_be_synced_and_a_missing_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    sync_folder(folder.path()).unwrap();
    let missing = sync_folder(folder.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}
