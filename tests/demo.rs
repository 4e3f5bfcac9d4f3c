//! The README's first command, played faster.

use std::net::TcpListener;

use crate::harness::Folder;

#[test]
fn the_demo_says_what_to_start_when_nobody_takes_its_spans() {
    let folder = Folder::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = folder.aqueduct(&["demo", "--quick", "--trace", &format!("http://{nobody}")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("examples/jaeger/Cargo.toml -- --collector"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

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
