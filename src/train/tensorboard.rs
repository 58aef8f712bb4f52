//! A run's event files, which TensorBoard reads: `tensorboard --logdir runs`.
//!
//! In: scalars and texts by tag and step. Out: `events.out.tfevents.0001` in the run's folder, and
//! one file more for each session that goes on with it. A file is a row of records, each framed as
//! TFRecord frames it:
//!
//! ```text
//! length   u64, little-endian
//! checksum u32 of the length
//! data     an `Event`, in the wire format of protocol buffers
//! checksum u32 of the data
//! ```
//!
//! The checksum is CRC-32C, rotated and shifted by a constant. Of the messages `Event`, `Summary` and
//! `SessionLog` only the fields that are needed here are written, under the numbers that
//! TensorFlow's `event.proto` and `summary.proto` give them.
//!
//! A session that was killed leaves events of steps that are done again. The file of the next one
//! begins with `SessionLog::START` and its first step, by which readers drop what an earlier file
//! has from that step on. The files are for looking at: nothing is read back from them, they are not
//! flushed to the disk, and alone of a run's numbers they hold times of day.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::failure::Failure;

const NAME: &str = "events.out.tfevents.";

/// The events of one session, whose file is made with the first of them.
#[derive(Debug)]
pub struct Events {
    run: PathBuf,
    /// The step that the session began after.
    from: u64,
    file: Option<(PathBuf, File)>,
}

impl Events {
    pub fn new(run: &Path, from: u64) -> Events {
        Events {
            run: run.to_path_buf(),
            from,
            file: None,
        }
    }

    /// Writes one event with these values, by tag. A tag reads `group/name`.
    pub fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<(), Failure> {
        let mut summary = Message::default();
        for (tag, value) in values {
            let mut one = Message::default();
            one.bytes(1, tag.as_bytes());
            one.float(2, *value as f32);
            summary.bytes(1, &one.0);
        }
        self.event(step, 5, &summary)
    }

    /// Writes one event with texts, shown by TensorBoard's text plug-in as a table of one column.
    pub fn texts(&mut self, step: u64, tag: &str, texts: &[String]) -> Result<(), Failure> {
        let mut plugin = Message::default();
        plugin.bytes(1, b"text");
        let mut metadata = Message::default();
        metadata.bytes(1, &plugin.0);
        let (mut size, mut shape) = (Message::default(), Message::default());
        size.number(1, texts.len() as u64);
        shape.bytes(2, &size.0);
        let mut tensor = Message::default();
        tensor.number(1, STRING);
        tensor.bytes(2, &shape.0);
        for text in texts {
            tensor.bytes(8, text.as_bytes());
        }
        let mut one = Message::default();
        one.bytes(1, tag.as_bytes());
        one.bytes(8, &tensor.0);
        one.bytes(9, &metadata.0);
        let mut summary = Message::default();
        summary.bytes(1, &one.0);
        self.event(step, 5, &summary)
    }

    /// An event that has `message` as its field `field`.
    fn event(&mut self, step: u64, field: u32, message: &Message) -> Result<(), Failure> {
        let mut event = stamped(step);
        event.bytes(field, &message.0);
        let (path, file) = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(begin(&self.run, self.from)?),
        };
        let written = file.write_all(&record(&event.0));
        written.map_err(|e| Failure::io("write", path, &e))
    }
}

/// Makes the next file of a run that stands at `step`.
fn begin(run: &Path, step: u64) -> Result<(PathBuf, File), Failure> {
    let mut n = 1;
    let path = loop {
        let path = run.join(format!("{NAME}{n:04}"));
        match fs::symlink_metadata(&path).is_ok() {
            true => n += 1,
            false => break path,
        }
    };
    let mut version = stamped(0);
    version.bytes(3, b"brain.Event:2");
    let mut bytes = record(&version.0);
    if n > 1 {
        let mut start = Message::default();
        start.number(1, START);
        let mut event = stamped(step + 1);
        event.bytes(7, &start.0);
        bytes.extend(record(&event.0));
    }
    let failed = |e: &std::io::Error| Failure::io("write", &path, e);
    let made = OpenOptions::new().append(true).create_new(true).open(&path);
    let mut file = made.map_err(|e| failed(&e))?;
    file.write_all(&bytes).map_err(|e| failed(&e))?;
    Ok((path, file))
}

