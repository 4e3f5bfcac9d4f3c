use super::{portable, positions};

fn naive(byte: u8, haystack: &[u8], base: u32) -> Vec<u32> {
    let ends = (1_u32..)
        .zip(haystack)
        .filter(|(_, found)| **found == byte)
        .map(|(end, _)| base + end);
    ends.collect()
}

/// Bytes that contain the delimiter with a chance of one in `sparseness`, the same for the same seed.
fn bytes(len: usize, sparseness: u64, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    (0..len)
        .map(|_| if next() % sparseness == 0 { b'\n' } else { next() as u8 })
        .collect()
}

#[test]
fn every_alignment_and_length_gives_what_a_plain_loop_gives() {
    for sparseness in [1, 2, 7, 100] {
        let all = bytes(400, sparseness, sparseness);
        for start in 0..64 {
            for len in 0..=320 {
                let haystack = &all[start..start + len];
                let mut fast = Vec::new();
                positions(b'\n', haystack, 1_000, &mut fast);
                assert_eq!(fast, naive(b'\n', haystack, 1_000), "start {start}, length {len}");
            }
        }
    }
}

#[test]
fn every_byte_value_can_be_the_delimiter() {
    let haystack = bytes(1_000, 50, 3);
    for byte in 0..=u8::MAX {
        let mut fast = Vec::new();
        positions(byte, &haystack, 0, &mut fast);
        assert_eq!(fast, naive(byte, &haystack, 0), "byte {byte}");
    }
}

#[test]
fn processors_without_avx2_get_the_same() {
    let haystack = bytes(1_000, 9, 5);
    let (mut fast, mut plain) = (Vec::new(), Vec::new());
    positions(b'\n', &haystack, 17, &mut fast);
    portable(b'\n', &haystack, 17, &mut plain);
    assert_eq!(fast, plain);
}

#[test]
fn what_was_found_before_stays_in_front() {
    let mut ends = Vec::new();
    positions(b'\n', b"one\ntwo", 0, &mut ends);
    positions(b'\n', b"\nthree\n", 7, &mut ends);
    assert_eq!(ends, [4, 8, 14]);
}

#[test]
fn the_last_possible_position_fits() {
    let mut ends = Vec::new();
    positions(b'\n', b"a\n", u32::MAX - 2, &mut ends);
    assert_eq!(ends, [u32::MAX]);
}
