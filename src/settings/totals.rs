//! The names of what a batch computed in parts is divided by.
//!
//! In: a target, or an axis. Out: the name of the input of a compiled function that holds how many
//! of its steps (or examples) the whole batch counts. No input of a file can have such a name.

const END: &str = ".total";

/// The total of a target, of a time's real steps, or of the examples (`B`).
pub fn total(of: &str) -> String {
    format!("{of}{END}")
}

/// What such a name is the total of.
pub fn total_of(name: &str) -> Option<&str> {
    name.strip_suffix(END)
}
