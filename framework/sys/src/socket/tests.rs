use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::{
    peer_closed, receive_buffer, send_buffer, set_keepalive, set_linger_reset, set_receive_buffer, set_send_buffer,
    tcp_info, unread_bytes, unsent_bytes,
};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Waits until the kernel reports the event, so that no test has to sleep.
fn wait_for(fd: impl AsFd, event: PollFlags) {
    poll(&mut [PollFd::new(&fd, event)], None).unwrap();
}

/// Writes until the peer's window and our buffer are full; returns the bytes the kernel took.
fn fill(stream: &mut TcpStream) -> u64 {
    stream.set_nonblocking(true).unwrap();
    let mut taken = 0;
    loop {
        match stream.write(&[7; 16 << 10]) {
            Ok(bytes) => taken += bytes as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return taken,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_granted_buffer_is_what_the_kernel_reports() {
    let (client, _server) = pair();
    assert_eq!(set_receive_buffer(&client, 32 << 10).unwrap(), 64 << 10);
    assert_eq!(receive_buffer(&client).unwrap(), 64 << 10);
    assert_eq!(set_send_buffer(&client, 16 << 10).unwrap(), 32 << 10);
    assert_eq!(send_buffer(&client).unwrap(), 32 << 10);
}

#[test]
fn a_wish_beyond_the_limit_is_clamped() {
    let (client, _server) = pair();
    let limit: usize = std::fs::read_to_string("/proc/sys/net/core/rmem_max")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(set_receive_buffer(&client, 1 << 30).unwrap(), 2 * limit.min(1 << 30));
}

#[test]
fn unread_bytes_shrink_as_they_are_read() {
    let (mut client, mut server) = pair();
    server.write_all(b"hello").unwrap();
    wait_for(&client, PollFlags::IN);
    assert_eq!(unread_bytes(&client).unwrap(), 5);
    client.read_exact(&mut [0; 3]).unwrap();
    assert_eq!(unread_bytes(&client).unwrap(), 2);
}

#[test]
fn unread_bytes_survive_a_reset_by_the_peer() {
    let (mut client, mut server) = pair();
    server.write_all(b"last words").unwrap();
    set_linger_reset(&server).unwrap();
    wait_for(&client, PollFlags::IN);
    drop(server);
    wait_for(&client, PollFlags::RDHUP);
    let mut read = Vec::new();
    let error = client.read_to_end(&mut read).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(read, b"last words");
}

#[test]
fn bytes_a_full_peer_did_not_acknowledge_are_told_even_after_its_reset() {
    let (mut client, server) = pair();
    let taken = fill(&mut client);
    let unsent = unsent_bytes(&client).unwrap();
    let arrived = unread_bytes(&server).unwrap();
    assert!(unsent > 0);
    // What was acknowledged has arrived; what has arrived may not be acknowledged yet.
    assert!(
        taken - unsent <= arrived,
        "{taken} taken, {unsent} unsent, {arrived} arrived"
    );
    drop(server);
    wait_for(&client, PollFlags::RDHUP);
    let unconfirmed = unsent_bytes(&client).unwrap();
    assert!(unconfirmed > 0 && unconfirmed <= unsent, "{unconfirmed} of {unsent}");
    assert!(peer_closed(&client).is_err());
    assert_eq!(unsent_bytes(&client).unwrap(), unconfirmed);
}

#[test]
fn nothing_is_unsent_once_the_peer_has_it() {
    let (mut client, mut server) = pair();
    client.write_all(b"all of it").unwrap();
    server.read_exact(&mut [0; 9]).unwrap();
    // The answer carries the acknowledgement.
    server.write_all(b"!").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(unsent_bytes(&client).unwrap(), 0);
    // The SYN counts as one.
    assert_eq!(tcp_info(&client).unwrap().acknowledged_bytes, Some(10));
}

#[test]
fn keepalive_times_are_rounded_up_to_what_the_kernel_takes() {
    let (client, _server) = pair();
    set_keepalive(&client, Duration::from_millis(1500), Duration::from_millis(10), 3).unwrap();
    assert_eq!(
        rustix::net::sockopt::tcp_keepidle(&client).unwrap(),
        Duration::from_secs(2)
    );
    assert_eq!(
        rustix::net::sockopt::tcp_keepintvl(&client).unwrap(),
        Duration::from_secs(1)
    );
    assert!(rustix::net::sockopt::socket_keepalive(&client).unwrap());
}

#[test]
fn a_fin_is_seen_even_behind_unread_bytes() {
    let (client, mut server) = pair();
    assert!(!peer_closed(&client).unwrap());
    server.write_all(b"bye").unwrap();
    wait_for(&client, PollFlags::IN);
    assert!(!peer_closed(&client).unwrap());
    drop(server);
    wait_for(&client, PollFlags::RDHUP);
    assert!(peer_closed(&client).unwrap());
    assert_eq!(unread_bytes(&client).unwrap(), 3);
}

#[test]
fn a_reset_is_an_error_once_and_an_end_ever_after() {
    let (client, server) = pair();
    set_linger_reset(&server).unwrap();
    drop(server);
    wait_for(&client, PollFlags::RDHUP);
    assert_eq!(peer_closed(&client).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(peer_closed(&client).unwrap());
}

#[test]
fn a_peer_that_does_not_read_shows_in_the_statistics() {
    let (mut client, server) = pair();
    let before = tcp_info(&client).unwrap();
    assert!(before.rtt_us > 0);
    assert!(before.rcv_space > 0);
    assert_eq!(before.retransmits, 0);
    fill(&mut client);
    let after = tcp_info(&client).unwrap();
    assert!(after.unacked > 0 || after.not_sent_bytes.unwrap() > 0);
    assert!(after.snd_wnd.is_some());
    drop(server);
}

#[test]
fn other_sockets_have_no_tcp_statistics() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(tcp_info(&socket).is_err());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(unread_bytes(&listener).is_err());
    assert!(unsent_bytes(&listener).is_err());
}
