//! The start of a packet that goes on in what is not read yet.

/// A pointer, and while there is nothing no memory besides: an idle connection has one of these.
#[derive(Default)]
pub(super) struct Partial {
    start: Option<Box<Start>>,
}

struct Start {
    bytes: Vec<u8>,
    missing: usize,
}

impl Partial {
    /// Keeps `bytes`, which lack `missing` further ones, as far as is known. A new vector even if an
    /// old one had room: what is idle owns no memory.
    pub(super) fn new(bytes: &[u8], missing: usize) -> Self {
        let start = (!bytes.is_empty()).then(|| {
            Box::new(Start {
                bytes: bytes.to_vec(),
                missing,
            })
        });
        Self { start }
    }

    /// What has come.
    pub(super) fn bytes(&self) -> &[u8] {
        self.start.as_ref().map_or(&[], |start| &start.bytes)
    }

    /// How many bytes have come.
    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    /// How many bytes it lacks, as far as is known.
    pub(super) fn missing(&self) -> usize {
        self.start.as_ref().map_or(0, |start| start.missing)
    }

    /// Takes what has come.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.start.take().map_or_else(Vec::new, |start| start.bytes)
    }

    /// More has come. If there is no room for it, there will be for `room` bytes.
    pub(super) fn extend(&mut self, come: &[u8], room: usize) {
        let start = self.start.get_or_insert_with(|| {
            Box::new(Start {
                bytes: Vec::new(),
                missing: 0,
            })
        });
        if start.bytes.capacity() - start.bytes.len() < come.len() {
            start.bytes.reserve_exact(room.max(come.len()));
        }
        start.bytes.extend_from_slice(come);
        start.missing = start.missing.saturating_sub(come.len());
    }

    /// Bytes of memory that it owns for what has come.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.start
            .as_ref()
            .map_or(0, |start| start.bytes.capacity())
    }
}
