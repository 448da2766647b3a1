//! Whole numbers on the command line. The parser's own words for a bad one ("invalid digit") name no range; these do.
//! All of them are at most what 32 bits hold, as shaders count; a seed has 64. And numbers in notes, with their noun.

use std::num::NonZeroUsize;

/// 0 or more.
pub fn from_zero(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(number) => Ok(number as usize),
        Err(_) => Err(format!("not a whole number from 0 to {}", u32::MAX)),
    }
}

/// 1 or more.
pub fn from_one(text: &str) -> Result<NonZeroUsize, String> {
    from_zero(text)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| format!("not a whole number from 1 to {}", u32::MAX))
}

/// Any 64 bits.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("not a whole number from 0 to {}", u64::MAX))
}

/// `1 token`, `2 tokens`.
pub fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// Bytes in lower-case hexadecimal, as checksums are written.
pub fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_numbers_are_told_their_range() {
        assert_eq!(from_zero("0"), Ok(0));
        assert_eq!(from_one("7").unwrap().get(), 7);
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        for bad in ["-1", "4294967296", "1.5", "x", ""] {
            assert!(from_zero(bad).unwrap_err().contains("from 0 to 4294967295"));
            assert!(from_one(bad).unwrap_err().contains("from 1 to 4294967295"));
        }
        assert!(from_one("0").is_err() && seed("-1").is_err());
        assert_eq!(counted(1, "token") + &counted(0, "row"), "1 token0 rows");
    }
}
