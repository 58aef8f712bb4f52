//! Commands that a person is told to type next.
//!
//! In: a path or an argument. Out: the text for a POSIX shell, in quotes where it holds blanks or anything
//! else that a shell reads, so that what is printed can be copied.

use std::path::Path;

use super::render::printable;

/// An argument as a shell takes it.
pub fn quoted(argument: &str) -> String {
    let shown = printable(argument);
    // Only a zero byte cannot be quoted, and it is not printable.
    shlex::try_quote(&shown).map_or_else(|_| shown.clone(), |text| text.into_owned())
}

/// A path; one that begins with `-` would be read as a flag.
pub fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.starts_with('-') {
        true => quoted(&format!("./{text}")),
        false => quoted(&text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_reads_is_quoted() {
        let of = |text: &str| path(Path::new(text));
        assert_eq!(of("runs/names-Latin"), "runs/names-Latin");
        assert_eq!(of("my file.seq"), "'my file.seq'");
        assert_eq!(of("it's.seq"), "\"it's.seq\"");
        assert_eq!(of("-x.seq"), "./-x.seq");
        for odd in ["a;b", "$HOME", "a\nb", "\u{1b}[31m", "", "ल.seq"] {
            let words = shlex::split(&of(odd)).expect("a shell reads it");
            assert_eq!(words, [printable(odd)], "{odd:?}");
        }
    }
}
