use redb::StorageBackend as _;

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
