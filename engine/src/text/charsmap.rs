//! SentencePiece's table of what letters become before a text is cut (NFKC, mostly), as its files hold it: a double array in the form
//! of Darts-clone, then the texts that it points to, each with a zero byte at its end.

use crate::{Error, Result, file::Metadata};

/// The table. Nothing in it points outside of it.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<Unit>,
    texts: String,
}

/// An entry of the double array: a value, or a state with the byte that leads to it.
#[derive(Debug, Clone, Copy)]
struct Unit(u32);

impl Unit {
    /// The byte that leads here. A value has none that is a byte.
    fn label(self) -> u32 {
        self.0 & 0x8000_00FF
    }

    /// A text ends here: the unit at the state's base has the place of what it becomes.
    fn is_end(self) -> bool {
        self.0 & 0x100 != 0
    }

    /// The difference of a state's place to its base.
    fn offset(self) -> u32 {
        (self.0 >> 10) << ((self.0 & 0x200) >> 6)
    }

    fn value(self) -> u32 {
        self.0 & 0x7FFF_FFFF
    }
}

impl Charsmap {
    /// Reads `tokenizer.ggml.precompiled_charsmap`; none where the file has none.
    ///
    /// # Errors
    /// [`Error::BadFile`] where something in it points outside.
    pub fn from_metadata(metadata: &Metadata) -> Result<Option<Charsmap>> {
        let key = "tokenizer.ggml.precompiled_charsmap";
        let Some(bytes) = metadata.integers(key)?.filter(|bytes| !bytes.is_empty()) else {
            return Ok(None);
        };
        // Signed or unsigned, they are the same bytes.
        let byte =
            |&byte: &i64| u8::try_from(byte).or_else(|_| i8::try_from(byte).map(|b| b as u8));
        let bytes: std::result::Result<Vec<u8>, _> = bytes.iter().map(byte).collect();
        let map = bytes.ok().and_then(|bytes| Charsmap::read(&bytes));
        let wrong = || Error::bad_file(format!("{key} is not one of SentencePiece's"));
        map.filter(Charsmap::is_sound).map(Some).ok_or_else(wrong)
    }

    fn read(bytes: &[u8]) -> Option<Charsmap> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (units, texts) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let (units, left) = units.as_chunks::<4>();
        let unit = |bytes: &[u8; 4]| Unit(u32::from_le_bytes(*bytes));
        left.is_empty().then_some(Charsmap {
            units: units.iter().map(unit).collect(),
            texts: String::from_utf8(texts.to_vec()).ok()?,
        })
    }

    /// Whether each state's base, and all that can come after it, is in the table, and so is each text.
    fn is_sound(&self) -> bool {
        let places = 0..self.units.len() as u32;
        !self.units.is_empty()
            && self.units.iter().zip(places).all(|(unit, place)| {
                let base = place ^ unit.offset();
                let is_value = unit.0 >> 31 != 0;
                let inside = ((base | 0xFF) as usize) < self.units.len();
                is_value || (inside && (!unit.is_end() || self.text(base).is_some()))
            })
    }

    /// The text whose place is the value at `place`.
    fn text(&self, place: u32) -> Option<&str> {
        let value = self.units.get(place as usize)?.value();
        let (text, _) = self.texts.get(value as usize..)?.split_once('\0')?;
        Some(text)
    }

    /// The longest start of `text` that becomes something else: its length, and what it becomes.
    pub fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut found = None;
        let mut base = self.units.first()?.offset();
        for (at, byte) in text.bytes().enumerate().take_while(|(_, byte)| *byte != 0) {
            let place = base ^ u32::from(byte);
            let unit = self.units.get(place as usize)?;
            if unit.label() != u32::from(byte) {
                break;
            }
            base = place ^ unit.offset();
            if unit.is_end() {
                found = Some((at + 1, base));
            }
        }
        let (length, base) = found?;
        // A table of bytes could end inside a letter.
        text.is_char_boundary(length)
            .then_some((length, self.text(base)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Tables with a few states in a block or two: none that is sound points outside in any text.
        #[test]
        fn a_sound_table_is_safe_on_any_text(
            entries in prop::collection::vec((0usize..512, 0u32..128, any::<bool>(), 0u32..6, any::<bool>()), 0..40),
            text in "[ -~é]{0,8}",
        ) {
            let mut units = vec![Unit(0); 512];
            for (place, label, end, value, state) in entries {
                units[place] = Unit(if state { label | u32::from(end) << 8 | value << 18 } else { 1 << 31 | value });
            }
            let map = Charsmap { units, texts: "a\0é\0b".to_owned() };
            if map.is_sound() {
                for (at, _) in text.char_indices() {
                    if let Some((length, _)) = map.longest(&text[at..]) {
                        prop_assert!(length > 0 && text.is_char_boundary(at + length));
                    }
                }
            }
        }
    }
}
