use super::*;

const KIB: u64 = 1024;
/// A window beyond which a buffer hides nothing.
const LARGE: u64 = 4096 * KIB;

/// A connection that settles after a second, and has a look every 10 ms.
struct Peer {
    settling: Settling,
    now_ms: u64,
    acknowledged: u64,
}

impl Peer {
    fn new() -> Self {
        Self {
            settling: Settling::new(1_000),
            now_ms: 0,
            acknowledged: 0,
        }
    }

    /// For `ms`, a tenth of a second at a time: so many bytes come in each, and the window is then what `window` says.
    fn pass(&mut self, ms: u64, bytes: u64, window: impl Fn(u64) -> u64) -> &mut Self {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            self.acknowledged += bytes;
            self.look(0, window(self.acknowledged));
        }
        self
    }

    fn look(&mut self, unsent: u64, window: u64) {
        let look = Look {
            acknowledged: self.acknowledged,
            unsent,
            window: Some(window),
        };
        self.settling.note(self.now_ms, look);
    }

    fn settled(&self) -> u64 {
        self.settling.confirmed().settled
    }

    fn open_ended(&self) -> u64 {
        self.acknowledged - self.settled()
    }
}

#[test]
fn what_a_reading_peer_took_is_settled_once_the_connection_has_outlived_it() {
    let mut peer = Peer::new();
    peer.pass(100, 1_000, |_| LARGE).pass(900, 0, |_| LARGE);
    assert_eq!(peer.settled(), 0);
    peer.pass(100, 0, |_| LARGE);
    assert_eq!(peer.settled(), 1_000);
}

#[test]
fn a_proxy_that_closes_at_once_has_settled_nothing() {
    let mut peer = Peer::new();
    peer.pass(900, 100, |_| LARGE);
    let confirmed = peer.settling.confirmed();
    assert_eq!((confirmed.settled, confirmed.acknowledged), (0, 900));
}

#[test]
fn what_a_stopped_peer_has_not_read_is_never_settled() {
    let mut peer = Peer::new();
    peer.pass(2_000, 100_000, |_| LARGE);
    let read = peer.acknowledged;
    // It stops: the window falls by what comes, until it is closed, and stays there.
    peer.pass(60_000, 7_000, |all| LARGE.saturating_sub(all - read));
    assert!(peer.settled() <= read, "{} of {read}", peer.settled());
    assert!(peer.settled() > read - LARGE / 8);
}

#[test]
fn what_little_a_stopped_peer_has_not_read_of_a_slow_feed_is_never_settled() {
    let mut peer = Peer::new();
    peer.pass(3_000, 100_000, |_| LARGE);
    let read = peer.acknowledged;
    peer.pass(60_000, 100, |all| LARGE - (all - read));
    assert!(peer.settled() <= read + 2_000, "{} of {read}", peer.settled());
}

#[test]
fn a_window_that_stays_a_little_lower_after_a_burst_holds_nothing_back_for_ever() {
    let mut peer = Peer::new();
    for _ in 0..30 {
        peer.now_ms += 100;
        peer.acknowledged += 1_000_000;
        peer.look(100_000, LARGE);
    }
    peer.pass(10_000, 0, |_| LARGE - 36 * KIB);
    assert_eq!(peer.open_ended(), 0);
}

#[test]
fn a_peer_that_read_on_after_the_last_byte_and_then_rests_has_read_everything() {
    let mut peer = Peer::new();
    peer.pass(1_000, 1_000_000, |_| LARGE);
    // Its window falls, rises once it reads, and stays smaller than it was for good.
    peer.pass(1_000, 1_000_000, |_| LARGE / 8);
    peer.pass(20_000, 0, |_| LARGE / 2);
    assert_eq!(peer.open_ended(), 0);
    assert!(
        peer.acknowledged - peer.settling.confirmed().proven > LARGE / 2,
        "though that is not proven"
    );
}

#[test]
fn a_peer_that_stops_before_the_last_byte_has_not_read_it_however_long_it_rests() {
    let mut peer = Peer::new();
    peer.pass(1_000, 1_000_000, |_| LARGE);
    let read = peer.acknowledged;
    peer.pass(2_000, 100_000, |all| LARGE - (all - read));
    peer.pass(60_000, 0, |all| LARGE - (all - read));
    assert!(peer.settled() <= read, "{} of {read}", peer.settled());
}

