//! A case carried out by the binary, in a folder of its own.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::case::{Case, Content, Group};

/// No refusal takes this long, even in a debug build on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Output past this many lines is counted instead.
const LINES: usize = 60;

/// What a group's cases begin with.
pub struct Prepared {
    folder: TempDir,
}

impl Prepared {
    pub fn new(group: &Group) -> Prepared {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inside = folder.path().join("inside");
        for (name, content) in &group.files {
            make(&inside.join(name), content);
        }
        for command in &group.commands {
            let said = seqc(&inside, command);
            assert!(said.starts_with("exit 0\n"), "{command:?}\n{said}");
        }
        Prepared { folder }
    }

    /// `exit`, stderr and stdout, as they are written down.
    pub fn run(&self, case: &Case) -> String {
        let here = tempfile::tempdir().expect("a temporary folder");
        let inside = here.path().join("inside");
        copy(self.folder.path(), here.path());
        fs::create_dir_all(&inside).expect("a folder");
        for (name, content) in &case.files {
            make(&inside.join(name), content);
        }
        let said = seqc(&inside, &case.command);
        said.replace(&*here.path().to_string_lossy(), "HERE")
    }
}

/// What no case may say.
pub fn unacceptable(said: &str) -> Option<&'static str> {
    let exit = said.lines().next().unwrap_or_default();
    match exit {
        "exit 101" | "exit 134" | "killed" => return Some("it fell over"),
        "too slow" => return Some("it took too long"),
        _ => {}
    }
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let raw = said
        .chars()
        .any(|c| turns(c) || (c.is_control() && c != '\n'));
    raw.then_some("a raw control character")
}

fn make(path: &Path, content: &Content) {
    let there = || fs::read(path).expect("a file that is there");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a folder");
    }
    if let Content::Bytes(_) | Content::Link(_) | Content::Pipe | Content::Size(_) = content {
        let _ = fs::remove_file(path);
    }
    let made = match content {
        Content::Bytes(bytes) => fs::write(path, bytes),
        Content::Link(to) => std::os::unix::fs::symlink(to, path),
        Content::Folder => fs::create_dir_all(path),
        Content::Size(size) => File::create(path).and_then(|f| f.set_len(*size)),
        Content::Cut(bytes) => fs::write(path, &there()[..*bytes]),
        Content::Flip(at) => {
            let mut bytes = there();
            bytes[*at] ^= 1;
            fs::write(path, bytes)
        }
        Content::Gone => match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        },
        Content::Pipe => {
            let status = Command::new("mkfifo").arg(path).status();
            assert!(status.is_ok_and(|s| s.success()), "mkfifo");
            Ok(())
        }
    };
    made.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Everything below a folder, links as links.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind");
        if kind.is_symlink() {
            make(
                &to,
                &Content::Link(
                    fs::read_link(&from)
                        .expect("a link")
                        .to_string_lossy()
                        .into(),
                ),
            );
        } else if kind.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

/// A line without how much memory this machine has at the moment.
fn without_memory(line: &str) -> String {
    let Some(before) = line.strip_suffix(" available") else {
        return line.to_string();
    };
    let (kept, _) = before.rsplit_once(", ").unwrap_or((before, ""));
    format!("{kept}, … available")
}

fn seqc(folder: &Path, args: &[String]) -> String {
    let parts = [folder.with_extension("out"), folder.with_extension("err")];
    let [out, err] = [&parts[0], &parts[1]].map(|p| File::create(p).expect("a file"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_seqc"))
        .args(args)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .expect("seqc starts");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if began.elapsed() > LIMIT {
            child.kill().expect("our child");
            child.wait().expect("our child");
            return "too slow\n".to_string();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let [out, err] = parts.map(|p| String::from_utf8(fs::read(p).expect("a file")).expect("UTF-8"));
    let mut said = match status.code() {
        Some(code) => format!("exit {code}\n"),
        None => "killed\n".to_string(),
    };
    let shown = err
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(str::to_string);
    // How long it took is different each time.
    let timed = |l: &&str| l.contains("compile_ms") || l.contains("compiled in");
    let out = out.lines().filter(|l| !timed(l));
    let shown = shown.chain(out.map(|l| format!("| {l}")));
    let lines: Vec<String> = shown.collect();
    for line in lines.iter().take(LINES) {
        said.push_str(&without_memory(line.trim_end()));
        said.push('\n');
    }
    if lines.len() > LINES {
        said += &format!("… {} lines more\n", lines.len() - LINES);
    }
    said
}
