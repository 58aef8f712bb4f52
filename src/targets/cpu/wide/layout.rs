//! Items with labels to bytes and text.
//!
//! In: instructions, branches and constants in order. Out: [`Row`].

use iced_x86::{
    Code as Op, Encoder, Formatter, IcedError, Instruction, IntelFormatter, MemoryOperand, Register,
};

use super::operands::BYTES;

/// A function's code.
pub(crate) struct Row {
    pub(crate) bytes: Vec<u8>,
    /// One instruction a line, where texts are asked for.
    pub(crate) text: String,
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// Two vectors at a time.
    Two,
    /// Vectors that are left.
    One,
    Rest,
    End,
    /// The constants, and how far into them.
    Pool(usize),
}

/// An instruction, or where a label stands.
pub(super) enum Item {
    Plain(Instruction),
    Branch(Op, Label),
    /// An instruction whose memory operand is made for an address in the constants.
    Constant(
        Box<dyn Fn(MemoryOperand) -> Result<Instruction, IcedError>>,
        usize,
        bool,
    ),
    Here(Label),
}

/// Lays everything out: once to find where labels are, once for good. `texts`: in words too, which takes longer than
/// all the rest.
pub(super) fn lay(items: &[Item], pool: &[u32], texts: bool) -> Result<Row, IcedError> {
    let mut places: Vec<(Label, u64)> = Vec::new();
    let mut row = Row {
        bytes: Vec::new(),
        text: String::new(),
    };
    for last in [false, true] {
        let mut encoder = Encoder::new(64);
        let mut text = String::new();
        let mut formatter = (last && texts).then(IntelFormatter::new);
        let mut here = 0u64;
        let place = |label: Label| {
            let known = |(l, at): &(Label, u64)| (*l == label).then_some(*at);
            places.iter().find_map(known).unwrap_or(0)
        };
        let mut found = Vec::new();
        for item in items {
            let made = match item {
                Item::Here(label) => {
                    found.push((*label, here));
                    continue;
                }
                Item::Plain(made) => *made,
                Item::Branch(op, label) => Instruction::with_branch(*op, place(*label))?,
                Item::Constant(make, at, broadcast) => {
                    let address = place(Label::Pool(0)) + (*at * 4) as u64;
                    make(MemoryOperand::new(
                        Register::RIP,
                        Register::None,
                        1,
                        address as i64,
                        8,
                        *broadcast,
                        Register::None,
                    ))?
                }
            };
            let length = encoder.encode(&made, here)?;
            if let Some(formatter) = &mut formatter {
                let mut line = String::new();
                let mut shown = made;
                shown.set_ip(here);
                formatter.format(&shown, &mut line);
                text += &format!("{here:5x}: {line}\n");
            }
            here += length as u64;
        }
        found.push((Label::Pool(0), here.next_multiple_of(BYTES as u64)));
        places = found;
        row = Row {
            bytes: encoder.take_buffer(),
            text,
        };
    }
    row.bytes
        .resize(row.bytes.len().next_multiple_of(BYTES as usize), 0);
    row.bytes
        .extend(pool.iter().flat_map(|bits| bits.to_le_bytes()));
    Ok(row)
}