#[test]
fn a_peer_that_never_reads_has_settled_nothing_once_its_window_falls() {
    let mut peer = Peer::new();
    // The first 64 KiB show in no window: the kernel's buffer is larger than what it tells at first.
    peer.pass(1_000, 6_000, |_| 64 * KIB);
    peer.pass(1_600, 4_000, |all| (124 * KIB).saturating_sub(all).min(64 * KIB));
    peer.pass(60_000, 0, |all| (124 * KIB).saturating_sub(all).min(64 * KIB));
    assert_eq!(peer.settled(), 0);
}

#[test]
fn a_slow_feed_settles_although_its_window_never_shows_more() {
    let mut peer = Peer::new();
    peer.pass(60_000, 10, |_| 64 * KIB);
    assert_eq!(peer.open_ended(), 300);
}

#[test]
fn a_buffer_that_shrank_is_measured_anew_while_the_peer_keeps_up() {
    let mut peer = Peer::new();
    peer.pass(1_000, 10_000, |_| LARGE);
    // By the window alone 400 KiB would stand unread for ever.
    peer.pass(20_000, 1_000, |_| LARGE - 400 * KIB);
    assert!(peer.open_ended() <= 10_000, "{}", peer.open_ended());
}

#[test]
fn a_peer_that_is_always_behind_does_not_count_as_one_with_a_small_buffer() {
    let mut peer = Peer::new();
    peer.pass(1_000, 10_000, |_| LARGE);
    for _ in 0..300 {
        peer.now_ms += 100;
        peer.acknowledged += 100_000;
        peer.look(1_000_000, 16 * KIB);
    }
    assert!(peer.open_ended() >= LARGE - 16 * KIB);
}

#[test]
fn its_goodbye_to_ours_settles_everything_and_proves_it() {
    let mut peer = Peer::new();
    peer.pass(100, 1_000, |_| 64 * KIB);
    peer.settling.left(true);
    let confirmed = peer.settling.confirmed();
    assert_eq!((confirmed.settled, confirmed.proven), (1_000, 1_000));
}

#[test]
fn a_goodbye_that_may_be_a_proxys_settles_what_was_outlived_and_proves_that_all_was_read() {
    let mut peer = Peer::new();
    peer.pass(1_500, 1_000, |_| LARGE);
    peer.settling.left(false);
    peer.look(0, LARGE);
    let confirmed = peer.settling.confirmed();
    assert_eq!((confirmed.settled, confirmed.proven), (5_000, 15_000));
    assert!(peer.settling.has_outlived());
}

#[test]
fn on_probation_nothing_is_settled_unless_nothing_more_comes() {
    let mut peer = Peer::new();
    peer.settling.on_probation(4_000);
    peer.pass(3_900, 1_000, |_| LARGE);
    assert_eq!(peer.settled(), 0);
    peer.settling.ends();
    peer.look(0, LARGE);
    assert_eq!(peer.settled(), 29_000);
}

#[test]
fn a_goodbye_before_everything_arrived_settles_nothing() {
    let mut peer = Peer::new();
    peer.acknowledged = 1_000;
    peer.now_ms = 1;
    peer.look(5, 64 * KIB);
    peer.settling.left(true);
    assert_eq!(peer.settled(), 0);
}

#[test]
fn only_what_fits_into_a_receive_buffer_is_not_proven() {
    let mut peer = Peer::new();
    peer.pass(10_000, 1_000_000, |_| LARGE);
    peer.look(0, LARGE - 100 * KIB);
    let confirmed = peer.settling.confirmed();
    assert_eq!(confirmed.acknowledged - confirmed.proven, 125 * KIB);
}

#[test]
fn marks_do_not_grow_with_the_time_that_a_peer_stands_still() {
    let mut peer = Peer::new();
    peer.pass(1_000, 10_000, |_| LARGE);
    peer.pass(600_000, 1, |_| 0);
    assert!(peer.settling.marks.len() <= 3 * 21, "{}", peer.settling.marks.len());
}
