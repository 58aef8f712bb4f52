//! What a checkpoint consists of, with a digest of each file.
//!
//! In: the files of a checkpoint. Out: the text of its `manifest`; and back, with any change of the
//! text found. The form is fixed to the byte, and the last line is the digest of all before it:
//!
//! ```text
//! seqc checkpoint 1
//! <blake3, 64 hex digits> <bytes> state.json
//! <blake3, 64 hex digits> <bytes> weights.safetensors
//! <blake3 of the lines above>
//! ```

/// Of the layout of checkpoints and run folders; raised when an older seqc could not read a newer one's.
pub const FORMAT: u32 = 1;

const TITLE: &str = "seqc checkpoint ";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    /// Hexadecimal.
    pub digest: String,
}

impl Entry {
    pub fn of(name: &str, bytes: &[u8]) -> Entry {
        Entry {
            name: name.to_string(),
            bytes: bytes.len() as u64,
            digest: digest(bytes),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Damaged,
    /// Written by a newer seqc, with this format.
    Newer(u32),
}

/// BLAKE3 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The manifest's text.
pub fn text(entries: &[Entry]) -> String {
    titled(FORMAT, entries)
}

fn titled(format: u32, entries: &[Entry]) -> String {
    let mut text = format!("{TITLE}{format}\n");
    for e in entries {
        text += &format!("{} {} {}\n", e.digest, e.bytes, e.name);
    }
    let own = digest(text.as_bytes());
    text + &own + "\n"
}

/// The entries of a manifest, which must be as [`text`] makes it, byte for byte.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Damaged)?;
    let mut lines: Vec<&str> = text.lines().collect();
    let own = lines.pop().ok_or(Unreadable::Damaged)?;
    let mut lines = lines.into_iter();
    let format = lines
        .next()
        .and_then(|l| l.strip_prefix(TITLE)?.parse().ok());
    let format: u32 = format.ok_or(Unreadable::Damaged)?;
    if format != FORMAT {
        // Intact by the one rule that every format keeps: the last line is the others' digest.
        let above = text.len().saturating_sub(own.len() + 1);
        let intact = text
            .get(..above)
            .is_some_and(|t| digest(t.as_bytes()) == own);
        return Err(match intact && format > FORMAT {
            true => Unreadable::Newer(format),
            false => Unreadable::Damaged,
        });
    }
    let entry = |line: &str| {
        let (digest, rest) = line.split_once(' ')?;
        let (bytes, name) = rest.split_once(' ')?;
        Some(Entry {
            name: name.to_string(),
            bytes: bytes.parse().ok()?,
            digest: digest.to_string(),
        })
    };
    let entries: Option<Vec<Entry>> = lines.map(entry).collect();
    let entries = entries.ok_or(Unreadable::Damaged)?;
    match titled(format, &entries) == text {
        true => Ok(entries),
        false => Err(Unreadable::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        vec![Entry::of("a.json", b"{}"), Entry::of("w", &[0; 100])]
    }

    #[test]
    fn every_flip_and_every_cut_is_found() {
        let whole = text(&entries()).into_bytes();
        assert_eq!(parse(&whole), Ok(entries()));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&flipped), Err(Unreadable::Damaged), "bit {bit}");
        }
        for n in 0..whole.len() {
            assert_eq!(parse(&whole[..n]), Err(Unreadable::Damaged), "{n} bytes");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let newer = titled(FORMAT + 6, &entries());
        assert_eq!(parse(newer.as_bytes()), Err(Unreadable::Newer(FORMAT + 6)));
    }
}
