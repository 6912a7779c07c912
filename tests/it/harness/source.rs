//! Rust sources as text: comments and literals blanked, so that words and braces can be counted.

use std::path::Path;

/// One file.
pub(crate) struct Source {
    /// Its path within the project, with slashes.
    pub(crate) name: String,
    /// As it is.
    pub(crate) text: String,
    /// Without comments, literals and tests; the lines stay.
    pub(crate) code: String,
    /// Without comments and tests; the lines stay.
    pub(crate) without_comments: String,
}

/// All Rust files below a folder; none if there is no such folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            found.push(Source::new(name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// The names of all tests of the project, each with the file that it stands in.
pub(crate) fn tests() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["tests", "src"]
        .into_iter()
        .flat_map(|folder| rust_files(&root.join(folder)));
    let mut found = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        let marked = lines
            .windows(2)
            .filter(|pair| pair[0].ends_with("test]") || pair[0].contains("test("));
        for pair in marked {
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn ");
            let name = name.and_then(|name| name.split('(').next());
            found.extend(name.map(|name| (source.name.clone(), name.to_owned())));
        }
    }
    found
}

impl Source {
    pub(crate) fn new(name: String, text: String) -> Self {
        let (code, without_comments) = blank(&text);
        let tests = if is_test_file(&name) {
            vec![(0, code.len())]
        } else {
            test_modules(&code)
        };
        let (code, without_comments) = (cut(&code, &tests), cut(&without_comments, &tests));
        Self {
            name,
            text,
            code,
            without_comments,
        }
    }

    /// The crate's module that it belongs to.
    pub(crate) fn module(&self) -> String {
        self.path().into_iter().next().unwrap_or_default()
    }

    fn path(&self) -> Vec<String> {
        let inner = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        let mut path: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        path
    }

    /// The crate's modules that it names, each with its line: `crate::x`, `crate::{x, y}`, `super::…::x`.
    pub(crate) fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("crate::") {
            if !is_within_word(&self.code, at) {
                found.extend(names(&self.code[at + 7..]).into_iter().map(|name| (at, name)));
            }
        }
        let depth = self.path().len();
        for (at, _) in self.code.match_indices("super::") {
            // The first of a chain only.
            if is_within_word(&self.code, at) || self.code[..at].ends_with("super::") {
                continue;
            }
            let mut rest = &self.code[at..];
            let mut steps = 0;
            while let Some(next) = rest.strip_prefix("super::") {
                rest = next;
                steps += 1;
            }
            if steps >= depth {
                found.extend(names(rest).into_iter().map(|name| (at, name)));
            }
        }
        found.sort();
        let line = |at: usize| self.code[..at].matches('\n').count() + 1;
        found.into_iter().map(|(at, name)| (line(at), name)).collect()
    }

    /// The functions: name, first line, number of lines.
    pub(crate) fn functions(&self) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            if is_within_word(&self.code, at) {
                continue;
            }
            let name: String = self.code[at + 3..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(open) = self.code[at..].find(['{', ';']).map(|offset| at + offset) else {
                continue;
            };
            if name.is_empty() || self.code.as_bytes()[open] == b';' {
                continue;
            }
            let end = closing(&self.code, open);
            let line = self.code[..at].matches('\n').count() + 1;
            found.push((name, line, self.code[at..end].matches('\n').count() + 1));
        }
        found
    }
}

/// Files that only tests are built from.
fn is_test_file(name: &str) -> bool {
    name.starts_with("src/")
        && (name.ends_with("/tests.rs") || name.contains("/tests/") || name.ends_with("_tests.rs"))
}

fn is_within_word(code: &str, at: usize) -> bool {
    code[..at]
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The first names of a path or of a group of paths.
fn names(rest: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Where the brace that opens at `open` is closed.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return open + at;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn test_modules(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let Some(open) = code[at..].find(['{', ';']).map(|offset| at + offset) else {
            continue;
        };
        if code.as_bytes()[open] == b'{' {
            found.push((at, closing(code, open) + 1));
        }
    }
    found
}

/// The text with these ranges blanked.
fn cut(text: &str, ranges: &[(usize, usize)]) -> String {
    let inside = |at: usize| ranges.iter().any(|(from, to)| (*from..*to).contains(&at));
    text.bytes()
        .enumerate()
        .map(|(at, byte)| {
            if byte != b'\n' && inside(at) {
                ' '
            } else {
                char::from(byte)
            }
        })
        .collect()
}

/// The text without comments and literals, and the text without comments only. Both keep every byte's place; what is
/// not ASCII becomes a question mark.
fn blank(text: &str) -> (String, String) {
    let bytes: Vec<u8> = text
        .bytes()
        .map(|byte| if byte.is_ascii() { byte } else { b'?' })
        .collect();
    let (mut code, mut literals) = (bytes.clone(), bytes.clone());
    let mut at = 0;
    while at < bytes.len() {
        let (length, is_comment) = token(&bytes, at);
        if let Some(is_comment) = is_comment {
            for place in at..at + length {
                if bytes[place] != b'\n' {
                    code[place] = b' ';
                    if is_comment {
                        literals[place] = b' ';
                    }
                }
            }
        }
        at += length;
    }
    (
        String::from_utf8(code).unwrap(),
        String::from_utf8(literals).unwrap(),
    )
}

/// How long the token at this place is, and whether it is a comment (true), a literal (false) or code (none).
fn token(bytes: &[u8], at: usize) -> (usize, Option<bool>) {
    let rest = &bytes[at..];
    let until = |end: &[u8], from: usize| {
        let found = rest[from.min(rest.len())..]
            .windows(end.len())
            .position(|window| window == end);
        found.map_or(rest.len(), |offset| from + offset + end.len())
    };
    if rest.starts_with(b"//") {
        return (until(b"\n", 0), Some(true));
    }
    if rest.starts_with(b"/*") {
        return (until(b"*/", 2), Some(true));
    }
    let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if !word_before && rest[0] == b'r' {
        let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
        if rest.get(1 + hashes) == Some(&b'"') {
            let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            return (until(&end, 2 + hashes), Some(false));
        }
    }
    if rest[0] == b'"' {
        return (quoted(rest, b'"'), Some(false));
    }
    // A character, and no lifetime.
    if rest[0] == b'\'' && rest.len() > 2 && (rest[1] == b'\\' || rest[2] == b'\'' || rest[1] == b'?') {
        return (quoted(rest, b'\''), Some(false));
    }
    (1, None)
}

fn quoted(rest: &[u8], mark: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != mark {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}
