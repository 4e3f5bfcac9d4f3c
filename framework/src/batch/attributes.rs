//! Attributes: what is known about frames besides their bytes. They exist only once somebody sets one.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One frame's attribute.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct FrameAttribute {
    /// The frame's index in its batch.
    pub frame: u32,
    /// The attribute's name.
    pub key: String,
    /// Its value, as text.
    pub value: String,
}

impl FrameAttribute {
    fn text_bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// The attributes of a batch: some hold for every frame (the peer's address), some for one (an id a plugin found).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    batch: Option<Arc<BTreeMap<String, String>>>,
    frames: Option<Arc<Vec<FrameAttribute>>>,
    /// Of the text of those of single frames.
    frames_text_bytes: usize,
}

impl Attributes {
    /// Attributes that hold for every frame.
    pub fn of_batch(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let map: BTreeMap<_, _> = pairs.into_iter().collect();
        Self {
            batch: (!map.is_empty()).then(|| Arc::new(map)),
            ..Self::default()
        }
    }

    /// These, and one more that holds for every frame.
    pub fn and_of_batch(&self, key: &str, value: &str) -> Self {
        let mut map = self.batch.as_deref().cloned().unwrap_or_default();
        map.insert(key.to_owned(), value.to_owned());
        Self {
            batch: Some(Arc::new(map)),
            ..self.clone()
        }
    }

    /// True when nobody set one: the usual case, which costs nothing.
    pub fn is_empty(&self) -> bool {
        self.batch.is_none() && self.frames.is_none()
    }

    /// The memory they take, in bytes. What those of single frames take is kept, not counted anew.
    pub fn bytes(&self) -> usize {
        let entry = |(key, value): (&str, &str)| key.len() + value.len() + 2 * size_of::<String>();
        let entries = self.frames.as_ref().map_or(0, |frames| frames.capacity());
        let batch: usize = self.batch_attributes().map(entry).sum();
        batch + entries * size_of::<FrameAttribute>() + self.frames_text_bytes
    }

    /// The value for a frame: its own first, then the batch's.
    pub fn get(&self, frame: usize, key: &str) -> Option<&str> {
        self.range(frame, frame + 1)
            .iter()
            .find(|own| own.key == key)
            .map(|own| own.value.as_str())
            .or_else(|| self.batch.as_ref()?.get(key).map(String::as_str))
    }

    /// Those that hold for every frame.
    pub fn batch_attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.batch
            .iter()
            .flat_map(|map| map.iter())
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Those of single frames, in frame order.
    pub fn frame_attributes(&self) -> &[FrameAttribute] {
        self.frames.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Those of the frames `from .. to`, in frame order.
    pub fn range(&self, from: usize, to: usize) -> &[FrameAttribute] {
        let all = self.frame_attributes();
        let start = all.partition_point(|own| (own.frame as usize) < from);
        let count = all[start..].partition_point(|own| (own.frame as usize) < to);
        &all[start..start + count]
    }

    /// Sets one for every frame.
    pub fn set_batch(&mut self, key: &str, value: impl Into<String>) {
        let map = Arc::make_mut(self.batch.get_or_insert_default());
        map.insert(key.to_owned(), value.into());
    }

    /// Adds one of a single frame. Frames are added in ascending order.
    pub fn push_frame(&mut self, attribute: FrameAttribute) {
        self.frames_text_bytes += attribute.text_bytes();
        Arc::make_mut(self.frames.get_or_insert_default()).push(attribute);
    }

    /// Adds attributes of single frames, in ascending order, over those of the same frame and key that are there.
    pub fn merge_frames(&mut self, newer: Vec<FrameAttribute>) {
        if newer.is_empty() {
            return;
        }
        let all = Arc::make_mut(self.frames.get_or_insert_default());
        let mut newer = newer.into_iter().peekable();
        let mut merged = Vec::with_capacity(all.len() + newer.len());
        let mut older = std::mem::take(all).into_iter().peekable();
        while let Some(frame) = [older.peek(), newer.peek()]
            .into_iter()
            .flatten()
            .map(|own| own.frame)
            .min()
        {
            let first = merged.len();
            merged.extend(std::iter::from_fn(|| older.next_if(|own| own.frame == frame)));
            while let Some(own) = newer.next_if(|own| own.frame == frame) {
                match merged[first..].iter_mut().find(|known| known.key == own.key) {
                    Some(known) => *known = own,
                    None => merged.push(own),
                }
            }
        }
        self.frames_text_bytes = merged.iter().map(FrameAttribute::text_bytes).sum();
        *all = merged;
    }

    /// The batch's attributes, with none of single frames.
    #[must_use]
    pub fn batch_only(&self) -> Self {
        Self {
            batch: self.batch.clone(),
            ..Self::default()
        }
    }

    /// Copies the own attributes of frame `from` of `other` to frame `to` of this one.
    pub fn copy_frame(&mut self, other: &Attributes, from: usize, to: usize) {
        for own in other.range(from, from + 1) {
            self.push_frame(FrameAttribute {
                frame: to as u32,
                ..own.clone()
            });
        }
    }
}
