//! The form of a `.cases` file.
//!
//! In: its text. Out: a [`Group`]: what all its cases share, and the cases.
//!
//! ```text
//! What the group is about.
//!
//! --- t.seq                         a file that all cases have, down to the next mark
//! model M { … }
//! $ seqc train t.seq --out run      a command that comes first, for all cases
//!
//! === the name of a case
//! --- t.csv                         a file of its own, or instead of a shared one
//! a,b
//! 1
//! $ seqc check t.seq
//! exit 1
//! data::ragged-row …                stderr, then each line of stdout after `| `
//! ```
//!
//! Instead of lines a file can have
//!
//! ```text
//! --- f = "a\xff\0\n" + 1000 * "x"  bytes
//! --- f -> /etc/passwd              a link
//! --- f |                           a named pipe
//! --- f/                            a folder
//! --- f size 5000000000             zeros that take no room on the disk
//! --- f cut 100                     what is there already, its first bytes only
//! --- f flip 100                    … with the lowest bit of a byte changed
//! --- f gone                        … removed
//! ```

use std::path::Path;

#[derive(Debug)]
pub struct Group {
    /// All before the first case, as written.
    head: String,
    pub files: Vec<(String, Content)>,
    pub commands: Vec<Vec<String>>,
    pub cases: Vec<Case>,
}

#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// From its name down to its command, as written.
    head: String,
    pub files: Vec<(String, Content)>,
    pub command: Vec<String>,
    pub expected: String,
}

#[derive(Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    Link(String),
    Pipe,
    Folder,
    Size(u64),
    Cut(usize),
    Flip(usize),
    Gone,
}

impl Group {
    pub fn parse(text: &str, path: &Path) -> Group {
        let fail = |line: &str, why: &str| -> ! { panic!("{}: {line}: {why}", path.display()) };
        let mut blocks = Vec::<String>::new();
        for line in text.split_inclusive('\n') {
            match blocks.last_mut() {
                Some(block) if !line.starts_with("=== ") => block.push_str(line),
                _ => blocks.push(line.to_string()),
            }
        }
        let mut group = Group {
            head: String::new(),
            files: Vec::new(),
            commands: Vec::new(),
            cases: Vec::new(),
        };
        for block in blocks {
            let case = block.starts_with("=== ");
            let mut lines = block.split_inclusive('\n').peekable();
            let (mut head, mut files, mut commands) = (String::new(), Vec::new(), Vec::new());
            while let Some(line) = lines.next() {
                head.push_str(line);
                let line = line.trim_end();
                if let Some(file) = line.strip_prefix("--- ") {
                    let mut body = String::new();
                    let mark = |l: &str| l.starts_with("--- ") || l.starts_with("$ ");
                    while let Some(l) = lines.next_if(|l| !mark(l)) {
                        head.push_str(l);
                        body.push_str(l);
                    }
                    let found = content(file, body.trim_end_matches('\n'));
                    files.push(found.unwrap_or_else(|why| fail(line, &why)));
                } else if let Some(command) = line.strip_prefix("$ seqc") {
                    commands.push(words(command).unwrap_or_else(|why| fail(line, &why)));
                    if case {
                        break;
                    }
                }
            }
            match case {
                false => {
                    group = Group {
                        head,
                        files,
                        commands,
                        ..group
                    }
                }
                true => {
                    let name = block.lines().next().unwrap_or_default();
                    let Some(command) = commands.pop() else {
                        fail(name, "no command")
                    };
                    let expected: String = lines.collect();
                    let expected = expected.trim_end();
                    group.cases.push(Case {
                        name: name.trim_start_matches("=== ").to_string(),
                        head,
                        files,
                        command,
                        expected: match expected.is_empty() {
                            true => String::new(),
                            false => format!("{expected}\n"),
                        },
                    });
                }
            }
        }
        group
    }

    /// The file with other expectations.
    pub fn text(&self, expected: &[&str]) -> String {
        let mut out = self.head.clone();
        for (i, (case, now)) in self.cases.iter().zip(expected).enumerate() {
            if i > 0 {
                out.push('\n');
            }
            out += &case.head;
            out += now;
        }
        out
    }
}

/// A file's name and what it holds; `body` is the lines below.
fn content(line: &str, body: &str) -> Result<(String, Content), String> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (what, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = || value.parse().map_err(|_| format!("`{value}` is no number"));
    let content = match what {
        "" if name.ends_with('/') => Content::Folder,
        "" => Content::Bytes(format!("{body}\n").into_bytes()),
        "=" => Content::Bytes(bytes(value)?),
        "->" => Content::Link(value.to_string()),
        "|" => Content::Pipe,
        "size" => Content::Size(number()? as u64),
        "cut" => Content::Cut(number()?),
        "flip" => Content::Flip(number()?),
        "gone" => Content::Gone,
        _ => return Err(format!("`{what}` makes no file")),
    };
    Ok((name.to_string(), content))
}

/// `"text" + 3 * "more"`, with the escapes of Rust's byte strings.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    loop {
        let (times, quoted) = match rest.split_once('"') {
            Some(("", quoted)) => (1, quoted),
            Some((times, quoted)) => {
                let times = times.trim().trim_end_matches('*').trim();
                let times = times.parse::<usize>().map_err(|_| format!("`{times}`"))?;
                (times, quoted)
            }
            None => return Err("no quote".to_string()),
        };
        let (one, after) = unescaped(quoted)?;
        for _ in 0..times {
            out.extend(&one);
        }
        match after.trim().strip_prefix('+') {
            Some(more) => rest = more.trim(),
            None if after.trim().is_empty() => return Ok(out),
            None => return Err(format!("`{after}` after a text")),
        }
    }
}

/// Up to the closing quote, and what comes after it.
fn unescaped(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut out = Vec::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        let escape = match c {
            '"' => return Ok((out, &text[i + 1..])),
            '\\' => chars.next().map(|(_, c)| c),
            _ => {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                continue;
            }
        };
        match escape {
            Some('n') => out.push(b'\n'),
            Some('r') => out.push(b'\r'),
            Some('t') => out.push(b'\t'),
            Some('0') => out.push(0),
            Some(c @ ('\\' | '"')) => out.push(c as u8),
            Some('x') => {
                let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                let byte = u8::from_str_radix(&digits, 16);
                out.push(byte.map_err(|_| format!("`\\x{digits}`"))?);
            }
            other => return Err(format!("`\\{}`", other.unwrap_or(' '))),
        }
    }
    Err("no closing quote".to_string())
}

/// A command's words; one in quotes may hold blanks and escapes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => unescaped(quoted)?,
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                (rest.as_bytes()[..end].to_vec(), &rest[end..])
            }
        };
        out.push(String::from_utf8(word).map_err(|e| e.to_string())?);
        rest = after.trim_start();
    }
    Ok(out)
}
