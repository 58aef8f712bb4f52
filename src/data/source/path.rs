//! Which files a `data` block may read, and reading them whole.
//!
//! In: a path as written, the folder of the `.seq` file, what the command line binds. Out: a
//! regular file's path and bytes, or a diagnostic: `io::…` where the machine says no,
//! `data::path-outside` and `data::not-a-file` where we do. A `.seq` file is not trusted: it must
//! not be able to read what lies outside its folder, nor to hang on a pipe.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::super::spec::PathText;
use super::text::shown;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The largest file read whole, in bytes; a larger one is refused rather than left to the memory killer.
pub const MAX_BYTES: u64 = 4 << 30;

/// A file that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub path: PathBuf,
    /// As it is named in messages.
    pub shown: String,
}

/// The file that `written` names: under `base`, or under `bound` where the command line gives a
/// file or a folder for this source.
pub fn resolve(
    written: &PathText,
    base: &Path,
    bound: Option<&Path>,
    data: &str,
) -> Result<Resolved, Diagnostic> {
    let fail = |code, message: String| {
        Diagnostic::error(code, message).label(written.span, "named here".to_string())
    };
    let io = |path: &Path, e: std::io::Error| {
        let name = shown(&path.to_string_lossy(), 40);
        match e.kind() {
            std::io::ErrorKind::NotFound => {
                let d = fail("io::not-found", format!("there is no file `{name}`"));
                match bound {
                    Some(bound) if !bound.is_dir() => d,
                    _ => d.help(format!("bind the file elsewhere with --data {data}=PATH")),
                }
            }
            _ => fail("io::unreadable", format!("`{name}` cannot be read"))
                .help(shown(&e.to_string(), 120)),
        }
    };
    let path = match bound {
        Some(bound) if bound.is_dir() => {
            bound.join(Path::new(&written.node).file_name().unwrap_or_default())
        }
        Some(bound) => bound.to_path_buf(),
        None => {
            let relative = Path::new(&written.node);
            let inside = relative
                .components()
                .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
            let outside = || {
                fail(
                    "data::path-outside",
                    format!(
                        "`{}` lies outside the folder of the .seq file",
                        shown(&written.node, 24)
                    ),
                )
                .help(format!("bind it on the command line: --data {data}=PATH"))
            };
            if !inside || written.node.is_empty() || written.node.contains('\0') {
                return Err(outside());
            }
            // `./t.csv` is `t.csv` to those who read a message.
            let path = match base == Path::new(".") {
                true => relative.to_path_buf(),
                false => base.join(relative),
            };
            // Links may lead anywhere: compare where both really are.
            let real = path.canonicalize().map_err(|e| io(&path, e))?;
            let home = match base.as_os_str().is_empty() {
                true => Path::new(".").canonicalize(),
                false => base.canonicalize(),
            }
            .map_err(|e| io(base, e))?;
            if !real.starts_with(&home) {
                return Err(outside());
            }
            path
        }
    };
    let meta = std::fs::metadata(&path).map_err(|e| io(&path, e))?;
    let name = shown(&path.to_string_lossy(), 30);
    if !meta.is_file() {
        return Err(fail(
            "data::not-a-file",
            format!("`{name}` is not a regular file"),
        ));
    }
    let shown = shown(&path.to_string_lossy(), 200);
    Ok(Resolved { path, shown })
}

/// The same for one of several files of a source, for which a folder is bound.
pub fn resolve_one_of(
    written: &PathText,
    base: &Path,
    bound: Option<&Path>,
    data: &str,
) -> Result<Resolved, Diagnostic> {
    if bound.is_some_and(Path::is_file) {
        let message = format!("`{}` has several files, --data binds one", shown(data, 20));
        return Err(Diagnostic::error("data::needs-folder", message)
            .label(written.span, "one of them".to_string())
            .help(format!("bind the folder they are in: --data {data}=FOLDER")));
    }
    resolve(written, base, bound, data)
}

/// At most `limit` bytes from the start of the file, all of them where there is none.
pub fn read(
    file: &Resolved,
    written: &PathText,
    limit: Option<u64>,
) -> Result<Vec<u8>, Diagnostic> {
    let unreadable = |e: std::io::Error| unreadable(file, written.span, &e);
    let len = std::fs::metadata(&file.path).map_err(unreadable)?.len();
    if limit.is_none() && len > MAX_BYTES {
        let name = shown(&file.shown, 30);
        let message = format!("`{name}` has {len} bytes, the limit is 4 GiB");
        return Err(Diagnostic::error("resource::file-size", message)
            .label(written.span, "named here".to_string())
            .help("a text(…) of any size is read piece by piece"));
    }
    // Room for one byte more, where the end is found.
    let room = len.min(limit.unwrap_or(MAX_BYTES)) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    File::open(&file.path)
        .and_then(|f| {
            f.take(limit.unwrap_or(MAX_BYTES + 1))
                .read_to_end(&mut bytes)
        })
        .map_err(unreadable)?;
    Ok(bytes)
}

/// The error where a file cannot be read.
pub fn unreadable(file: &Resolved, span: Span, e: &std::io::Error) -> Diagnostic {
    let message = format!("`{}` cannot be read", shown(&file.shown, 40));
    Diagnostic::error("io::unreadable", message)
        .label(span, "named here".to_string())
        .help(shown(&e.to_string(), 120))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Spanned;

    fn written(path: &str) -> PathText {
        Spanned::new(path.to_string(), Span::default())
    }

    fn code(path: &str, base: &Path, bound: Option<&Path>) -> &'static str {
        match resolve(&written(path), base, bound, "d") {
            Ok(_) => "ok",
            Err(d) => d.code,
        }
    }

    #[test]
    fn only_files_of_the_folder_are_read_unless_bound() {
        let home = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let base = home.path();
        std::fs::create_dir(base.join("sub")).unwrap();
        std::fs::write(base.join("sub/in.txt"), "a").unwrap();
        std::fs::write(other.path().join("out.txt"), "b").unwrap();
        let out = other.path().join("out.txt");
        assert_eq!(code("sub/in.txt", base, None), "ok");
        assert_eq!(code("./sub/in.txt", base, None), "ok");
        assert_eq!(code("no.txt", base, None), "io::not-found");
        assert_eq!(code("../x.txt", base, None), "data::path-outside");
        assert_eq!(code("sub/../sub/in.txt", base, None), "data::path-outside");
        assert_eq!(code("/dev/zero", base, None), "data::path-outside");
        assert_eq!(
            code(out.to_str().unwrap(), base, None),
            "data::path-outside"
        );
        assert_eq!(code("", base, None), "data::path-outside");
        assert_eq!(code("sub", base, None), "data::not-a-file");
        // Bound to a file, or to a folder that holds one of that name.
        assert_eq!(code("in.txt", base, Some(&out)), "ok");
        assert_eq!(code("deep/out.txt", base, Some(other.path())), "ok");
        assert_eq!(
            code("x", base, Some(Path::new("/dev/zero"))),
            "data::not-a-file"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_that_leave_the_folder_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("out.txt"), "b").unwrap();
        std::fs::write(home.path().join("in.txt"), "b").unwrap();
        let link = |from: &Path, to: &str| {
            std::os::unix::fs::symlink(from, home.path().join(to)).unwrap();
        };
        link(&other.path().join("out.txt"), "file");
        link(other.path(), "folder");
        link(Path::new("in.txt"), "inner");
        assert_eq!(code("file", home.path(), None), "data::path-outside");
        assert_eq!(
            code("folder/out.txt", home.path(), None),
            "data::path-outside"
        );
        assert_eq!(code("inner", home.path(), None), "ok");
    }
}
