//! What comes of several batches: a processor that held them back.

use std::net::SocketAddr;

use super::{Collector, MESSAGES};
use crate::harness::{Feeder, Folder, wait_until};
use crate::plugins::{number, run, text};

#[test]
fn what_was_made_of_batches_held_back_is_linked_to_each_of_them() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let config = format!(
        r#"
        name = "p"
        flow = "source -> work -> out"
        telemetry = {{ endpoint = {:?} }}
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        processors.work = {{ type = "join" }}
        sinks.out = {{ type = "file", path = "out.txt" }}
        "#,
        collector.endpoint
    );
    run(folder.write("p.toml", &config), |view, control| {
        let listening = || text(view, "source", "listening").parse::<SocketAddr>().ok();
        let mut feeder = Feeder::connect(wait_until("the source listens", listening), MESSAGES);
        for (held, line) in ["a\n", "b\n", "c\n"].into_iter().enumerate() {
            feeder.send_text(line);
            let all = || (number(view, "work", "frames_in") == held as u64 + 1).then_some(());
            wait_until("the frame is a batch of its own", all);
        }
        control.shut_down();
    });
    assert_eq!(folder.read("out.txt"), "a,b,c\n");
    let spans = collector.spans();
    let [sent] = spans.named("send out")[..] else {
        panic!("one batch left: {spans:?}")
    };
    let joined = spans.parent(&sent.span);
    assert_eq!(joined.span.name, "process work");
    let mut held: Vec<_> = joined.span.links.iter().map(|link| &link.span_id).collect();
    held.push(&joined.span.parent_span_id);
    let named = spans.named("process work");
    let mut others: Vec<_> = named.iter().map(|seen| &seen.span.span_id).collect();
    others.retain(|id| **id != joined.span.span_id);
    assert_eq!(held, others, "a link to each, and the last is its parent");
}