/// `DataType::DT_STRING` and `SessionLog::SessionStatus::START`.
const STRING: u64 = 7;
const START: u64 = 1;

/// An event's time of day, in seconds, and its step.
fn stamped(step: u64) -> Message {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut event = Message::default();
    event.double(1, now.map_or(0.0, |d| d.as_secs_f64()));
    event.number(2, step);
    event
}

/// A message of protocol buffers in the making: fields, each under its number.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    /// A field's number and how its value is laid out.
    fn key(&mut self, field: u32, layout: u32) {
        self.varint(u64::from((field << 3) | layout));
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push((n as u8) | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn number(&mut self, field: u32, n: u64) {
        self.key(field, 0);
        self.varint(n);
    }

    fn double(&mut self, field: u32, x: f64) {
        self.key(field, 1);
        self.0.extend(x.to_le_bytes());
    }

    /// A string, or a message within this one.
    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn float(&mut self, field: u32, x: f32) {
        self.key(field, 5);
        self.0.extend(x.to_le_bytes());
    }
}

/// A record's bytes.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend(masked(data).to_le_bytes());
    out
}

/// The checksum of a record's parts: so changed that the checksum of bytes that hold their own
/// checksum is not special.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C: Castagnoli's polynomial, bits reversed.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ ((crc & 1) * 0x82f6_3b78);
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of the catalogue of parametrised CRC algorithms, and those of RFC 3720.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
    }

    /// The events of a file, their checksums verified.
    fn records(path: &Path) -> Vec<Vec<u8>> {
        let bytes = fs::read(path).unwrap();
        let (mut rest, mut out) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<8>().unwrap();
            let (sum, after) = after.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_le_bytes(*sum), masked(length));
            let (data, after) = after.split_at(u64::from_le_bytes(*length) as usize);
            let (sum, after) = after.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_le_bytes(*sum), masked(data));
            out.push(data.to_vec());
            rest = after;
        }
        out
    }

    /// What a record holds after its time of day, which is its first nine bytes.
    fn untimed(record: &[u8]) -> &[u8] {
        assert_eq!(record[0], (1 << 3) | 1);
        &record[9..]
    }

    #[test]
    fn events_are_laid_out_as_their_messages_say() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::new(dir.path(), 0);
        let loss = ("train/loss".to_string(), 0.5);
        events.scalars(300, &[loss]).unwrap();
        events.texts(2, "t", &["é".to_string()]).unwrap();
        let all = records(&dir.path().join("events.out.tfevents.0001"));
        let all: Vec<&[u8]> = all.iter().map(|r| untimed(r)).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], b"\x10\x00\x1a\x0dbrain.Event:2");
        // Step 300, summary of 19 bytes, value of 17: tag, and 0.5 as a float.
        let want = b"\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\x00\x3f";
        assert_eq!(all[1], want);
        // A tensor of one string with its shape, and the plug-in's name.
        let want = b"\x10\x02\x2a\x1d\x0a\x1b\x0a\x01t\
            \x42\x0c\x08\x07\x12\x04\x12\x02\x08\x01\x42\x02\xc3\xa9\
            \x4a\x08\x0a\x06\x0a\x04text";
        assert_eq!(all[2], want);
    }

    #[test]
    fn a_session_that_goes_on_has_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let loss = || [("train/loss".to_string(), 0.5)];
        Events::new(dir.path(), 0).scalars(9, &loss()).unwrap();
        // One that writes nothing leaves nothing.
        drop(Events::new(dir.path(), 5));
        Events::new(dir.path(), 5).scalars(6, &loss()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let second = records(&dir.path().join("events.out.tfevents.0002"));
        // The session log's status is START, at step 6: the first file's step 9 counts no more.
        assert_eq!(untimed(&second[1]), b"\x10\x06\x3a\x02\x08\x01");
        assert_eq!(second.len(), 3);
    }
}
