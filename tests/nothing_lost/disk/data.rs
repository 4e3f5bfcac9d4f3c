//! The content of a modelled file: sparse, cheap to copy, because most images share most pages.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

pub(crate) const PAGE: u64 = 4096;
/// What a disk writes as a whole or not at all.
pub(crate) const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    pub(crate) len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE as usize]>>,
}

impl Data {
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let end = at.saturating_add(into.len() as u64);
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.fill(0);
        for (number, page) in self.pages.range(at / PAGE..end.div_ceil(PAGE)) {
            let start = number * PAGE;
            let (low, high) = (start.max(at), (start + PAGE).min(end));
            into[(low - at) as usize..(high - at) as usize]
                .copy_from_slice(&page[(low - start) as usize..(high - start) as usize]);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) {
        self.len = self.len.max(at + bytes.len() as u64);
        let (mut at, mut bytes) = (at, bytes);
        while !bytes.is_empty() {
            let start = (at % PAGE) as usize;
            let (now, rest) = bytes.split_at(bytes.len().min(PAGE as usize - start));
            let page = self
                .pages
                .entry(at / PAGE)
                .or_insert_with(|| Arc::new([0; PAGE as usize]));
            Arc::make_mut(page)[start..start + now.len()].copy_from_slice(now);
            (at, bytes) = (at + now.len() as u64, rest);
        }
    }

    pub(crate) fn set_len(&mut self, len: u64) {
        self.len = len;
        self.pages.split_off(&len.div_ceil(PAGE));
        if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
            Arc::make_mut(page)[(len % PAGE) as usize..].fill(0);
        }
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// The numbers of the pages that hold anything: a hole has no byte to flip.
    pub(crate) fn pages(&self) -> Vec<u64> {
        self.pages.keys().copied().collect()
    }

    pub(crate) fn flip(&mut self, at: u64, mask: u8) {
        if let Some(page) = self.pages.get_mut(&(at / PAGE)) {
            Arc::make_mut(page)[(at % PAGE) as usize] ^= mask;
        }
    }
}
