//! The README's first command, played faster.

use crate::harness::Folder;

#[test]
fn the_demo_ends_well_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let output = folder.aqueduct(&["demo", "--quick"]);
    let story = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{story}");
    assert!(
        story.contains("Nothing was lost, nothing came twice, everything came in order."),
        "{story}"
    );
    assert_eq!(
        folder.names().iter().find(|name| *name != "aqueduct"),
        None,
        "left behind in {:?}",
        folder.names()
    );
}
