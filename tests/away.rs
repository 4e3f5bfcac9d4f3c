//! Name servers that say nothing and addresses where nobody answers, in a network of one's own: what is sent there goes nowhere.

use std::process::{Command, Stdio};

use crate::harness::{Folder, Program, wait_until};

/// Everything but 127.0.0.0/8 is a black hole. The name server lies in it, and is asked for longer than a test has patience.
const NETWORK: &str = "ip link set lo up && (ip link add hole type dummy || ip tuntap add mode tun hole) 2> ip.log && ip addr add 192.0.2.9/24 dev hole && ip link set hole up && \
    echo 'nameserver 192.0.2.1' > resolv && echo 'options timeout:30 attempts:5' >> resolv && mount --bind resolv /etc/resolv.conf && \
    (echo '127.0.0.1 localhost twice'; echo '192.0.2.1 twice') > hosts && mount --bind hosts /etc/hosts && exec \"$@\"";
const SHELL: [&str; 5] = ["unshare", "-Urnm", "sh", "-c", NETWORK];

/// Whether this machine lets its users have one.
fn may() -> bool {
    let folder = Folder::new();
    let tried = Command::new(SHELL[0])
        .args(&SHELL[1..])
        .args(["sh", "true"])
        .current_dir(folder.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("not tested: this machine allows no network of one's own (unshare -Urnm), or has no `ip`");
    }
    may
}

fn run(folder: &Folder, config: &str) -> Program {
    folder.run_pipeline_after(&[&SHELL[..], &["sh"]].concat(), config)
}

#[test]
fn a_mute_name_server_stops_neither_the_data_path_nor_the_end() {
    if !may() {
        return;
    }
    let folder = Folder::new();
    let mut program = run(
        &folder,
        r#"
        name = "p"
        flow = ["in -> kept", "in -> drain -> network"]
        telemetry = { endpoint = "http://collector.example:4318", export_interval = "1ms" }
        sources.in = { type = "generate", rate = 1000 }
        spills.drain = { directory = "data" }
        sinks.kept = { type = "file", path = "got" }
        sinks.network = { type = "tcp_client", address = "destination.example:9000", connect_timeout = "50ms", retry = { max = "50ms" } }
        "#,
    );
    program.log.first(&[
        "cannot connect to destination.example:9000",
        "connect_timeout of 50ms passed",
    ]);
    program.wait_for("frames flow by", |status| status.number("kept", "frames_out") > 2000);
    let told = folder.aqueduct(&["status", "p"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("destination.example"));
    program.terminate();
    assert_eq!(program.exit_code(), 0);
}

#[test]
fn an_address_to_listen_on_whose_name_server_is_mute_stops_no_signal() {
    if !may() {
        return;
    }
    for actors in [
        r#"
        flow = ["in -> out"]
        sources.in = { type = "tcp_server", listen = "here.example:9000" }
        sinks.out = { type = "blackhole" }
        "#,
        r#"
        flow = ["in -> drain -> out"]
        sources.in = { type = "link", listen = "here.example:9000" }
        spills.drain = { directory = "data", persist = "always" }
        sinks.out = { type = "tcp_server", listen = "here.example:9001" }
        "#,
        r#"
        flow = ["in -> drain -> out"]
        sources.in = { type = "generate", count = 10 }
        spills.drain = { directory = "data", persist = "always", retain_bytes = "1 GiB" }
        sinks.out = { type = "tcp_server", listen = "here.example:9001", clients = "named", any_name = true }
        "#,
    ] {
        let folder = Folder::new();
        let mut program = run(&folder, &format!("name = \"p\"\n{actors}"));
        program.status_of("p");
        program.terminate();
        assert_eq!(program.exit_code(), 0, "{actors}");
    }
}

/// `twice` has an address where nobody answers, and one where somebody does.
#[test]
fn where_nobody_answers_at_one_address_the_other_is_reached() {
    if !may() {
        return;
    }
    for address in [
        r#""twice:7001", connect_timeout = "2s""#,
        r#"["192.0.2.1:7001", "twice:7001"], connect_timeout = "500ms""#,
    ] {
        let folder = Folder::new();
        let program = run(
            &folder,
            &format!(
                r#"
                name = "p"
                flow = ["in -> network", "back -> kept"]
                sources.in = {{ type = "generate", count = 100 }}
                sinks.network = {{ type = "tcp_client", address = {address} }}
                sources.back = {{ type = "tcp_server", listen = "127.0.0.1:7001" }}
                sinks.kept = {{ type = "file", path = "got" }}
                "#
            ),
        );
        wait_until("all come", || (folder.read("got").lines().count() == 100).then_some(()));
        // An orderly end would close the pipeline's own source first.
        program.kill();
    }
}

#[test]
fn the_end_does_not_wait_for_an_address_where_nobody_answers() {
    if !may() {
        return;
    }
    let folder = Folder::new();
    let mut program = run(
        &folder,
        r#"
        name = "p"
        flow = ["in -> drain -> network"]
        sources.in = { type = "generate", count = 100 }
        spills.drain = { directory = "data" }
        sinks.network = { type = "tcp_client", address = "192.0.2.1:7001", connect_timeout = "10m" }
        "#,
    );
    program.wait_for("frames wait", |status| status.number("drain", "waiting_frames") == 100);
    program.terminate();
    assert_eq!(program.exit_code(), 0);
}
