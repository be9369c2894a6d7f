//! Randomness that a seed decides.

use crate::lock;
use engine::clock::Entropy;
use engine::error::Result;
use std::sync::Mutex;

/// Bytes from a seed (SplitMix64): the same seed gives the same bytes. Fit for no key that matters.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut state = lock(&self.0);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_every_byte() {
        let bytes = |seed| {
            let mut bytes = [0u8; 43];
            SeededEntropy::new(seed).fill(&mut bytes).expect("fills");
            bytes
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
        // The published first output of SplitMix64 for the seed 0.
        assert_eq!(SeededEntropy::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
