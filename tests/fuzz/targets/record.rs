//! Records: whatever the disk gives back.

use aqueduct::framework::spill::record::decode;
use bytes::Bytes;

/// The first 8 bytes are the key, the rest is the value. It is decoded as it is, and with a checksum that fits it, because a fuzzer
/// seldom guesses one.
pub(crate) fn record(data: &[u8]) {
    let Some((key, value)) = data.split_first_chunk() else {
        return;
    };
    let key = u64::from_le_bytes(*key);
    read(key, value);
    let body = value.len().saturating_sub(4);
    let checked = [&value[..body], &crc32c(&value[..body]).to_le_bytes()].concat();
    read(key, &checked);
}

fn read(key: u64, value: &[u8]) {
    let Ok(record) = decode(key, &Bytes::copy_from_slice(value)) else {
        return;
    };
    let mut position = key;
    for (first, batch) in record.batches {
        assert_eq!(first, position, "batches follow each other");
        position = position.wrapping_add(batch.len() as u64);
        let own = batch.attributes.frame_attributes();
        assert!(
            own.iter().all(|own| (own.frame as usize) < batch.len()),
            "attributes of frames"
        );
        for frame in batch.frames() {
            // Whatever can be asked of a frame has an answer.
            let (_, _, _) = (frame.bytes().len(), frame.number(), frame.source().len());
            let _ = frame.attribute("peer.address");
        }
    }
}

/// CRC32C, bit by bit (RFC 3720, appendix B.4), so that no other implementation is trusted.
fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg())
        })
    });
    !crc
}
